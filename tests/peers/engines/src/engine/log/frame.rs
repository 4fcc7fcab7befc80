//! The frames of a segment, as bytes.
//!
//! ```text
//! frame = length u32 | crc32 of the payload u32 | payload
//! payload = 'S' key-length u16 key value                      a state
//!         | 'C' key-length u16 route cursor u64               a cursor
//!         | 'B' first u64 count u32 state-length u16 state-key-length u16 key value
//!               { length u32 record }                         a batch with its state
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, bail};

use super::super::Show;

/// Bytes before the payload of a frame.
pub(super) const HEAD: usize = 8;
/// The longest frame that is believed; a length beyond it is damage.
const LONGEST: u32 = 64 << 20;

/// A batch in the payload of its frame.
pub(super) struct Batch<'a> {
    pub(super) first: u64,
    pub(super) count: u32,
    /// Key and value.
    pub(super) state: &'a [u8],
    records: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Reads the payload of a batch, without its letter.
    pub(super) fn parse(mut rest: &'a [u8]) -> Result<Self> {
        let first = u64::from_le_bytes(take(&mut rest)?);
        let count = u32::from_le_bytes(take(&mut rest)?);
        let length = u16::from_le_bytes(take(&mut rest)?);
        let (state, records) = rest
            .split_at_checked(length.into())
            .context("a short state")?;
        Ok(Self {
            first,
            count,
            state,
            records,
        })
    }

    /// Shows the records from `next` to `until`; returns whether the batch is through.
    pub(super) fn show(&self, next: &mut u64, until: u64, show: &mut Show<'_>) -> Result<bool> {
        let end = self.first + u64::from(self.count);
        let mut rest = self.records;
        for seq in self.first..end.min(until) {
            let length = u32::from_le_bytes(take(&mut rest)?);
            let (record, after) = rest.split_at_checked(length as usize).context("a record")?;
            rest = after;
            if seq >= *next {
                show(seq, record);
                *next = seq + 1;
            }
        }
        Ok(end <= until)
    }
}

/// Puts a frame behind what is in `bytes`.
pub(super) fn push_frame(
    bytes: &mut Vec<u8>,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; HEAD]);
    payload(bytes)?;
    let (_, frame) = bytes.split_at_mut(start);
    let (head, payload) = frame.split_at_mut(HEAD);
    let (length, sum) = head.split_at_mut(4);
    length.copy_from_slice(&u32::try_from(payload.len())?.to_le_bytes());
    sum.copy_from_slice(&crc32fast::hash(payload).to_le_bytes());
    Ok(())
}

/// Reads the payload of the frame at an offset; returns the offset of the next one, or nothing
/// where the whole frames end.
pub(super) fn read_frame(file: &File, offset: u64, payload: &mut Vec<u8>) -> Result<Option<u64>> {
    payload.clear();
    let mut head = [0; HEAD];
    let end = file.metadata()?.len();
    if offset + HEAD as u64 > end {
        return Ok(None);
    }
    file.read_exact_at(&mut head, offset)?;
    let mut rest = head.as_slice();
    let length = u32::from_le_bytes(take(&mut rest)?);
    let sum = u32::from_le_bytes(take(&mut rest)?);
    let next = offset + HEAD as u64 + u64::from(length);
    if length == 0 || length > LONGEST || next > end {
        return Ok(None);
    }
    payload.resize(length as usize, 0);
    file.read_exact_at(payload, offset + HEAD as u64)?;
    if crc32fast::hash(payload) != sum {
        payload.clear();
        return Ok(None);
    }
    Ok(Some(next))
}

pub(super) fn push_state(payload: &mut Vec<u8>, kind: u8, key: &str, value: &[u8]) -> Result<()> {
    payload.push(kind);
    push_key(payload, key)?;
    payload.extend_from_slice(value);
    Ok(())
}

pub(super) fn push_key(payload: &mut Vec<u8>, key: &str) -> Result<()> {
    payload.extend_from_slice(&u16::try_from(key.len())?.to_le_bytes());
    payload.extend_from_slice(key.as_bytes());
    Ok(())
}

pub(super) fn split_key(mut rest: &[u8]) -> Result<(String, &[u8])> {
    let length = u16::from_le_bytes(take(&mut rest)?);
    let (key, value) = rest
        .split_at_checked(length.into())
        .context("a short key")?;
    Ok((String::from_utf8(key.to_vec())?, value))
}

pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let Some((first, after)) = rest.split_first_chunk() else {
        bail!("a frame with a right sum is too short");
    };
    *rest = after;
    Ok(*first)
}
