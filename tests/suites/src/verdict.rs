//! What a test says about what arrived: all of it, nothing else, in order, unchanged.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail, ensure};

use crate::{Arrival, Sample};

/// How many wrong things a message names.
const SHOWN: usize = 5;

/// Every event arrived at least once, nothing else did, the first arrivals of each user are in
/// order, and the bodies are equal as JSON values, repeats included.
///
/// # Errors
///
/// Says what is wrong, with a few of the events.
pub fn check_delivery(sent: &[Sample], arrivals: &[Arrival]) -> Result<()> {
    let arrived = arrived(arrivals);
    let missing: Vec<&str> = sent
        .iter()
        .map(|event| event.id.as_str())
        .filter(|id| !arrived.contains(id))
        .collect();
    ensure!(
        missing.is_empty(),
        "{} of {} events did not arrive, such as {:?}",
        missing.len(),
        sent.len(),
        &missing[..missing.len().min(SHOWN)]
    );
    check_bodies(sent, arrivals)?;
    check_order(sent, arrivals)
}

/// No event arrived twice.
///
/// # Errors
///
/// Names some that did.
pub fn check_each_once(arrivals: &[Arrival]) -> Result<()> {
    let mut seen = HashSet::new();
    let twice: Vec<&str> = arrivals
        .iter()
        .map(Arrival::id)
        .filter(|id| !seen.insert(*id))
        .take(SHOWN)
        .collect();
    ensure!(twice.is_empty(), "arrived more than once: {twice:?}");
    Ok(())
}

/// The ids of everything that arrived.
#[must_use]
pub fn arrived(arrivals: &[Arrival]) -> HashSet<&str> {
    arrivals.iter().map(Arrival::id).collect()
}

/// The ids in the order in which they arrived for the first time.
#[must_use]
pub fn first_arrivals(arrivals: &[Arrival]) -> Vec<&str> {
    let mut seen = HashSet::new();
    arrivals
        .iter()
        .map(Arrival::id)
        .filter(|id| seen.insert(*id))
        .collect()
}

/// What arrived under this name.
#[must_use]
pub fn named(name: &str, arrivals: &[Arrival]) -> Vec<Arrival> {
    let has_name = |arrival: &&Arrival| arrival.event == name;
    arrivals.iter().filter(has_name).cloned().collect()
}

/// The connections over which something arrived.
#[must_use]
pub fn sockets(arrivals: &[Arrival]) -> HashSet<&str> {
    arrivals
        .iter()
        .map(|arrival| arrival.socket.as_str())
        .collect()
}

fn check_bodies(sent: &[Sample], arrivals: &[Arrival]) -> Result<()> {
    let sent: HashMap<&str, &Sample> = sent
        .iter()
        .map(|event| (event.id.as_str(), event))
        .collect();
    for arrival in arrivals {
        let Some(event) = sent.get(arrival.id()) else {
            bail!("what was never sent arrived: {}", arrival.body);
        };
        let (expected, found) = (event.value(), &arrival.body);
        ensure!(expected == *found, "sent:    {expected}\narrived: {found}");
    }
    Ok(())
}

fn check_order(sent: &[Sample], arrivals: &[Arrival]) -> Result<()> {
    let places: HashMap<&str, (usize, &str)> = (0..)
        .zip(sent)
        .map(|(place, event)| (event.id.as_str(), (place, event.user.as_str())))
        .collect();
    let mut last = HashMap::new();
    let mut late = Vec::new();
    for id in first_arrivals(arrivals) {
        let Some((place, user)) = places.get(id) else {
            continue;
        };
        let newest = last.entry(*user).or_insert(*place);
        if place < newest {
            late.push(id);
        }
        *newest = (*newest).max(*place);
    }
    ensure!(
        late.is_empty(),
        "{} events arrived first after a later one of their user: {:?}",
        late.len(),
        &late[..late.len().min(SHOWN)]
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    fn arrivals(events: &[Sample]) -> Vec<Arrival> {
        let arrival = |event: &Sample| Arrival {
            event: "keycloak-event".to_owned(),
            body: event.value(),
            more: Vec::new(),
            socket: "s".to_owned(),
            namespace: "/".to_owned(),
            client: None,
            token: None,
        };
        events.iter().map(arrival).collect()
    }

    fn complaint(sent: &[Sample], arrivals: &[Arrival]) -> String {
        check_delivery(sent, arrivals).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_perfect_delivery_and_one_with_repeats_pass() {
        let sent = generate(1, 3, 50);
        let mut came = arrivals(&sent);
        assert_eq!(complaint(&sent, &came), "");
        assert!(check_each_once(&came).is_ok());
        came.extend(arrivals(&sent[..10]));
        assert_eq!(complaint(&sent, &came), "");
        assert!(check_each_once(&came).is_err());
    }

    #[test]
    fn what_is_missing_is_noticed() {
        let sent = generate(1, 3, 50);
        let came = arrivals(&sent[1..]);
        assert!(complaint(&sent, &came).starts_with("1 of 50 events did not arrive"));
    }

    #[test]
    fn what_is_changed_or_invented_is_noticed() {
        let sent = generate(1, 3, 50);
        let mut came = arrivals(&sent);
        came[7].body["time"] = 1.into();
        assert!(complaint(&sent, &came).starts_with("sent:"));
        let mut invented = arrivals(&sent);
        invented.extend(arrivals(&generate(2, 1, 1)));
        assert!(complaint(&sent, &invented).starts_with("what was never sent"));
    }

    #[test]
    fn a_changed_order_within_a_user_is_noticed_and_between_users_is_not() {
        let sent = generate(1, 1, 50);
        let mut came = arrivals(&sent);
        came.swap(3, 4);
        assert!(complaint(&sent, &came).starts_with("1 events arrived first after"));
        let sent: Vec<Sample> = [generate(1, 1, 2), generate(2, 2, 9)].concat();
        let (one, other): (Vec<Sample>, Vec<Sample>) = sent
            .iter()
            .cloned()
            .partition(|event| event.user == sent[0].user);
        assert!(!other.is_empty());
        assert_eq!(complaint(&sent, &arrivals(&[other, one].concat())), "");
    }
}
