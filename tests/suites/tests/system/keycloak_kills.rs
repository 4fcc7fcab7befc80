//! kete is killed (`kill -9`) while it polls a real Keycloak in which users log in: with a data
//! directory every event that Keycloak reports arrives, whether it happened while kete ran or
//! while it was away.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use kete_suites::{
    Home, Kete, Keycloak, Random, Realm, Server, arrived, eventually, first_arrivals, full,
    to_socketio,
};
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

/// The realm of this test in the Keycloak that tests share.
const REALM: &str = "kills";

#[tokio::test]
async fn killed_while_it_polls_kete_misses_no_event_of_keycloak() -> Result<()> {
    let keycloak = Keycloak::shared().await?;
    let realm = keycloak.copy_demo(REALM).await?;
    let server = Server::node().with("ack", "after-write").start().await?;
    let home = Home::new()?;
    let route = to_socketio("all", &server.url(), &["destination.confirm=ack"]);
    let configuration = [polling(keycloak.url()), route];
    let first = begun(&home, &configuration).await?;

    let people = People::default();
    let kills = async {
        let killed = kill_again_and_again(first, &home, &configuration, &people).await;
        people.stop.store(true, Ordering::SeqCst);
        killed
    };
    let (mut last, ()) = tokio::try_join!(kills, people.use_realm(&realm))?;

    let reported = reported(&realm).await?;
    eventually("every event that Keycloak reports arrives", async || {
        let arrivals = server.arrivals().await?;
        let arrived = arrived(&arrivals);
        let missing = reported.iter().filter(|id| !arrived.contains(id.as_str()));
        let missing: Vec<_> = missing.collect();
        ensure!(missing.is_empty(), "{missing:?} are missing");
        Ok(())
    })
    .await?;
    last.stop().await?;
    let arrivals = server.arrivals().await?;
    let (distinct, repeats) = (arrived(&arrivals), arrivals.len());
    ensure!(
        distinct.len() == reported.len(),
        "{} events arrived of {}",
        distinct.len(),
        reported.len()
    );
    eprintln!("{} events, {} arrivals", reported.len(), repeats);
    in_order(&arrivals, &realm).await?;
    ensure!(home.dead_letters()?.is_empty(), "an event was given up");
    Ok(())
}

/// `start-from` stays at its default, `now`: a kete that forgot its position would miss whatever
/// happened while it was away.
fn polling(url: &str) -> String {
    format!(
        "kete.keycloak.url={url}\n\
         kete.keycloak.client-id=kete\n\
         kete.keycloak.client-secret=kete-secret\n\
         kete.keycloak.realms={REALM}\n\
         kete.sources.keycloak.kind=admin-api\n\
         kete.sources.keycloak.page-size=5\n\
         kete.sources.keycloak.overlap=5s\n\
         kete.sources.keycloak.poll-interval=100ms\n"
    )
}

/// A kete that has begun to poll both kinds of events.
async fn begun(home: &Home, configuration: &[String]) -> Result<Kete> {
    let kete = home.run(configuration).await?;
    for events in ["user", "admin"] {
        let what = format!("polling of {events} events");
        let begins = |line: &kete_suites::LogLine| {
            line.text("message") == "connected to Keycloak" && line.text("events") == events
        };
        kete.wait_for_log(&what, begins).await?;
    }
    Ok(kete)
}

async fn kill_again_and_again(
    first: Kete,
    home: &Home,
    configuration: &[String],
    people: &People,
) -> Result<Kete> {
    let (rounds, seed) = (if full() { 20 } else { 5 }, 17);
    eprintln!("{rounds} rounds with seed {seed}");
    let mut random = Random::new(seed);
    let mut kete = first;
    for _round in 0..rounds {
        let some = 1 + random.below(8);
        kete.wait_until("some events are taken", |now| now.taken() >= some)
            .await?;
        // The moment itself is what is random here: nothing is waited for.
        sleep(Duration::from_micros(random.below(200_000))).await;
        kete.kill().await?;
        // Overlaps are short, so that what happens while it is away is not found by them alone.
        people
            .do_more(usize::try_from(5 + random.below(10))?)
            .await?;
        kete = home.run(configuration).await?;
        kete.wait_for_log("it goes on where it stopped", |line| {
            line.text("message")
                .starts_with("polling goes on where it stopped")
        })
        .await?;
    }
    Ok(kete)
}

/// Users and administrators of the realm.
#[derive(Default)]
struct People {
    done: AtomicUsize,
    stop: AtomicBool,
}

impl People {
    async fn use_realm(&self, realm: &Realm<'_>) -> Result<()> {
        let mut round = 0;
        while !self.stop.load(Ordering::SeqCst) {
            ensure!(
                realm.log_in("alice", "alice-password").await?,
                "alice cannot log in"
            );
            ensure!(
                !realm.log_in("alice", "not-her-password").await?,
                "alice needs no password"
            );
            if round % 4 == 0 {
                let name = format!("client-{round}");
                realm.create_client(&name, json!({})).await?;
            }
            round += 1;
            self.done.fetch_add(1, Ordering::SeqCst);
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Waits until they have done so many more things.
    async fn do_more(&self, count: usize) -> Result<()> {
        let enough = self.done.load(Ordering::SeqCst) + count;
        eventually("people use Keycloak", async || {
            let done = self.done.load(Ordering::SeqCst);
            ensure!(done >= enough, "{done} of {enough}");
            Ok(())
        })
        .await
    }
}

/// The ids of what Keycloak says has happened, without the logins of kete itself.
async fn reported(realm: &Realm<'_>) -> Result<HashSet<String>> {
    let of_kete = |event: &Value| event["type"] == "CLIENT_LOGIN" && event["clientId"] == "kete";
    let mut events = realm.events().await?;
    events.retain(|event| !of_kete(event));
    events.extend(realm.admin_events().await?);
    let id = |event: &Value| Some(event["id"].as_str()?.to_owned());
    let ids = events.iter().map(id).collect::<Option<HashSet<String>>>();
    let ids = ids.context("an event without an id")?;
    ensure!(ids.len() > 50, "only {} events", ids.len());
    Ok(ids)
}

/// What alice did arrives in the order in which she did it: one thing after the other.
async fn in_order(arrivals: &[kete_suites::Arrival], realm: &Realm<'_>) -> Result<()> {
    let mut hers = realm.events().await?;
    hers.retain(|event| event["clientId"] == "app");
    hers.sort_by_key(|event| event["time"].as_i64());
    let done: Vec<&str> = hers
        .iter()
        .filter_map(|event| event["id"].as_str())
        .collect();
    let mut came = first_arrivals(arrivals);
    came.retain(|id| done.contains(id));
    ensure!(came == done, "another order");
    Ok(())
}
