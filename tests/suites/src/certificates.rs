//! The throw-away authorities, certificates and stores that `tests/certificates/make` makes, and
//! the lines of a configuration that name them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, bail, ensure};

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
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let number = (0..3).fold(0, |number: usize, at| {
            (number << 8) | usize::from(group.get(at).copied().unwrap_or_default())
        });
        for digit in 0..4 {
            let index = (number >> (18 - 6 * digit)) & 0x3f;
            let character = if digit > group.len() {
                b'='
            } else {
                DIGITS[index]
            };
            text.push(char::from(character));
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_the_examples_of_rfc_4648() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (text, encoded) in examples {
            assert_eq!(base64(text.as_bytes()), encoded, "{text}");
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xbf]), "+/+/");
    }
}
