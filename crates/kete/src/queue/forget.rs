//! Dropping the place of a route that is not coming back.
//!
//! The same whether kete runs or not: nothing that waits is given up without being asked for, and
//! nothing of a route that is in use.

use kete_config::nearest;
use kete_queue::{ConsumerStatus, Queue};
use serde::{Deserialize, Serialize};

use super::status::{amount, approximately, replay_name};
use crate::assemble::RouteNames;

/// What is to be forgotten.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Forget {
    pub(crate) route: String,
    /// Whether events may go that wait for it.
    pub(crate) yes: bool,
}

/// What was forgotten.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forgotten {
    pub(crate) route: String,
    /// Events that waited for it.
    pub(crate) events: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Forgotten {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self.events {
            0 => format!(
                "the place of route {} is forgotten; nothing waited for it\n",
                self.route
            ),
            _ => format!(
                "the place of route {} is forgotten, and {} that waited for it\n",
                self.route,
                self.amount()
            ),
        }
    }

    fn amount(&self) -> String {
        format!("{} ({})", amount(self.events), approximately(self.bytes))
    }
}

/// Forgets it, or says in words why not. `routes` are those of the configuration.
pub(crate) fn forget(
    queue: &dyn Queue,
    routes: &RouteNames,
    question: Forget,
) -> Result<Forgotten, String> {
    let forgotten = judge(&queue.consumers(), routes, question)?;
    let replay = replay_name(&forgotten.route);
    for name in [&forgotten.route, &replay] {
        if let Some(consumer) = queue.find(name) {
            queue.forget(consumer);
        }
    }
    Ok(forgotten)
}

/// What would go, or in words why it must not.
fn judge(
    consumers: &[ConsumerStatus],
    routes: &RouteNames,
    Forget { route, yes }: Forget,
) -> Result<Forgotten, String> {
    let replay = replay_name(&route);
    let is_its_own = |name: &str| name == route || name == replay;
    let places: Vec<&ConsumerStatus> = consumers
        .iter()
        .filter(|consumer| is_its_own(&consumer.name))
        .collect();
    let way_out =
        format!("take it out of the configuration, or set kete.routes.{route}.enabled=false");
    if places.iter().any(|place| place.attached) {
        return Err(format!(
            "route {route} is running; {way_out}, and restart kete first"
        ));
    }
    if routes.enabled.contains(&route) {
        return Err(format!(
            "route {route} is configured and would start again; {way_out} first"
        ));
    }
    if places.is_empty() {
        return Err(unknown(&route, consumers));
    }
    let forgotten = Forgotten {
        route,
        events: places.iter().map(|place| place.lag.events).sum(),
        bytes: places.iter().map(|place| place.lag.bytes).sum(),
    };
    if forgotten.events > 0 && !yes {
        let verb = if forgotten.events == 1 {
            "waits"
        } else {
            "wait"
        };
        return Err(format!(
            "{} {verb} for route {} and would be lost; if that is meant, add --yes",
            forgotten.amount(),
            forgotten.route
        ));
    }
    Ok(forgotten)
}

/// There is nothing of this name; something near may have been meant.
fn unknown(route: &str, consumers: &[ConsumerStatus]) -> String {
    let names: Vec<&str> = consumers
        .iter()
        .map(|consumer| &*consumer.name)
        .filter(|name| !name.contains('.'))
        .collect();
    let hint = match (nearest(route, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => format!("did you mean {near}?"),
        (None, true) => "no route has one".to_owned(),
        (None, false) => format!("these have one: {}", names.join(", ")),
    };
    format!("route {route} has no place in the queue; {hint}")
}

#[cfg(test)]
mod tests {
    use kete_queue::Lag;

    use super::*;

    fn place(name: &str, events: u64, attached: bool) -> ConsumerStatus {
        ConsumerStatus {
            name: name.into(),
            attached,
            cursor: 7,
            lag: Lag {
                events,
                bytes: events * 600,
            },
            oldest_accepted_at: None,
            dropped: 0,
        }
    }

    fn ask(consumers: &[ConsumerStatus], route: &str, yes: bool) -> Result<u64, String> {
        let routes = RouteNames {
            enabled: vec!["shop".to_owned(), "new".to_owned()],
            disabled: vec!["paused".to_owned()],
        };
        let route = route.to_owned();
        judge(consumers, &routes, Forget { route, yes }).map(|forgotten| forgotten.events)
    }

    #[test]
    fn what_waits_goes_only_when_that_is_said() {
        let places = [place("old", 1_000, false), place("old.replay", 20, false)];
        let refused = ask(&places, "old", false).unwrap_err();
        assert_eq!(
            refused,
            "1020 events (598 KiB) wait for route old and would be lost; if that is meant, add \
             --yes"
        );
        assert_eq!(ask(&places, "old", true), Ok(1_020));
        assert_eq!(ask(&[place("old", 0, false)], "old", false), Ok(0));
        assert!(
            ask(&[place("old", 1, false)], "old", false)
                .unwrap_err()
                .starts_with("1 event (")
        );
    }

    #[test]
    fn a_route_that_is_in_use_is_left_alone() {
        for places in [
            [place("gone", 0, true), place("gone.replay", 0, false)],
            [place("gone", 0, false), place("gone.replay", 0, true)],
        ] {
            let refused = ask(&places, "gone", true).unwrap_err();
            assert!(refused.starts_with("route gone is running; "), "{refused}");
        }
        let refused = ask(&[place("shop", 0, false)], "shop", true).unwrap_err();
        assert!(
            refused.contains("kete.routes.shop.enabled=false"),
            "{refused}"
        );
        assert_eq!(ask(&[place("paused", 0, false)], "paused", false), Ok(0));
    }

    #[test]
    fn a_name_that_is_not_there_gets_the_nearest() {
        let places = [
            place("dashboard", 0, false),
            place("audit.replay", 0, false),
        ];
        let refused =
            |places: &[ConsumerStatus], route: &str| ask(places, route, true).unwrap_err();
        assert_eq!(
            refused(&places, "dashbord"),
            "route dashbord has no place in the queue; did you mean dashboard?"
        );
        assert!(refused(&places, "x").ends_with("; these have one: dashboard"));
        assert!(refused(&[], "x").ends_with("; no route has one"));
        // It is configured, and yet there is nothing to forget: that it is configured counts more.
        assert!(refused(&places, "new").contains("is configured"));
    }

    #[test]
    fn what_went_is_counted() {
        let forgotten = |events, bytes| Forgotten {
            route: "old".to_owned(),
            events,
            bytes,
        };
        assert_eq!(
            forgotten(0, 0).text(),
            "the place of route old is forgotten; nothing waited for it\n"
        );
        assert_eq!(
            forgotten(3, 2_048).text(),
            "the place of route old is forgotten, and 3 events (2.0 KiB) that waited for it\n"
        );
    }
}
