//! The keys of a `tls` section. Names and meanings are KETE's where KETE has the key.

use std::path::PathBuf;

use kete_config::{Key, KeyTable, Unused};

use super::words::{Inline, LoaderKind, Password, VerifiedName, Versions};

pub(super) static ENABLED: Key<bool> = Key::optional(
    "enabled",
    "an https or wss url is always encrypted, and no other can be, so it can be left out",
);
pub(super) static VERSION: Key<Versions> = Key::with_default(
    "version",
    "TLS",
    "the versions to offer: TLS is all of them; several are separated by commas",
);
pub(super) static VERIFY_HOSTNAME: Key<bool> = Key::with_default(
    "verify-hostname",
    "true",
    "whether the server's certificate has to be one for its name. With false it still has to \
     come from a trusted authority, and whoever has any certificate of one can pose as the server",
);
pub(super) static SERVER_NAME: Key<VerifiedName> = Key::optional(
    "server-name",
    "the name to ask the server for (SNI) and to look for in its certificate, instead of the \
     url's host",
);
pub(super) static RECONNECT_ON_RENEWAL: Key<bool> = Key::with_default(
    "reconnect-on-renewal",
    "false",
    "whether open connections are replaced, without loss, when the files are renewed; new \
     connections always use the new ones",
);
pub(super) static SYSTEM_ROOTS: Key<bool> = Key::with_default(
    "trust-store.include-system-roots",
    "true",
    "whether the authorities that the system trusts are trusted beside those of the store",
);

/// The keys of one store.
pub(super) struct StoreKeys {
    pub(super) section: &'static str,
    pub(super) kind: &'static Key<LoaderKind>,
    pub(super) path: &'static Key<PathBuf>,
    pub(super) base64: &'static Key<Inline>,
    pub(super) text: &'static Key<Inline>,
    pub(super) password: PasswordKeys,
    /// What only a key store has.
    pub(super) identity: Option<IdentityKeys>,
}

/// The places where one password may stand.
pub(super) struct PasswordKeys {
    pub(super) text: &'static Key<Password>,
    /// The same under another name.
    pub(super) alternative: Option<&'static Key<Password>>,
    pub(super) file: &'static Key<PathBuf>,
}

/// The keys that say which key a client has.
pub(super) struct IdentityKeys {
    pub(super) alias: &'static Key<String>,
    pub(super) key_path: &'static Key<PathBuf>,
    pub(super) key_password: PasswordKeys,
}

pub(super) static TRUST_STORE: StoreKeys = StoreKeys {
    section: "trust-store",
    kind: &TRUST_KIND,
    path: &TRUST_PATH,
    base64: &TRUST_BASE64,
    text: &TRUST_TEXT,
    password: PasswordKeys {
        text: &TRUST_PASSWORD,
        alternative: Some(&TRUST_LOADER_PASSWORD),
        file: &TRUST_PASSWORD_FILE,
    },
    identity: None,
};
pub(super) static KEY_STORE: StoreKeys = StoreKeys {
    section: "key-store",
    kind: &KEY_KIND,
    path: &KEY_PATH,
    base64: &KEY_BASE64,
    text: &KEY_TEXT,
    password: PasswordKeys {
        text: &KEY_STORE_PASSWORD,
        alternative: Some(&KEY_LOADER_PASSWORD),
        file: &KEY_STORE_PASSWORD_FILE,
    },
    identity: Some(IdentityKeys {
        alias: &KEY_ALIAS,
        key_path: &PRIVATE_KEY_PATH,
        key_password: PasswordKeys {
            text: &KEY_PASSWORD,
            alternative: None,
            file: &KEY_PASSWORD_FILE,
        },
    }),
};

