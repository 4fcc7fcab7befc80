//! One client: reads until it leaves, counts, and answers what must be answered. The answers of
//! one read go out in one write.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use crate::Options;
use crate::frames::{Frame, Scanner};
use crate::packets::{self, Packet};
use crate::stream::{Incoming, Outgoing};
use crate::totals::{Arrived, LatencyField, Totals, now_us};

/// The write side of a client, shared with whoever sends the server's pings.
pub(crate) type Writer = Arc<Mutex<Outgoing>>;

pub(crate) struct Session<'a> {
    number: u64,
    reader: Incoming,
    writer: Writer,
    totals: &'a Totals,
    latency: Option<LatencyField>,
    scanner: Scanner,
    out: Vec<u8>,
    arrived: Arrived,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        number: u64,
        reader: Incoming,
        writer: Writer,
        totals: &'a Totals,
        options: &Options,
    ) -> Session<'a> {
        let latency = options.latency.as_deref().map(LatencyField::new);
        let scanner = Scanner::new(latency.is_some());
        let (out, arrived) = (Vec::new(), Arrived::default());
        Session {
            number,
            reader,
            writer,
            totals,
            latency,
            scanner,
            out,
            arrived,
        }
    }

    /// Answers the upgrade and opens the Engine.IO session.
    pub(crate) fn open(&mut self, accept: &str, options: &Options) -> Result<()> {
        let upgrade = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.out.extend_from_slice(upgrade.as_bytes());
        packets::push_text(&mut self.out, &packets::open(self.number, options));
        self.flush()
    }

    /// Serves the client until it leaves; an error is how a connection that broke ends.
    pub(crate) fn run(mut self) -> Result<()> {
        loop {
            let count = self.reader.read(self.scanner.room())?;
            if count == 0 {
                return Ok(());
            }
            self.scanner.filled(count);
            let open = self.take_frames()?;
            self.totals.add(&mut self.arrived);
            self.flush()?;
            if !open {
                return Ok(());
            }
        }
    }

    /// Handles what has arrived; false when the client said goodbye.
    fn take_frames(&mut self) -> Result<bool> {
        let now = if self.latency.is_some() { now_us() } else { 0 };
        while let Some(frame) = self.scanner.next_frame()? {
            match frame {
                Frame::Text { start, length } => {
                    self.arrived.bytes += length;
                    match Packet::parse(start) {
                        Packet::Event {
                            namespace,
                            acknowledge,
                        } => {
                            self.arrived.events += 1;
                            if let Some(id) = acknowledge {
                                let answer = packets::acknowledgement(namespace, id);
                                packets::push_text(&mut self.out, &answer);
                            }
                            let field = self.latency.as_ref();
                            let sample = field.and_then(|field| field.latency_us(start, now));
                            self.arrived.latencies_us.extend(sample);
                        }
                        Packet::Connect(namespace) => {
                            let answer = packets::connect_reply(self.number, namespace);
                            packets::push_text(&mut self.out, &answer);
                        }
                        Packet::Close => return Ok(false),
                        Packet::Other => {}
                    }
                }
                Frame::Ping(payload) => packets::push_frame(&mut self.out, 0x8a, payload),
                Frame::Close => {
                    packets::push_frame(&mut self.out, 0x88, &[]);
                    return Ok(false);
                }
                Frame::Other { length } => self.arrived.bytes += length,
                Frame::Pong => {}
            }
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer.write_all(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }
}
