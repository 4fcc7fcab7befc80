//! Puts a private key and certificates together: the certificate of that key first, then whoever
//! issued it, and so on.

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::StoreError;
use super::keys::{self, Scalar};
use super::kind::Kind;
use super::x509::Parts;
use super::{Identity, KeyEntry, Store};
use crate::certificate::CertificateFacts;

/// The key that is meant, with its chain.
pub(super) fn of_store(
    store: &Store,
    alias: Option<&str>,
    key: Option<PrivateKeyDer<'static>>,
) -> Result<Identity, StoreError> {
    let entry = match (&key, store.keys.as_slice()) {
        (Some(_), []) => None,
        (Some(_), _) => return Err(StoreError::KeyGivenTwice),
        (None, keys) => Some(chosen(store, keys, alias)?),
    };
    if let (None, Some(alias)) = (entry, alias) {
        return Err(no_such_alias(alias, &[]));
    }
    let key = match (key, entry) {
        (Some(key), _) => key,
        (None, Some(entry)) => entry.key.as_ref().map_err(Clone::clone)?.clone_key(),
        (None, None) => return Err(no_key(store)),
    };
    let certificates = entry
        .and_then(|entry| entry.chain.as_ref())
        .unwrap_or(&store.certificates);
    pair(store.kind, certificates, key)
}

fn chosen<'s>(
    store: &Store,
    keys: &'s [KeyEntry],
    alias: Option<&str>,
) -> Result<&'s KeyEntry, StoreError> {
    let Some(alias) = alias else {
        return match keys {
            [] => Err(no_key(store)),
            [only] => Ok(only),
            several => Err(StoreError::SeveralKeys {
                aliases: aliases(several),
            }),
        };
    };
    if keys.is_empty() {
        return Err(no_key(store));
    }
    let named = |matches: fn(&str, &str) -> bool| {
        keys.iter().find(|entry| {
            let found = entry.alias.as_deref();
            found.is_some_and(|found| matches(found, alias))
        })
    };
    named(|found, wanted| found == wanted)
        .or_else(|| named(|found, wanted| found.to_lowercase() == wanted.to_lowercase()))
        .ok_or_else(|| no_such_alias(alias, keys))
}

fn no_key(store: &Store) -> StoreError {
    StoreError::NoKey {
        kind: store.kind,
        only: match (store.certificates.is_empty(), store.secret_keys) {
            (false, _) => Some("certificates"),
            (true, true) => Some("secret keys"),
            (true, false) => None,
        },
    }
}

fn no_such_alias(alias: &str, keys: &[KeyEntry]) -> StoreError {
    StoreError::NoSuchAlias {
        alias: super::printable(alias),
        aliases: aliases(keys),
    }
}

fn aliases(keys: &[KeyEntry]) -> Vec<String> {
    let mut aliases: Vec<_> = keys
        .iter()
        .filter_map(|entry| entry.alias.as_deref())
        .map(super::printable)
        .collect();
    aliases.sort();
    aliases
}

/// Finds the certificate of a key, and its chain.
fn pair(
    kind: Kind,
    certificates: &[CertificateDer<'static>],
    key: PrivateKeyDer<'static>,
) -> Result<Identity, StoreError> {
    if certificates.is_empty() {
        return Err(StoreError::NoCertificate {
            kind,
            only: Some("a private key"),
        });
    }
    let parts = all_parts(certificates)?;
    let (leaf, key) = leaf(certificates, &parts, key)?;
    let chain = chain(&parts, leaf)
        .into_iter()
        .filter_map(|index| certificates.get(index).cloned())
        .collect();
    Ok(Identity { chain, key })
}

fn all_parts<'c>(certificates: &'c [CertificateDer<'_>]) -> Result<Vec<Parts<'c>>, StoreError> {
    let mut all = Vec::with_capacity(certificates.len());
    for (index, certificate) in certificates.iter().enumerate() {
        let parts = Parts::of(certificate).map_err(|problem| StoreError::BadCertificate {
            number: index + 1,
            reason: problem.to_string(),
        })?;
        all.push(parts);
    }
    Ok(all)
}

/// The first certificate with the public key of a private key; and that key, completed if need be.
fn leaf(
    certificates: &[CertificateDer<'_>],
    parts: &[Parts<'_>],
    key: PrivateKeyDer<'static>,
) -> Result<(usize, PrivateKeyDer<'static>), StoreError> {
    if let Some(scalar) = Scalar::of(&key) {
        let completed = parts.iter().enumerate().find_map(|(index, parts)| {
            let (curve, point) = parts.point()?;
            let key = scalar.with(curve, point)?;
            keys::signing_key(&key).is_ok().then_some((index, key))
        });
        if let Some(completed) = completed {
            return Ok(completed);
        }
        if !scalar.is_usable() {
            keys::signing_key(&key)?;
        }
        return Err(wrong_key(certificates));
    }
    let signing = keys::signing_key(&key)?;
    let public = signing.public_key();
    let public = public.as_ref().map(|public| public.as_ref());
    let found = parts
        .iter()
        .position(|parts| Some(parts.public_key) == public);
    match found {
        Some(index) => Ok((index, key)),
        None => Err(wrong_key(certificates)),
    }
}

fn wrong_key(certificates: &[CertificateDer<'_>]) -> StoreError {
    const SHOWN: usize = 5;
    let subject = |certificate| match CertificateFacts::of(certificate) {
        Ok(facts) => facts.subject,
        Err(_) => "(unreadable)".to_owned(),
    };
    StoreError::WrongKey {
        subjects: certificates.iter().take(SHOWN).map(subject).collect(),
    }
}

/// From a certificate to whoever issued it, as far as that is here. Of several certificates with
/// the name of the issuer, the one whose key the certificate names counts; else the first.
fn chain(parts: &[Parts<'_>], leaf: usize) -> Vec<usize> {
    let mut chain = vec![leaf];
    let mut current = leaf;
    while let Some(certificate) = parts.get(current) {
        if certificate.is_root() {
            break;
        }
        let mut candidates = parts
            .iter()
            .enumerate()
            .filter(|(index, other)| certificate.names_as_issuer(other) && !chain.contains(index));
        let first = candidates.clone().next();
        let best = candidates.find(|(_, other)| certificate.identifies_as_issuer(other));
        let Some((next, _)) = best.or(first) else {
            break;
        };
        chain.push(next);
        current = next;
    }
    chain
}
