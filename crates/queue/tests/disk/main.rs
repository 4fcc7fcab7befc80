//! The log on disk: what is there when it is opened again, what it refuses, what its bounds do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod directory;
mod reopen;
mod support;
