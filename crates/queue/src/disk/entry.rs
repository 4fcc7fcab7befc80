//! Events as a segment holds them: one batch is one or more frames, each with some records.
//!
//! ```text
//! first    8 bytes   the sequence number of the first record
//! count    4 bytes   how many records follow
//! flags    1 byte    1: the batch ends here; 2: what a source remembers follows
//! [source, state]    text and bytes, only with flag 2
//! records            each: length of the rest, then as `put_record` writes it
//! ```
//!
//! A batch counts only when all of its frames are there: that makes it all or none.

use std::sync::Arc;

use bytes::Bytes;
use kete_event::{Kind as EventKind, Metadata, Outcome};

use super::codec::{Input, Malformed, put_bytes, put_number, put_signed};
use super::ledger::Count;
use crate::record::size;
use crate::{Batch, ConsumerId, Draft, Header, Record, Sequence, SourceState, Target};

/// The payload of one frame; larger only for a single record that is.
const PART: usize = 128 * 1024;

const LAST: u8 = 1;
const STATE: u8 = 2;

/// The bits of a record's flags.
mod flag {
    pub(super) const ID_DERIVED: u8 = 1;
    pub(super) const ADMIN: u8 = 2;
    pub(super) const ERROR: u8 = 4;
    pub(super) const ONE_ROUTE: u8 = 8;
    pub(super) const REALM: u8 = 16;
    pub(super) const RESOURCE_TYPE: u8 = 32;
    pub(super) const OPERATION_TYPE: u8 = 64;
    /// The metadata have another id than the header.
    pub(super) const OTHER_ID: u8 = 128;
}

/// The payloads of a batch's frames, as yet without the sequence number of each.
pub(super) fn encode(batch: &Batch) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut part = Part::new();
    let mut record = Vec::new();
    for draft in &batch.drafts {
        record.clear();
        put_record(&mut record, draft);
        if part.count > 0 && part.records.len() + record.len() > PART {
            parts.push(std::mem::replace(&mut part, Part::new()).finish(None));
        }
        part.count += 1;
        put_bytes(&mut part.records, &record);
    }
    let state = batch.state.as_ref();
    parts.push(part.finish(Some(state)));
    parts
}

/// Says which record is the first of each part.
pub(super) fn number(parts: &mut [Vec<u8>], mut first: Sequence) {
    for part in parts {
        let count = part.get(8..12).and_then(|count| count.try_into().ok());
        part[..8].copy_from_slice(&first.to_le_bytes());
        first += u64::from(u32::from_le_bytes(count.unwrap_or_default()));
    }
}

/// A frame's payload in the making.
struct Part {
    count: u32,
    records: Vec<u8>,
}

impl Part {
    fn new() -> Part {
        Part {
            count: 0,
            records: Vec::new(),
        }
    }

    /// `last`: whether the batch ends here, and then what the source is to remember.
    fn finish(self, last: Option<Option<&SourceState>>) -> Vec<u8> {
        let mut payload = Vec::with_capacity(13 + self.records.len());
        payload.extend_from_slice(&[0; 8]);
        payload.extend_from_slice(&self.count.to_le_bytes());
        let state = last.flatten();
        let flags = [(last.is_some(), LAST), (state.is_some(), STATE)];
        payload.push(bits(&flags));
        if let Some(state) = state {
            put_bytes(&mut payload, state.source.as_bytes());
            put_bytes(&mut payload, &state.state);
        }
        payload.extend_from_slice(&self.records);
        payload
    }
}

fn bits(flags: &[(bool, u8)]) -> u8 {
    let set = flags.iter().filter(|(set, _)| *set);
    set.fold(0, |bits, (_, flag)| bits | flag)
}

fn put_record(out: &mut Vec<u8>, draft: &Draft) {
    let Header {
        event_id,
        id_derived,
        source,
        accepted_at,
        metadata,
        ordering_key,
        target,
    } = &draft.header;
    let route = match target {
        Target::AllRoutes => None,
        Target::Route(route) => Some(&**route),
    };
    let optional = [
        (metadata.realm.as_deref(), flag::REALM),
        (metadata.resource_type.as_deref(), flag::RESOURCE_TYPE),
        (metadata.operation_type.as_deref(), flag::OPERATION_TYPE),
        (route, flag::ONE_ROUTE),
        (
            (metadata.event_id != *event_id).then_some(&*metadata.event_id),
            flag::OTHER_ID,
        ),
    ];
    let mut flags = bits(&optional.map(|(text, flag)| (text.is_some(), flag)));
    flags |= bits(&[
        (*id_derived, flag::ID_DERIVED),
        (metadata.kind == EventKind::Admin, flag::ADMIN),
        (metadata.outcome == Outcome::Error, flag::ERROR),
    ]);
    out.push(flags);
    put_number(out, draft.wanted.len() as u64);
    for consumer in draft.wanted.iter() {
        put_number(out, u64::from(consumer.0));
    }
    put_signed(out, *accepted_at);
    put_bytes(out, event_id.as_bytes());
    put_bytes(out, ordering_key.as_bytes());
    put_bytes(out, source.as_bytes());
    put_bytes(out, metadata.event_type.as_bytes());
    for text in optional.iter().filter_map(|(text, _)| *text) {
        put_bytes(out, text.as_bytes());
    }
    out.extend_from_slice(&draft.body);
}

/// A frame of a batch.
#[derive(Debug)]
pub(super) struct Entries<'a> {
    pub(super) first: Sequence,
    pub(super) count: u32,
    /// Whether the batch ends here.
    pub(super) last: bool,
    pub(super) state: Option<(&'a str, &'a [u8])>,
    records: Input<'a>,
}

