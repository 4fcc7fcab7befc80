//! What a ready connection puts on the wire and what it tells its owner.

use futures_util::SinkExt;
use kete_socketio::{BarrierKind, Closed, TooLarge};
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{connected, emit, end, next};

const ROOM: usize = 64 * 1024;

#[tokio::test]
async fn events_and_barriers_arrive_in_the_order_of_the_calls() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    sender
        .send(vec![emit(r#"{"n":1}"#, None), emit("", Some(0))])
        .unwrap();
    sender.barrier(BarrierKind::Ping, 7).unwrap();
    sender.send(vec![emit("3", Some(2_147_483_647))]).unwrap();
    assert_eq!(server.hear_text().await, r#"42["x",{"n":1}]"#);
    assert_eq!(server.hear_text().await, r#"420["x"]"#);
    assert_eq!(
        server.hear().await,
        Message::Ping(7_u64.to_be_bytes().to_vec().into())
    );
    assert_eq!(server.hear_text().await, r#"422147483647["x",3]"#);
    assert_eq!(next(&mut receiver).await, "Barrier(7)");
}

#[tokio::test]
async fn a_pong_for_no_ping_of_ours_is_no_barrier() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    for payload in [&b"hello"[..], b"", &9_u64.to_be_bytes()] {
        server
            .socket
            .send(Message::Pong(payload.to_vec().into()))
            .await
            .unwrap();
    }
    sender.barrier(BarrierKind::Ping, 1).unwrap();
    server.hear().await;
    server.socket.flush().await.unwrap();
    assert_eq!(next(&mut receiver).await, "Barrier(1)");
}

#[tokio::test]
async fn the_namespace_barrier_asks_once_at_a_time_and_leaves_a_namespace_that_exists() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    for id in 1..=3 {
        sender.send(vec![emit("0", None)]).unwrap();
        sender.barrier(BarrierKind::Namespace, id).unwrap();
    }
    assert_eq!(server.hear_text().await, r#"42["x",0]"#);
    assert_eq!(server.hear_text().await, "40/kete-barrier,");
    assert_eq!(server.hear_text().await, r#"42["x",0]"#);
    assert_eq!(server.hear_text().await, r#"42["x",0]"#);
    server.say(r#"40/kete-barrier,{"sid":"b"}"#).await;
    assert_eq!(next(&mut receiver).await, "Barrier(1)");
    assert_eq!(server.hear_text().await, "41/kete-barrier,");
    assert_eq!(server.hear_text().await, "40/kete-barrier-2,");
    server.say(r#"44/kete-barrier-2,"Invalid namespace""#).await;
    assert_eq!(next(&mut receiver).await, "Barrier(3)");
}

#[tokio::test]
async fn the_engine_ping_barrier_is_answered_by_a_pong_packet() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    server.say("3").await;
    sender.barrier(BarrierKind::EnginePing, 5).unwrap();
    assert_eq!(server.hear_text().await, "2");
    server.say("3").await;
    assert_eq!(next(&mut receiver).await, "Barrier(5)");
}

#[tokio::test]
async fn acknowledgements_are_passed_on_once_and_only_when_asked_for() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    server.say("437[]").await;
    server.say("2").await;
    assert_eq!(
        server.hear_text().await,
        "3",
        "the unasked acknowledgement has been read"
    );
    sender
        .send(vec![emit("1", Some(7)), emit("2", Some(8))])
        .unwrap();
    server.hear_text().await;
    server.hear_text().await;
    for answer in [
        "434294967303[]",
        r#"438["late"]"#,
        "438[]",
        "439[]",
        "437[]",
    ] {
        server.say(answer).await;
    }
    assert_eq!(
        next(&mut receiver).await,
        r#"Ack { id: 8, payload: b"[\"late\"]" }"#
    );
    assert_eq!(
        next(&mut receiver).await,
        r#"Ack { id: 7, payload: b"[]" }"#
    );
}

#[tokio::test]
async fn a_question_of_the_server_gets_an_empty_acknowledgement_and_a_ping_its_pong() {
    let (_sender, mut receiver, mut server) = connected(ROOM).await;
    server.say(r#"4212["are you there",1]"#).await;
    server.say("2").await;
    assert_eq!(server.hear_text().await, "4312[]");
    assert_eq!(server.hear_text().await, "3");
    let event = r#"Event { name: "are you there", payload: b"1" }"#;
    assert_eq!(next(&mut receiver).await, event);
}

#[tokio::test]
async fn a_websocket_ping_of_the_server_is_answered() {
    let (_sender, _receiver, mut server) = connected(ROOM).await;
    let ping = Message::Ping(b"proxy"[..].into());
    server.socket.send(ping).await.unwrap();
    assert_eq!(server.hear().await, Message::Pong(b"proxy"[..].into()));
}

#[tokio::test]
async fn binary_attachments_are_skipped() {
    let (_sender, mut receiver, mut server) = connected(ROOM).await;
    server
        .say(r#"451-["file",{"_placeholder":true,"num":0}]"#)
        .await;
    server
        .socket
        .send(Message::binary(vec![0xff; 100]))
        .await
        .unwrap();
    server.say(r#"42["next"]"#).await;
    assert!(next(&mut receiver).await.contains("file"));
    assert!(next(&mut receiver).await.contains("next"));
}

#[tokio::test]
async fn flushed_is_reported_once_everything_before_left() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    sender.send(vec![emit("1", None)]).unwrap();
    sender.flushed(4).unwrap();
    assert_eq!(next(&mut receiver).await, "Flushed(4)");
    assert_eq!(server.hear_text().await, r#"42["x",1]"#);
}

#[tokio::test]
async fn a_packet_larger_than_the_server_takes_is_refused_before_it_is_sent() {
    let (sender, _receiver, _server) = connected(ROOM).await;
    // 42["x",...] is eight bytes around the payload.
    assert_eq!(sender.fits(&emit(&"1".repeat(92), None)), Ok(()));
    let too_large = Err(TooLarge {
        size: 101,
        limit: 100,
    });
    assert_eq!(sender.fits(&emit(&"1".repeat(93), None)), too_large);
    assert_eq!(sender.fits(&emit(&"1".repeat(92), Some(9))), too_large);
}

#[tokio::test]
async fn a_pong_goes_past_a_burst_that_waits() {
    let (sender, _receiver, mut server) = connected(512).await;
    let burst = (0..5000).map(|_| emit(&"1".repeat(600), None)).collect();
    sender.send(burst).unwrap();
    assert!(server.hear_text().await.starts_with("42"));
    server.say("2").await;
    let mut events = 1;
    while server.hear_text().await != "3" {
        events += 1;
    }
    assert!(events < 1000, "the pong came only after {events} events");
}

#[tokio::test]
async fn close_writes_everything_first_and_never_leaves_the_namespace() {
    let (sender, mut receiver, mut server) = connected(512).await;
    sender
        .send((0..100).map(|_| emit("1", None)).collect())
        .unwrap();
    sender.close();
    assert_eq!(sender.send(vec![emit("1", None)]), Err(Closed));
    for _ in 0..100 {
        assert_eq!(server.hear_text().await, r#"42["x",1]"#);
    }
    assert_eq!(server.hear_text().await, "1");
    assert!(
        matches!(server.hear().await, Message::Close(Some(frame)) if frame.code == 1000.into())
    );
    let answer = async {
        while futures_util::StreamExt::next(&mut server.socket)
            .await
            .is_some()
        {}
    };
    let (reason, ()) = tokio::join!(end(&mut receiver), answer);
    assert_eq!(format!("{reason:?}"), "Requested { answered: true }");
}

#[tokio::test]
async fn dropping_the_last_sender_closes_in_order() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    let other = sender.clone();
    drop(sender);
    other.send(vec![emit("1", None)]).unwrap();
    drop(other);
    assert_eq!(server.hear_text().await, r#"42["x",1]"#);
    assert_eq!(server.hear_text().await, "1");
    assert!(matches!(server.hear().await, Message::Close(_)));
    drop(server);
    assert!(matches!(
        end(&mut receiver).await,
        kete_socketio::CloseReason::Requested { .. }
    ));
}
