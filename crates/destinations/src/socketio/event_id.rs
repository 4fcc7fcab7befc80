//! The last argument by which receivers tell repeats: `{"id":"…","attempt":1,"replay":false}`.
//!
//! The event itself stays as it is, so that a receiver that knows nothing of this need not change.

use bytes::{BufMut, Bytes, BytesMut};
use kete_pipeline::Outgoing;
use serde_json::Value;

/// What the argument takes beside the id, at the most.
const AROUND_THE_ID: usize = r#",{"id":"","attempt":4294967295,"replay":false}"#.len();

/// The JSON texts of the event and of the argument, with a comma in between.
pub(crate) fn with_argument(outgoing: &Outgoing) -> Bytes {
    let Outgoing {
        prepared,
        record,
        attempt,
        ..
    } = outgoing;
    let id = Value::from(&*record.header.event_id).to_string();
    let replay = record.is_replay();
    let length = prepared.payload.len() + AROUND_THE_ID + id.len();
    let mut arguments = BytesMut::with_capacity(length);
    arguments.put_slice(&prepared.payload);
    if !prepared.payload.is_empty() {
        arguments.put_u8(b',');
    }
    let argument = format!(r#"{{"id":{id},"attempt":{attempt},"replay":{replay}}}"#);
    arguments.put_slice(argument.as_bytes());
    arguments.freeze()
}

#[cfg(test)]
mod tests {
    use kete_pipeline::Target;

    use super::*;
    use crate::testing::outgoing;

    fn argument(outgoing: &Outgoing) -> Value {
        let text = with_argument(outgoing);
        let both: Vec<Value> = serde_json::from_slice(&[b"[", &*text, b"]"].concat()).unwrap();
        assert_eq!(both[0], serde_json::json!({ "type": "LOGIN" }));
        assert!(text.len() <= outgoing.prepared.payload.len() + AROUND_THE_ID + 20);
        both[1].clone()
    }

    #[test]
    fn it_names_the_event_the_attempt_and_whether_it_is_a_replay() {
        let mut event = outgoing(r#"{"type":"LOGIN"}"#, "7f", Target::AllRoutes);
        let first = serde_json::json!({ "id": "7f", "attempt": 1, "replay": false });
        assert_eq!(argument(&event), first);
        event.attempt = u32::MAX;
        assert_eq!(argument(&event)["attempt"], u32::MAX);
        let replay = outgoing(r#"{"type":"LOGIN"}"#, "7f", Target::Route("a".into()));
        assert_eq!(argument(&replay)["replay"], true);
    }

    #[test]
    fn any_id_is_json() {
        let id = "say \"hi\"\n\\ \u{1f600}";
        let event = outgoing(r#"{"type":"LOGIN"}"#, id, Target::AllRoutes);
        assert_eq!(argument(&event)["id"], id);
    }

    #[test]
    fn an_event_without_an_argument_of_its_own_has_this_one_alone() {
        let text = with_argument(&outgoing("", "7f", Target::AllRoutes));
        assert_eq!(text, r#"{"id":"7f","attempt":1,"replay":false}"#);
    }
}