static TRUST_KIND: Key<LoaderKind> = Key::optional(
    "trust-store.loader.kind",
    "how the certificates of authorities to trust are written, and where they are",
);
static TRUST_PATH: Key<PathBuf> = Key::optional(
    "trust-store.loader.path",
    "the file, for the kinds that end in -path; it is watched, and new contents count at once",
);
static TRUST_BASE64: Key<Inline> = Key::optional(
    "trust-store.loader.base64",
    "the base64 of the file, for the kinds that end in -base64",
);
static TRUST_TEXT: Key<Inline> = Key::optional(
    "trust-store.loader.text",
    "the file itself, for pem-file-text; \\n stands for a line break",
);
static TRUST_PASSWORD: Key<Password> = Key::optional(
    "trust-store.password",
    "opens the trust store; no password is ever guessed",
)
.secret();
static TRUST_LOADER_PASSWORD: Key<Password> = Key::optional(
    "trust-store.loader.password",
    "another name of trust-store.password",
)
.secret();
static TRUST_PASSWORD_FILE: Key<PathBuf> = Key::optional(
    "trust-store.password-file",
    "a file with that password, without the line break at its end",
);
static KEY_KIND: Key<LoaderKind> = Key::optional(
    "key-store.loader.kind",
    "how the client's certificate, its chain and its private key are written, and where they are; \
     they are sent only to servers that ask for them",
);
static KEY_PATH: Key<PathBuf> = Key::optional(
    "key-store.loader.path",
    "the file, for the kinds that end in -path; it is watched, and new contents count at once",
);
static KEY_BASE64: Key<Inline> = Key::optional(
    "key-store.loader.base64",
    "the base64 of the file, for the kinds that end in -base64",
)
.secret();
static KEY_TEXT: Key<Inline> = Key::optional(
    "key-store.loader.text",
    "the file itself, for pem-file-text; \\n stands for a line break",
)
.secret();
static PRIVATE_KEY_PATH: Key<PathBuf> = Key::optional(
    "key-store.loader.key-path",
    "a file with the private key, PEM or DER, where it is not with the certificate",
);
static KEY_STORE_PASSWORD: Key<Password> = Key::optional(
    "key-store.password",
    "opens the key store; no password is ever guessed",
)
.secret();
static KEY_LOADER_PASSWORD: Key<Password> = Key::optional(
    "key-store.loader.password",
    "another name of key-store.password",
)
.secret();
static KEY_STORE_PASSWORD_FILE: Key<PathBuf> = Key::optional(
    "key-store.password-file",
    "a file with that password, without the line break at its end",
);
static KEY_PASSWORD: Key<Password> = Key::optional(
    "key-store.key-password",
    "opens the private key. Default: the password of the key store",
)
.secret();
static KEY_PASSWORD_FILE: Key<PathBuf> = Key::optional(
    "key-store.key-password-file",
    "a file with that password, without the line break at its end",
);
static KEY_ALIAS: Key<String> = Key::optional(
    "key-store.alias",
    "which of several keys to use, in any letter case",
);

static TRUST_TYPE: Unused = Unused::new("trust-store.type", STORE_TYPE);
static KEY_TYPE: Unused = Unused::new("key-store.type", STORE_TYPE);
static TRUST_ALGORITHM: Unused = Unused::new("trust-store.trust-manager-algorithm", JAVA_ALGORITHM);
static KEY_ALGORITHM: Unused = Unused::new("key-store.key-manager-algorithm", JAVA_ALGORITHM);

const STORE_TYPE: &str = "it names a class of the JVM; loader.kind says how the store is written";
const JAVA_ALGORITHM: &str = "it names a class of the JVM; chains are always checked as RFC 5280 \
                              says, and the client's certificate is that of the key store";

/// The keys of a `tls` section.
pub static TLS_KEYS: KeyTable = &[
    &ENABLED,
    &VERSION,
    &VERIFY_HOSTNAME,
    &SERVER_NAME,
    &RECONNECT_ON_RENEWAL,
    &SYSTEM_ROOTS,
    &TRUST_KIND,
    &TRUST_PATH,
    &TRUST_BASE64,
    &TRUST_TEXT,
    &TRUST_LOADER_PASSWORD,
    &TRUST_PASSWORD,
    &TRUST_PASSWORD_FILE,
    &TRUST_TYPE,
    &TRUST_ALGORITHM,
    &KEY_KIND,
    &KEY_PATH,
    &KEY_BASE64,
    &KEY_TEXT,
    &PRIVATE_KEY_PATH,
    &KEY_LOADER_PASSWORD,
    &KEY_STORE_PASSWORD,
    &KEY_STORE_PASSWORD_FILE,
    &KEY_PASSWORD,
    &KEY_PASSWORD_FILE,
    &KEY_ALIAS,
    &KEY_TYPE,
    &KEY_ALGORITHM,
];

#[cfg(test)]
mod tests {
    use super::TLS_KEYS;

    #[test]
    fn the_table_is_in_order() {
        assert_eq!(kete_config::table_mistakes(TLS_KEYS), [""; 0]);
    }

    #[test]
    fn what_opens_or_holds_a_private_key_is_secret_and_nothing_else() {
        let secret: Vec<&str> = TLS_KEYS
            .iter()
            .filter(|key| key.secret())
            .map(|key| key.name())
            .collect();
        assert_eq!(
            secret,
            [
                "trust-store.loader.password",
                "trust-store.password",
                "key-store.loader.base64",
                "key-store.loader.text",
                "key-store.loader.password",
                "key-store.password",
                "key-store.key-password",
            ]
        );
    }
}
