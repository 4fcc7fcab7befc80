//! What the tests of this crate share: a route's section from lines, and what is said about it.

use std::sync::Arc;

use kete_config::{Diagnostics, Loader, Scope};
use kete_event::{Event, Metadata};
use kete_pipeline::{
    DestinationPlan, DestinationSection, Header, LaneSettings, Outgoing, Prepared, Record, Target,
};
use kete_routes::{Serializer, serializer};

use crate::check_destination;

const PREFIX: &str = "kete.routes.shop.destination";

/// Lets `read` loose on a section with these lines and returns what it made of them, and the
/// diagnostics without the prefix that all keys have.
pub(crate) fn read_section<R>(lines: &[&str], read: impl FnOnce(&Scope<'_>) -> R) -> (R, String) {
    let diagnostics = Diagnostics::new();
    let mut loader = Loader::new("kete");
    for line in lines {
        loader = loader.set(format!("{PREFIX}.{line}"));
    }
    let settings = loader.load(&diagnostics);
    let result = read(&settings.scope(PREFIX, &diagnostics));
    (
        result,
        diagnostics.to_string().replace(&format!("{PREFIX}."), ""),
    )
}

/// Checks a whole section, as the program does it.
pub(crate) fn check(lines: &[&str]) -> (Option<Box<dyn DestinationPlan>>, String) {
    read_section(lines, |scope| {
        let serializer: Arc<dyn Serializer> = serializer("json").unwrap();
        let lane = LaneSettings::read(scope)?;
        check_destination(&DestinationSection {
            route: &"shop".into(),
            scope,
            settings: scope.settings(),
            diagnostics: scope.diagnostics(),
            serializer: &serializer,
            lane: &lane,
            only_realm: None,
        })
    })
}

/// A user event as it stands in the queue.
pub(crate) const LOGIN: &str = concat!(
    r#"{"id":"7","time":1,"type":"LOGIN","realmId":"r","realmName":"shop","clientId":"web","#,
    r#""userId":"u","sessionId":null,"ipAddress":null,"error":null,"details":null}"#,
);

pub(crate) fn metadata() -> Metadata {
    Event::parse(LOGIN.as_bytes()).unwrap().metadata()
}

/// The first event on a connection, as a lane hands it over for the first time.
pub(crate) fn outgoing(payload: &str, id: &str, target: Target) -> Outgoing {
    let record = Record {
        sequence: 1,
        header: Header {
            event_id: id.into(),
            id_derived: false,
            source: "test".into(),
            accepted_at: 0,
            metadata: metadata(),
            ordering_key: "u".into(),
            target,
        },
        body: payload.to_owned().into(),
    };
    Outgoing {
        ticket: 1,
        prepared: Prepared {
            subject: "e".into(),
            payload: record.body.clone(),
        },
        record: Arc::new(record),
        attempt: 1,
    }
}
