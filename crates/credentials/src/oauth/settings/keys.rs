//! The keys of an `oauth` section, and the words that stand in them.

use std::path::PathBuf;

use kete_config::{Key, KeyTable, MapKey, Setting, parse_word};
use url::Url;

use crate::proxy::PROXY_KEYS;
use crate::tls::TLS_KEYS;

pub(super) static ENABLED: Key<bool> = Key::with_default(
    "enabled",
    "false",
    "whether tokens are fetched and sent; nothing else of the section counts without it",
);
pub(super) static MODE: Key<Mode> = Key::with_default(
    "mode",
    "external",
    "who gives out tokens: the server of token-url, or (internal) that of kete.keycloak.url",
);
pub(super) static TOKEN_URL: Key<Url> = Key::optional(
    "token-url",
    "the token endpoint; required with mode=external, the realm's own with mode=internal",
);
pub(super) static CLIENT_ID: Key<String> = Key::optional(
    "client-id",
    "the client that gets the tokens; required with mode=external, kete-oauth-client with \
     mode=internal",
);
pub(super) static CLIENT_SECRET: Key<String> =
    Key::optional("client-secret", "the secret of the client").secret();
pub(super) static CLIENT_SECRET_FILE: Key<PathBuf> = Key::optional(
    "client-secret-file",
    "a file that holds the secret of the client; read again for each token",
);
pub(super) static CLIENT_AUTH: Key<Method> = Key::with_default(
    "client-auth",
    "client-secret-basic",
    "how the client proves itself: by its secret in a header (client-secret-basic) or in the body \
     (client-secret-post), by a JWT that it signs (private-key-jwt) or that stands in a file \
     (jwt-file), or by the certificate of tls.key-store (tls-client-auth)",
);
pub(super) static SCOPE: Key<String> = Key::optional(
    "scope",
    "what the token is to be good for: words with blanks between",
);
pub(super) static PARAMETERS: MapKey = MapKey::new(
    "parameters",
    "NAME",
    "a further parameter of the request, such as audience or resource; a blank one is not sent",
)
.secret();
pub(super) static TIMEOUT_SECONDS: Key<u32> = Key::with_default(
    "timeout-seconds",
    "10",
    "how long a request for a token may take in all",
);
pub(super) static REALM: Key<String> = Key::optional(
    "realm",
    "the realm of the client, with mode=internal. Default: the one realm that the matchers of the \
     route name, else the one that kete itself logs in to",
);
pub(super) static SEND_AS: Key<SendAs> = Key::with_default(
    "send-as",
    "header",
    "where a connection shows the token: in the Authorization header, in the auth object, in the \
     query, or several of them",
);
pub(super) static AUTH_KEY: Key<String> = Key::with_default(
    "auth-key",
    "token",
    "what the token is called in the auth object and in the query",
);
pub(super) static RECONNECT_BEFORE_EXPIRY: Key<bool> = Key::with_default(
    "reconnect-before-expiry",
    "false",
    "whether a connection is replaced before its token ends",
);
pub(super) static KEY_PATH: Key<PathBuf> = Key::optional(
    "key-path",
    "the private key for private-key-jwt: PEM or DER, RSA, P-256, P-384 or Ed25519; read again \
     for each token",
);
pub(super) static KEY_PASSWORD: Key<String> =
    Key::optional("key-password", "the password of that key").secret();
pub(super) static KEY_PASSWORD_FILE: Key<PathBuf> = Key::optional(
    "key-password-file",
    "a file that holds the password of that key",
);
pub(super) static KEY_ID: Key<String> =
    Key::optional("key-id", "the kid of that key, if the server knows several");
pub(super) static ASSERTION_AUDIENCE: Key<String> = Key::optional(
    "assertion-audience",
    "the aud of the JWT that is signed. Default: the token url",
);
pub(super) static JWT_PATH: Key<PathBuf> = Key::optional(
    "jwt-path",
    "the file of jwt-file, such as a projected token of Kubernetes; read again for each token",
);