impl<'a> Entries<'a> {
    pub(super) fn parse(payload: &'a [u8]) -> Result<Entries<'a>, Malformed> {
        let mut input = Input(payload);
        let first = u64::from_le_bytes(input.fixed()?);
        let count = u32::from_le_bytes(input.fixed()?);
        let flags = input.byte()?;
        let state = if flags & STATE != 0 {
            Some((input.text()?, input.bytes()?))
        } else {
            None
        };
        first.checked_add(u64::from(count)).ok_or(Malformed)?;
        Ok(Entries {
            first,
            count,
            last: flags & LAST != 0,
            state,
            records: input,
        })
    }

    /// The sequence number behind the last record.
    pub(super) fn end(&self) -> Sequence {
        self.first + u64::from(self.count)
    }

    /// The next record; ask `count` times.
    pub(super) fn next(&mut self) -> Result<Entry<'a>, Malformed> {
        let mut input = Input(self.records.bytes()?);
        let flags = input.byte()?;
        let wanting = input.number()?;
        let wanted = input;
        for _ in 0..wanting {
            input.small()?;
        }
        let wanted = Input(&wanted.0[..wanted.0.len() - input.0.len()]);
        Ok(Entry {
            flags,
            wanted,
            rest: input,
        })
    }
}

/// One record, of which only the beginning was looked at.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    flags: u8,
    wanted: Input<'a>,
    rest: Input<'a>,
}

impl<'a> Entry<'a> {
    /// Whether it is for all routes whose matchers accept it.
    pub(super) fn is_for_all(&self) -> bool {
        self.flags & flag::ONE_ROUTE == 0
    }

    /// The consumers that want it.
    pub(super) fn wanted(&self) -> impl Iterator<Item = ConsumerId> + use<'a> {
        let mut wanted = self.wanted;
        std::iter::from_fn(move || wanted.small().ok().map(ConsumerId))
    }

    pub(super) fn accepted_at(&self) -> Result<i64, Malformed> {
        let mut rest = self.rest;
        rest.signed()
    }

    /// The id, if the event came with it.
    pub(super) fn own_id(&self) -> Result<Option<&'a str>, Malformed> {
        let mut rest = self.rest;
        rest.signed()?;
        let id = rest.text()?;
        Ok((self.flags & flag::ID_DERIVED == 0).then_some(id))
    }

    /// What it counts for.
    pub(super) fn count(&self) -> Result<Count, Malformed> {
        let mut rest = self.rest;
        rest.signed()?;
        let texts = rest.bytes()?.len() + rest.bytes()?.len();
        rest.bytes()?;
        rest.bytes()?;
        for flag in OPTIONAL {
            if self.flags & flag != 0 {
                rest.bytes()?;
            }
        }
        Ok(Count {
            events: 1,
            size: (texts + rest.0.len()) as u64,
        })
    }

    /// The whole record. `source` is used again where it is the same.
    pub(super) fn record(
        &self,
        sequence: Sequence,
        source: &mut Option<Arc<str>>,
    ) -> Result<Record, Malformed> {
        let mut rest = self.rest;
        let accepted_at = rest.signed()?;
        let event_id: Box<str> = rest.text()?.into();
        let ordering_key = rest.text()?.into();
        let source = shared(source, rest.text()?);
        let event_type = rest.text()?.into();
        let mut optional = [None; OPTIONAL.len()];
        for (text, flag) in optional.iter_mut().zip(OPTIONAL) {
            if self.flags & flag != 0 {
                *text = Some(rest.text()?);
            }
        }
        let [realm, resource_type, operation_type, route, other_id] = optional;
        let has = |flag| self.flags & flag != 0;
        let metadata = Metadata {
            kind: if has(flag::ADMIN) {
                EventKind::Admin
            } else {
                EventKind::User
            },
            realm: realm.map(Box::from),
            event_type,
            resource_type: resource_type.map(Box::from),
            operation_type: operation_type.map(Box::from),
            outcome: if has(flag::ERROR) {
                Outcome::Error
            } else {
                Outcome::Success
            },
            event_id: other_id.map_or_else(|| event_id.clone(), Box::from),
        };
        let header = Header {
            event_id,
            id_derived: has(flag::ID_DERIVED),
            source,
            accepted_at,
            metadata,
            ordering_key,
            target: route.map_or(Target::AllRoutes, |route| Target::Route(route.into())),
        };
        Ok(Record {
            sequence,
            header,
            // A copy: a part of what was read at once would keep all of it in memory.
            body: Bytes::copy_from_slice(rest.0),
        })
    }
}

/// The optional texts, in the order in which they are written.
const OPTIONAL: [u8; 5] = [
    flag::REALM,
    flag::RESOURCE_TYPE,
    flag::OPERATION_TYPE,
    flag::ONE_ROUTE,
    flag::OTHER_ID,
];

fn shared(known: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match known {
        Some(known) if **known == *text => Arc::clone(known),
        _ => Arc::clone(known.insert(Arc::from(text))),
    }
}

/// What a draft counts for.
pub(super) fn count(draft: &Draft) -> Count {
    Count {
        events: 1,
        size: size(&draft.header, &draft.body),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_bytes_make_it_panic() {
        proptest!(|(mut bytes: Vec<u8>, count in 0_u32..4, flags in 0_u8..4)| {
            let mut payload = vec![0; 8];
            payload.extend_from_slice(&count.to_le_bytes());
            payload.push(flags);
            payload.append(&mut bytes);
            let Ok(mut entries) = Entries::parse(&payload) else {
                return Ok(());
            };
            for sequence in entries.first..entries.end() {
                let Ok(entry) = entries.next() else {
                    break;
                };
                let _ = (entry.own_id(), entry.accepted_at(), entry.count());
                let _ = (entry.record(sequence, &mut None), entry.wanted().count());
            }
        });
    }
}
