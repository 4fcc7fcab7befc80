//! A Redis stream: every event an XADD, a batch in one write, safe when all are answered.
//!
//! With `appendfsync always` Redis syncs its file before it answers, once for all commands that it
//! found waiting. The commands are written by hand, as <https://redis.io/docs/latest/develop/reference/protocol-spec/>
//! has them: a client library would only add to what is measured.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};

use crate::{Load, Meter};

const DISTINCT: usize = 10_000;

pub(crate) fn run(load: &Load, address: &str, pid: u32) -> Result<()> {
    let events = measure::first_events(&load.events, DISTINCT)?;
    let commands: Vec<Vec<u8>> = events.iter().map(|event| add(event)).collect();
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let mut next = events.iter().zip(&commands).cycle();
    let mut meter = Meter::start(load, Some(pid))?;
    let mut line = String::new();
    while meter.goes_on() {
        let mut request = Vec::new();
        let mut bytes = 0;
        for (event, command) in next.by_ref().take(load.batch) {
            request.extend_from_slice(command);
            bytes += event.len();
        }
        stream.write_all(&request)?;
        for _ in 0..load.batch {
            // The answer is the id of the entry: a line with its length, a line with it.
            line.clear();
            answers.read_line(&mut line)?;
            ensure!(line.starts_with('$'), "redis answered {line:?}");
            line.clear();
            answers.read_line(&mut line)?;
        }
        meter.took(load.batch, bytes);
    }
    meter.print()
}

/// `XADD events MAXLEN ~ 100000 * event …`
fn add(event: &str) -> Vec<u8> {
    let parts = [
        "XADD", "events", "MAXLEN", "~", "100000", "*", "event", event,
    ];
    let mut command = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        command.extend_from_slice(format!("${}\r\n{part}\r\n", part.len()).as_bytes());
    }
    command
}
