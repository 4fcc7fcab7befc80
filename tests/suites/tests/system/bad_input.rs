//! Input that is no event: it is reported with its place and counted, its text stays out of the
//! log, and the good events before and behind it arrive.

use anyhow::{Result, ensure};
use kete_suites::{
    Kete, Sample, Server, check_delivery, check_each_once, from_stdin, from_webhook, full,
    generate, lines, post_raw, to_socketio,
};

const MIB: u64 = 1024 * 1024;

/// Text of a bad line that must not be found anywhere.
const SECRET: &str = "never-to-be-logged";

#[tokio::test]
async fn bad_lines_are_named_counted_and_skipped() -> Result<()> {
    let events = generate(61, 5, 60);
    let server = Server::node().start().await?;
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &server.url(), &[])]).await?;

    let deep = format!(
        "{{\"type\":\"LOGIN\",\"x\":{}1{}}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let truncated = &events[0].json[..events[0].json.len() / 2];
    let bad_lines: [&[u8]; 7] = [
        SECRET.as_bytes(),
        b"{\"name\":\"never-to-be-logged\"}",
        truncated.as_bytes(),
        b"{\"type\":\"LOGIN\",\"userId\":\"never-to-be-logged \xff\xfe\"}",
        deep.as_bytes(),
        b"[1,2,3]",
        b"{\"type\":\"LOGIN\",\"time\":\"never-to-be-logged\"}",
    ];
    let mut input = Vec::new();
    for (good, bad) in events.chunks(8).zip(bad_lines) {
        input.extend(lines(good));
        input.extend([bad, b"\n"].concat());
    }
    let good = &events[..8 * bad_lines.len()];
    kete.feed(&input).await?;
    kete.close_stdin();
    let ended = kete.ended().await?;

    ensure!(
        ended.code == 1,
        "a job with bad lines ended with {}",
        ended.code
    );
    ensure!(ended.summary()?.number("bad") == 7, "{:?}", ended.summary());
    let complaints = ended
        .log
        .iter()
        .filter(|line| line.text("message").contains("not an event"));
    let places: Vec<u64> = complaints.map(|line| line.number("line")).collect();
    ensure!(
        places == [9, 18, 27, 36, 45, 54, 63],
        "the places are {places:?}"
    );
    ensure!(
        !kete.log_text().contains(SECRET),
        "what was in a bad line is in the log"
    );
    ensure!(
        !kete.log_text().contains(&events[0].id),
        "what was in a bad line is in the log"
    );
    let arrivals = server.arrivals().await?;
    check_delivery(good, &arrivals)?;
    check_each_once(&arrivals)
}

#[tokio::test]
async fn an_endless_line_is_named_counted_and_takes_no_memory() -> Result<()> {
    let events = generate(62, 5, 40);
    let (before, after) = events.split_at(20);
    let server = Server::node().start().await?;
    let mut kete = Kete::run(&[from_stdin(), to_socketio("all", &server.url(), &[])]).await?;

    kete.feed_events(before).await?;
    let block = vec![b'x'; MIB as usize];
    for _ in 0..if full() { 1024 } else { 300 } {
        kete.feed(&block).await?;
    }
    kete.feed(b"\n").await?;
    kete.feed_events(after).await?;
    kete.wait_until("all good events are delivered", |now| {
        now.forwarded("all") == 40
    })
    .await?;
    let memory = kete.memory()?;
    ensure!(memory.peak < 64 * MIB, "it took {} MiB", memory.peak / MIB);
    ensure!(
        kete.metrics().await?.bad() == 1,
        "the line is not counted once"
    );
    kete.close_stdin();
    let ended = kete.ended().await?;

    ensure!(
        ended.code == 1,
        "a job with a bad line ended with {}",
        ended.code
    );
    let named = ended.log.iter().any(|line| {
        line.number("line") == 21 && line.text("reason").contains("max-line-size=1MiB")
    });
    ensure!(named, "the line is not named");
    check_delivery(&events, &server.arrivals().await?)
}

#[tokio::test]
async fn bad_bodies_are_refused_with_a_reason_and_counted() -> Result<()> {
    let events = generate(63, 5, 40);
    let server = Server::node().start().await?;
    let source = from_webhook(&["max-body-size=64KiB"]);
    let kete = Kete::run(&[source, to_socketio("all", &server.url(), &[])]).await?;

    post_good(&kete, &events[..20]).await?;
    let truncated = &events[0].json[..events[0].json.len() / 2];
    let half_an_array = format!("[{},", events[20].json);
    let one_bad_of_two = format!("{}\n{SECRET}", events[20].json);
    for body in [
        SECRET,
        truncated,
        &half_an_array,
        &one_bad_of_two,
        "",
        "[1,2]",
    ] {
        let status = kete.post(body.to_owned()).await?;
        ensure!(status == 400, "{body:?} is answered with {status}");
    }
    let too_big = kete.post("x".repeat(65 * 1024)).await?;
    ensure!(
        too_big == 413,
        "a body that is too big is answered with {too_big}"
    );
    post_cut_off(&kete, &events[20]).await?;
    kete.wait_until("all of them are counted", |now| now.bad() == 8)
        .await?;
    post_good(&kete, &events[20..]).await?;

    let arrivals = server.wait_for(events.len()).await?;
    check_delivery(&events, &arrivals)?;
    check_each_once(&arrivals)?;
    ensure!(
        !kete.log_text().contains(SECRET),
        "what was in a bad body is in the log"
    );
    let reasons: Vec<String> = kete
        .log()
        .iter()
        .filter(|line| line.text("source") == "hook")
        .map(|line| line.text("reason").to_owned())
        .collect();
    for words in ["event 2", "max-body-size", "cut off", "empty"] {
        ensure!(
            reasons.iter().any(|reason| reason.contains(words)),
            "{words}: {reasons:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_place_for_a_configuration_is_named() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let missing = directory.path().join("missing.properties");
    for path in [directory.path(), &missing] {
        let path = path.display().to_string();
        let ended = kete_suites::check(&["--config", &path]).await?;
        ensure!(ended.code == 2, "{path} ended with {}", ended.code);
        ensure!(
            ended.stdout.contains(&path),
            "{path} is not named: {}",
            ended.stdout
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_named() -> Result<()> {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let address = taken.local_addr()?;
    let source = format!(
        "kete.sources.hook.kind=webhook\nkete.sources.hook.bind={address}\n\
         kete.routes.all.destination.kind=stdout\n"
    );
    let Err(error) = Kete::run(&[source]).await else {
        anyhow::bail!("it runs, though its port is taken");
    };
    let said = format!("{error:#}");
    for words in [
        address.to_string().as_str(),
        "in use",
        "kete.sources.hook.bind",
    ] {
        ensure!(said.contains(words), "{words} is not named: {said}");
    }
    Ok(())
}

async fn post_good(kete: &Kete, events: &[Sample]) -> Result<()> {
    let status = kete.post(lines(events)).await?;
    ensure!(
        status.is_success(),
        "good events are answered with {status}"
    );
    Ok(())
}

/// A body that ends before it is as long as its head says.
async fn post_cut_off(kete: &Kete, event: &Sample) -> Result<()> {
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: kete\r\nContent-Length: {}\r\n\r\n{}",
        event.json.len() + 100,
        event.json
    );
    let answer = post_raw(kete.webhook_port().await?, request.as_bytes()).await?;
    ensure!(
        !answer.starts_with("HTTP/1.1 2"),
        "half a body is answered with {answer}"
    );
    Ok(())
}
