//! The throw-away authorities, certificates and stores that `tests/certificates/make` makes, and
//! the lines of a configuration that name them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::environment;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Certificates {
    directory: PathBuf,
}

impl Certificates {
    /// The directory `KETE_TEST_CERTIFICATES`; without that variable they are made now, once for
    /// all tests.
    ///
    /// # Errors
    ///
    /// They cannot be made.
    pub fn get() -> Result<Certificates> {
        static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let made = MADE.get_or_init(|| match std::env::var_os("KETE_TEST_CERTIFICATES") {
            Some(path) => Ok(PathBuf::from(path)),
            None => make().map_err(|error| format!("{error:#}")),
        });
        match made {
            Ok(directory) => Ok(Certificates {
                directory: directory.clone(),
            }),
            Err(problem) => bail!("{problem}"),
        }
    }

    /// A file by its path below the directory, such as `stores/ca.der`.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// The authority of the good certificates.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// The certificate of a server with its chain, and its key.
    #[must_use]
    pub fn server(&self, name: &str) -> (PathBuf, PathBuf) {
        self.pair("servers", name)
    }

    /// The certificate of a client with its chain, and its key.
    #[must_use]
    pub fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        self.pair("clients", name)
    }

    /// The lines with which the `tls` section at `prefix` trusts the authority of the good ones.
    #[must_use]
    pub fn trusted(&self, prefix: &str) -> String {
        trust(prefix, &self.ca())
    }

    /// The lines with which the `tls` section at `prefix` has the certificate of this client.
    #[must_use]
    pub fn presented(&self, prefix: &str, client: &str) -> String {
        let (certificate, key) = self.client(client);
        format!(
            "{prefix}.key-store.loader.kind=pem-file-path\n\
             {prefix}.key-store.loader.path={}\n\
             {prefix}.key-store.loader.key-path={}\n",
            certificate.display(),
            key.display(),
        )
    }

    fn pair(&self, directory: &str, name: &str) -> (PathBuf, PathBuf) {
        let of_kind = |extension: &str| self.file(&format!("{directory}/{name}.{extension}"));
        (of_kind("pem"), of_kind("key"))
    }
}

/// The lines with which the `tls` section at `prefix` trusts the authorities in a PEM file.
#[must_use]
pub fn trust(prefix: &str, authorities: &Path) -> String {
    let path = authorities.display();
    format!(
        "{prefix}.trust-store.loader.kind=pem-file-path\n\
         {prefix}.trust-store.loader.path={path}\n"
    )
}

/// Bytes in base64 (RFC 4648, section 4), on one line.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn make() -> Result<PathBuf> {
    let directory = environment::project("tests/.cache/certificates");
    let made = Command::new(environment::project("tests/certificates/make"))
        .arg(&directory)
        .output()?;
    let errors = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "there are no certificates: {errors}");
    Ok(directory)
}
