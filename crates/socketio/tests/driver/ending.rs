//! Every way in which a ready connection ends, and the reason that is given.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use kete_socketio::{CloseReason, Closed, Notification};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, advance},
};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use crate::fake::{LIVENESS, connected, emit, end, next};

const ROOM: usize = 64 * 1024;

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_noticed_at_the_deadline_and_not_before() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    advance(Duration::from_secs(25)).await;
    let pinged = Instant::now();
    server.say("2").await;
    assert_eq!(server.hear_text().await, "3");
    server.say(r#"42["no ping"]"#).await;
    assert!(next(&mut receiver).await.contains("no ping"));
    let reason = end(&mut receiver).await;
    assert!(
        matches!(reason, CloseReason::Silent { limit } if limit == LIVENESS),
        "{reason:?}"
    );
    let late = pinged.elapsed() - LIVENESS;
    assert!(late <= Duration::from_millis(2), "{late:?}");
    assert_eq!(sender.send(vec![]), Err(Closed));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_reading_and_goes_silent_is_noticed_although_writing_hangs() {
    let (sender, mut receiver, server) = connected(512).await;
    let started = Instant::now();
    sender
        .send((0..1000).map(|_| emit(&"1".repeat(600), None)).collect())
        .unwrap();
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::Silent { .. }), "{reason:?}");
    assert!(started.elapsed() <= LIVENESS + Duration::from_millis(2));
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_pings_but_reads_nothing_is_noticed_too() {
    let (sender, mut receiver, mut server) = connected(512).await;
    sender
        .send((0..1000).map(|_| emit(&"1".repeat(600), None)).collect())
        .unwrap();
    let pinging = async {
        while server.socket.send(Message::text("2")).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(25)).await;
        }
    };
    let (reason, ()) = tokio::join!(end(&mut receiver), pinging);
    assert!(
        matches!(reason, CloseReason::WriteStalled { .. }),
        "{reason:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_floods_but_never_pings_is_no_live_server() {
    let (_sender, mut receiver, mut server) = connected(ROOM).await;
    let flood = async {
        while server
            .socket
            .send(Message::text(r#"42["noise"]"#))
            .await
            .is_ok()
        {
            advance(Duration::from_secs(1)).await;
        }
    };
    let (reason, ()) = tokio::join!(end(&mut receiver), flood);
    assert!(matches!(reason, CloseReason::Silent { .. }), "{reason:?}");
}

#[tokio::test]
async fn what_the_server_says_last_is_the_reason() {
    type Check = fn(&CloseReason) -> bool;
    let cases: [(&str, Check); 4] = [
        ("41", |reason| matches!(reason, CloseReason::Disconnected)),
        (
            r#"44"gone""#,
            |reason| matches!(reason, CloseReason::Refused { payload } if payload.as_str() == r#""gone""#),
        ),
        (r#"44{"message":"gone"}"#, |reason| {
            matches!(reason, CloseReason::Refused { .. })
        }),
        ("1", |reason| matches!(reason, CloseReason::EngineClosed)),
    ];
    for (packet, expected) in cases {
        let (sender, mut receiver, mut server) = connected(ROOM).await;
        server.say(r#"42["before"]"#).await;
        server.say(packet).await;
        assert!(next(&mut receiver).await.contains("before"));
        let reason = end(&mut receiver).await;
        assert!(expected(&reason), "{packet}: {reason:?}");
        assert!(sender.is_closed());
    }
}

#[tokio::test]
async fn a_close_code_is_kept_and_1009_has_its_own_reason() {
    for (code, text) in [(1009, "too big"), (1001, "restart"), (4000, "")] {
        let (_sender, mut receiver, mut server) = connected(ROOM).await;
        let frame = CloseFrame {
            code: code.into(),
            reason: text.into(),
        };
        server.socket.close(Some(frame)).await.unwrap();
        match end(&mut receiver).await {
            CloseReason::TooBig { reason } => assert_eq!((code, reason.as_str()), (1009, text)),
            CloseReason::ServerClosed {
                code: found,
                reason,
            } => {
                assert_eq!((found, reason.as_str()), (Some(code), text));
            }
            other => panic!("{other:?}"),
        }
        // The close is answered, as RFC 6455 wants it.
        assert!(matches!(
            server.socket.next().await,
            Some(Ok(Message::Close(_))) | None
        ));
    }
}

#[tokio::test]
async fn the_reason_of_the_server_is_found_although_writing_failed_first() {
    let (sender, mut receiver, mut server) = connected(256).await;
    sender
        .send((0..1000).map(|_| emit(&"1".repeat(600), None)).collect())
        .unwrap();
    server.hear_text().await;
    let frame = CloseFrame {
        code: 1009.into(),
        reason: "".into(),
    };
    server.socket.close(Some(frame)).await.unwrap();
    drop(server);
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::TooBig { .. }), "{reason:?}");
}

#[tokio::test]
async fn a_connection_that_just_stops_is_dropped() {
    let (_sender, mut receiver, server) = connected(ROOM).await;
    drop(server);
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::Dropped), "{reason:?}");
}