/// The keys of an `oauth` section.
pub static OAUTH_KEYS: KeyTable = &[
    &ENABLED,
    &MODE,
    &TOKEN_URL,
    &REALM,
    &CLIENT_ID,
    &CLIENT_AUTH,
    &CLIENT_SECRET,
    &CLIENT_SECRET_FILE,
    &KEY_PATH,
    &KEY_PASSWORD,
    &KEY_PASSWORD_FILE,
    &KEY_ID,
    &ASSERTION_AUDIENCE,
    &JWT_PATH,
    &SCOPE,
    &PARAMETERS,
    &TIMEOUT_SECONDS,
    &SEND_AS,
    &AUTH_KEY,
    &RECONNECT_BEFORE_EXPIRY,
];

/// The sections below it.
pub static OAUTH_SECTIONS: &[(&str, KeyTable)] = &[("tls", TLS_KEYS), ("proxy", PROXY_KEYS)];

/// `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Any server.
    External,
    /// The Keycloak that the events come from.
    Internal,
}

kete_config::setting_words!(Mode { External = "external", Internal = "internal" });

/// `client-auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    SecretBasic,
    SecretPost,
    PrivateKeyJwt,
    JwtFile,
    TlsClientAuth,
}

kete_config::setting_words!(Method {
    SecretBasic = "client-secret-basic",
    SecretPost = "client-secret-post",
    PrivateKeyJwt = "private-key-jwt",
    JwtFile = "jwt-file",
    TlsClientAuth = "tls-client-auth",
});

impl Method {
    /// As it is written.
    pub(super) fn word(self) -> &'static str {
        match self {
            Method::SecretBasic => "client-secret-basic",
            Method::SecretPost => "client-secret-post",
            Method::PrivateKeyJwt => "private-key-jwt",
            Method::JwtFile => "jwt-file",
            Method::TlsClientAuth => "tls-client-auth",
        }
    }
}

/// Where tokens are put when a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendAs {
    /// `Authorization: Bearer …`.
    pub header: bool,
    /// A member of the connection's auth object.
    pub auth: bool,
    /// A query parameter.
    pub query: bool,
}

/// `send-as`.
impl Setting for SendAs {
    const EXPECTED: &'static str = "header, auth, query, or a comma-separated list of these";

    fn parse(text: &str) -> Result<SendAs, String> {
        let mut places = [false; 3];
        for part in text.split(',').map(str::trim) {
            if part.is_empty() && !text.is_empty() {
                return Err("one of its parts is empty".to_owned());
            }
            let index = parse_word(part, &["header", "auth", "query"])?;
            if let Some(place) = places.get_mut(index) {
                *place = true;
            }
        }
        let [header, auth, query] = places;
        Ok(SendAs {
            header,
            auth,
            query,
        })
    }
}

#[cfg(test)]
mod tests {
    use kete_config::table_mistakes;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(table_mistakes(OAUTH_KEYS), [""; 0]);
        let methods = [
            Method::SecretBasic,
            Method::SecretPost,
            Method::PrivateKeyJwt,
            Method::JwtFile,
            Method::TlsClientAuth,
        ];
        for method in methods {
            assert_eq!(Method::parse(method.word()), Ok(method));
        }
    }

    #[test]
    fn tokens_may_be_sent_in_several_places() {
        let send_as = |header, auth, query| {
            Ok(SendAs {
                header,
                auth,
                query,
            })
        };
        assert_eq!(SendAs::parse("header"), send_as(true, false, false));
        assert_eq!(SendAs::parse("Auth , QUERY"), send_as(false, true, true));
        let all = SendAs::parse("query,header,auth,auth");
        assert_eq!(all, send_as(true, true, true));
        for (text, problem) in [
            ("", "it is blank"),
            ("header,", "one of its parts is empty"),
            ("headers", "it is none of these\ndid you mean header?"),
            ("header,body", "it is none of these"),
        ] {
            assert_eq!(SendAs::parse(text), Err(problem.to_owned()), "{text}");
        }
    }
}
