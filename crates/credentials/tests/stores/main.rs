//! Stores and keys as keytool and openssl write them: whole, encrypted, broken and misplaced.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod chains;
mod damage;
mod facts;
mod fixtures;
mod identities;
mod passwords;
mod pem_texts;
mod private_keys;
mod trust;
mod ways_out;
mod wrong_kinds;
