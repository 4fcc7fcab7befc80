use super::*;
use crate::testing::{LOGIN, check as check_section, metadata};
use kete_routes::{SerializeError, Unresolved};

const LINES: [&str; 3] = ["kind=socketio", "url=http://h", "event-name=e"];

fn emitter(name: &str, serializer: Arc<dyn Serializer>) -> Emitter {
    Emitter {
        event_name: EventName::parse(name, Unresolved::Fail).unwrap(),
        serializer,
    }
}

/// A serializer that returns what it was made with.
#[derive(Debug)]
struct Fixed(&'static str, &'static [u8]);

impl Serializer for Fixed {
    fn kind(&self) -> &'static str {
        "fixed"
    }

    fn content_type(&self) -> &'static str {
        self.0
    }

    fn serialize(&self, _: &Bytes) -> Result<Bytes, SerializeError> {
        Ok(Bytes::from_static(self.1))
    }
}

#[test]
fn json_goes_out_untouched_under_the_rendered_name() {
    let json = kete_routes::serializer("json").unwrap();
    let body = Bytes::from_static(LOGIN.as_bytes());
    let prepared = emitter("kc-${eventTypeLowerCase}", json)
        .prepare(&metadata(), &body)
        .unwrap();
    assert_eq!(&*prepared.subject, "kc-login");
    assert_eq!(prepared.payload.as_ptr(), body.as_ptr());
}

#[test]
fn text_goes_out_as_one_json_string() {
    let text = Arc::new(Fixed("text/plain", b"<a b=\"c\"/>\n"));
    let prepared = emitter("e", text)
        .prepare(&metadata(), &Bytes::new())
        .unwrap();
    assert_eq!(prepared.payload, r#""<a b=\"c\"/>\n""#);
    let structured = Arc::new(Fixed("application/problem+json", b"{}"));
    let prepared = emitter("e", structured)
        .prepare(&metadata(), &Bytes::new())
        .unwrap();
    assert_eq!(prepared.payload, "{}");
}

#[test]
fn an_event_that_cannot_be_put_into_words_fails_alone_and_for_good() {
    let reason = |emitter: Emitter| match emitter.prepare(&metadata(), &Bytes::new()) {
        Err(EventFailure::Permanent { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let binary = Arc::new(Fixed("application/cbor", &[0xff, 0xfe]));
    assert_eq!(reason(emitter("e", binary)), FailureReason::Serialization);
    let json = kete_routes::serializer("json").unwrap();
    assert_eq!(
        reason(emitter("${resourceTypeLowerCase}", json)),
        FailureReason::EventName
    );
}

#[test]
fn the_plan_knows_the_name_of_an_event_before_anything_is_built() {
    let (plan, said) = check_section(&[
        "kind=socketio",
        "url=http://h",
        "event-name=${realmUpperCase}",
    ]);
    assert_eq!(said, "");
    let subject = plan
        .unwrap()
        .subject(&metadata(), LOGIN.as_bytes())
        .unwrap();
    assert_eq!(&*subject, "SHOP");
}

#[test]
fn only_acknowledgements_hold_back_the_next_event_of_a_key() {
    for (confirm, expected) in [("barrier", false), ("written", false), ("ack", true)] {
        let line = format!("confirm={confirm}");
        let (plan, _) = check_section(&[&LINES[..], &[&line]].concat());
        assert_eq!(plan.unwrap().lane().one_per_key, expected, "{confirm}");
    }
}

#[test]
fn a_total_order_allows_one_connection_whatever_the_pool_says() {
    let build = |more: &[&str]| {
        let (plan, said) = check_section(&[&LINES[..], more].concat());
        plan.unwrap_or_else(|| panic!("{said}"))
            .build()
            .unwrap()
            .max_connections()
    };
    assert_eq!(build(&["pool.max-total=7"]), 7);
    assert_eq!(build(&["pool.max-total=7", "ordering=total"]), 1);
}

#[tokio::test]
async fn where_nothing_listens_the_failure_says_so_and_closing_is_quick() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("url=http://127.0.0.1:{port}");
    let (plan, _) = check_section(&["kind=socketio", &url, "event-name=e"]);
    let destination = plan.unwrap().build().unwrap();
    let failure = destination.connect().await.err().unwrap();
    assert_eq!(failure.kind, kete_pipeline::ConnectFailureKind::Unreachable);
    let origin = format!("http://127.0.0.1:{port}: cannot connect");
    assert!(failure.message.starts_with(&origin), "{}", failure.message);
    destination.close().await;
    let failure = destination.connect().await.err().unwrap();
    assert!(
        failure.message.ends_with("closing its connections"),
        "{}",
        failure.message
    );
}
