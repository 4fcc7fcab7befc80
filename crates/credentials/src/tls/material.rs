//! What the stores of a `tls` section hold: whom to trust, and who we are.
//!
//! The check of a configuration and the renewal of files both load stores here, so they accept
//! and refuse the same things.

use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use super::loader::Loader;
use super::problem::Problem;
use super::snapshot::Snapshot;
use super::store_settings::StoreSettings;
use super::{KEY_STORE, TRUST_STORE};
use crate::certificate::CertificateFacts;

/// The stores of one section.
#[derive(Debug, Clone, Default)]
pub(super) struct Stores {
    pub(super) trust: Option<StoreSettings>,
    pub(super) key: Option<StoreSettings>,
}

/// What the stores hold.
#[derive(Default)]
pub(super) struct Material {
    pub(super) trusted: Vec<CertificateDer<'static>>,
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// Whether there is a password for the key, and it opens nothing.
    pub(super) has_idle_key_password: bool,
    /// All of both stores; of the key store, the client's certificate comes first.
    pub(super) certificates: Vec<(&'static str, CertificateFacts)>,
}

impl Stores {
    /// The contents of all files as they are now. Blocks.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::read(self.iter().flat_map(StoreSettings::files))
    }

    /// Whether there is anything to watch.
    pub(super) fn has_files(&self) -> bool {
        self.iter().flat_map(StoreSettings::files).next().is_some()
    }

    /// # Errors
    ///
    /// All that is wrong with both stores.
    pub(super) fn load(&self, snapshot: &Snapshot) -> Result<Material, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut material = Material::default();
        if let Some(store) = &self.trust {
            let loaded = Loader::new(store, snapshot, &mut problems).trusted();
            if let Some((trusted, facts)) = loaded {
                material.trusted = trusted;
                material.add(TRUST_STORE, facts);
            }
        }
        if let Some(store) = &self.key {
            let loaded = Loader::new(store, snapshot, &mut problems).client();
            if let Some(client) = loaded {
                material.identity = Some(client.identity);
                material.has_idle_key_password = client.has_idle_key_password;
                material.add(KEY_STORE, client.facts);
            }
        }
        if problems.is_empty() {
            Ok(material)
        } else {
            Err(problems)
        }
    }

    /// Those that there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &StoreSettings> {
        self.trust.iter().chain(&self.key)
    }
}

impl Material {
    /// The certificates of the store of this name.
    pub(super) fn of(&self, store: &str) -> impl Iterator<Item = &CertificateFacts> + Clone {
        let all = self.certificates.iter();
        all.filter(move |(name, _)| *name == store)
            .map(|(_, facts)| facts)
    }

    fn add(&mut self, store: &'static str, facts: Vec<CertificateFacts>) {
        self.certificates
            .extend(facts.into_iter().map(|facts| (store, facts)));
    }

    /// The client's own certificate.
    pub(super) fn client(&self) -> Option<&CertificateFacts> {
        self.of(KEY_STORE).next()
    }
}