#[tokio::test]
async fn bytes_that_are_no_frames_and_text_that_is_no_utf8_are_faults() {
    let http = format!("HTTP/1.1 400 Bad Request\r\n\r\n{}", " ".repeat(100));
    for bytes in [http.as_bytes(), &[0x81, 1, 0xff]] {
        let (_sender, mut receiver, mut server) = connected(ROOM).await;
        server.socket.get_mut().write_all(bytes).await.unwrap();
        let reason = end(&mut receiver).await;
        assert!(matches!(reason, CloseReason::Protocol(_)), "{reason:?}");
    }
}

#[tokio::test]
async fn more_questions_than_answers_can_be_written_are_a_fault() {
    let (_sender, mut receiver, server) = connected(4096).await;
    let (mut sink, _unread) = server.socket.split();
    let asking = async {
        for id in 0.. {
            let question = Message::text(format!(r#"42{id}["?"]"#));
            if sink.send(question).await.is_err() {
                break;
            }
        }
    };
    let (reason, ()) = tokio::join!(end(&mut receiver), asking);
    assert!(matches!(reason, CloseReason::Protocol(_)), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_nothing_stops_the_reading_and_in_the_end_the_connection() {
    let (_sender, mut receiver, mut server) = connected(4096).await;
    let mut sent = 0;
    while server
        .socket
        .send(Message::text(r#"42["news"]"#))
        .await
        .is_ok()
    {
        sent += 1;
        assert!(sent < 100_000, "nothing stops the server");
    }
    let mut taken = 0;
    let reason = loop {
        match receiver.next().await.unwrap() {
            Notification::Event { .. } => taken += 1,
            Notification::Closed(reason) => break reason,
            other => panic!("{other:?}"),
        }
    };
    assert!(
        matches!(reason, CloseReason::NotTaken { limit } if limit == LIVENESS),
        "{reason:?}"
    );
    assert_eq!(taken, 4096);
    assert!(sent >= taken);
}

#[tokio::test(start_paused = true)]
async fn a_slow_caller_that_comes_back_in_time_loses_nothing() {
    let (_sender, mut receiver, mut server) = connected(4096).await;
    let flood = async {
        for number in 0..10_000 {
            server.say(&format!(r#"42["n",{number}]"#)).await;
        }
        server.say("41").await;
    };
    let slow = async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        for number in 0..10_000 {
            let expected = format!(r#"Event {{ name: "n", payload: b"{number}" }}"#);
            assert_eq!(next(&mut receiver).await, expected);
        }
        end(&mut receiver).await
    };
    let ((), reason) = tokio::join!(flood, slow);
    assert!(matches!(reason, CloseReason::Disconnected), "{reason:?}");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_ends_all_the_same() {
    let (sender, mut receiver, server) = connected(ROOM).await;
    sender.close();
    let reason = end(&mut receiver).await;
    assert!(
        matches!(reason, CloseReason::Requested { answered: false }),
        "{reason:?}"
    );
    drop(server);
}

#[tokio::test]
async fn abort_ends_at_once_and_says_so() {
    let (sender, mut receiver, mut server) = connected(ROOM).await;
    sender.abort();
    let reason = end(&mut receiver).await;
    assert!(matches!(reason, CloseReason::Aborted), "{reason:?}");
    assert_eq!(sender.send(vec![]), Err(Closed));
    assert!(
        !matches!(server.socket.next().await, Some(Ok(_))),
        "the stream is gone"
    );
}

#[tokio::test]
async fn dropping_the_receiver_ends_both_tasks() {
    let (sender, receiver, mut server) = connected(ROOM).await;
    drop(receiver);
    assert_eq!(sender.send(vec![]), Err(Closed));
    assert!(
        !matches!(server.socket.next().await, Some(Ok(_))),
        "the stream is gone"
    );
}
