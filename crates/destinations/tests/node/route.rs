//! A route's destination as the program builds it, and a lane that does nothing by itself.

use std::sync::Arc;

use kete_config::{Diagnostics, Loader};
use kete_destinations::check_destination;
use kete_event::Event;
use kete_pipeline::{
    ConnectFailure, ConnectionEvent, Destination, DestinationSection, Header, LaneSettings, Link,
    Outgoing, Prepared, Record, Target,
};
use kete_routes::serializer;
use tokio::time::timeout;

use crate::recorder::PATIENCE;

const PREFIX: &str = "kete.routes.shop.destination";

/// Builds a Socket.IO destination from the lines of its section.
pub(crate) fn destination(url: &str, lines: &[&str]) -> Arc<dyn Destination> {
    let diagnostics = Diagnostics::new();
    let mut loader = Loader::new("kete")
        .set(format!("{PREFIX}.kind=socketio"))
        .set(format!("{PREFIX}.url={url}"))
        .set(format!("{PREFIX}.event-name=keycloak-event"));
    for line in lines {
        loader = loader.set(format!("{PREFIX}.{line}"));
    }
    let settings = loader.load(&diagnostics);
    let scope = settings.scope(PREFIX, &diagnostics);
    let plan = check_destination(&DestinationSection {
        route: &"shop".into(),
        scope: &scope,
        settings: &settings,
        diagnostics: &diagnostics,
        serializer: &serializer("json").unwrap(),
        lane: &LaneSettings::read(&scope).unwrap(),
        only_realm: None,
    });
    assert_eq!(diagnostics.errors(), 0, "{diagnostics}");
    plan.unwrap().build().unwrap()
}

/// Why no connection comes about.
pub(crate) async fn failure(destination: &dyn Destination) -> ConnectFailure {
    let attempt = timeout(PATIENCE, destination.connect())
        .await
        .expect("an attempt has to end");
    attempt.err().expect("this must not succeed")
}

/// An event as it stands in the queue.
pub(crate) fn record(id: &str, body: String, target: Target) -> Record {
    let login = br#"{"type":"LOGIN","realmName":"shop"}"#;
    Record {
        sequence: 1,
        header: Header {
            event_id: id.into(),
            id_derived: false,
            source: "test".into(),
            accepted_at: 0,
            metadata: Event::parse(login).unwrap().metadata(),
            ordering_key: "u".into(),
            target,
        },
        body: body.into(),
    }
}

/// A connection with the tickets that a lane would give.
pub(crate) struct Lane {
    link: Link,
    last: u64,
}

impl Lane {
    pub(crate) async fn connect(destination: &dyn Destination) -> Lane {
        let attempt = timeout(PATIENCE, destination.connect()).await;
        match attempt.expect("an attempt has to end") {
            Ok(link) => Lane { link, last: 0 },
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Sends these bodies as one batch. Returns the last ticket.
    pub(crate) fn send<B: Into<String>>(&mut self, bodies: impl IntoIterator<Item = B>) -> u64 {
        let records = bodies
            .into_iter()
            .map(|body| (record("7", body.into(), Target::AllRoutes), 1));
        self.send_records(records)
    }

    /// Sends these records as one batch, each for the so-manieth time. Returns the last ticket.
    pub(crate) fn send_records(&mut self, records: impl IntoIterator<Item = (Record, u32)>) -> u64 {
        let subject: Arc<str> = "keycloak-event".into();
        let mut batch = Vec::new();
        for (record, attempt) in records {
            self.last += 1;
            batch.push(Outgoing {
                ticket: self.last,
                prepared: Prepared {
                    subject: Arc::clone(&subject),
                    payload: record.body.clone(),
                },
                record: Arc::new(record),
                attempt,
            });
        }
        self.link.connection.send(batch);
        self.last
    }

    pub(crate) fn probe(&mut self) {
        self.link.connection.probe();
    }

    pub(crate) async fn next(&mut self) -> Option<ConnectionEvent> {
        let next = timeout(PATIENCE, self.link.events.recv()).await;
        next.expect("the connection has to say something")
    }

    /// Waits until everything up to this ticket is confirmed; returns what failed meanwhile.
    pub(crate) async fn confirmed(&mut self, last: u64) -> Vec<ConnectionEvent> {
        let mut failed = Vec::new();
        loop {
            match self.next().await {
                Some(ConnectionEvent::Confirmed { through }) if through >= last => return failed,
                Some(ConnectionEvent::Confirmed { .. }) => {}
                Some(event @ ConnectionEvent::Failed { .. }) => failed.push(event),
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn release(self) {
        self.link.connection.release();
    }

    pub(crate) fn close(self) {
        self.link.connection.close();
    }

    pub(crate) fn abort(self) {
        self.link.connection.abort();
    }
}
