//! Which members are secrets, by their names. The table below is the whole rule.
//!
//! Names are compared without regard to case (ASCII) and to `.`, `-`, `_` and spaces, so that
//! `clientSecret`, `client_secret` and `CLIENT-SECRET` are one name.
//!
//! | masked | because | left alone, though near |
//! |---|---|---|
//! | `password`, `newPassword` | ends in `password` | `passwordPolicy`, `resetPasswordAllowed` |
//! | `secret`, `clientSecret` | ends in `secret` | `secretQuestion`, `secretSize` |
//! | `secret.key`, `api.key` | ends in `secretkey`, `apikey` | `site.key` |
//! | `keyPassphrase` | ends in `passphrase` | |
//! | `saml.signing.private.key` | contains `privatekey` | `publicKey`, `certificate` |
//! | `client.secret.rotated` | [`WHOLE_NAMES`] | `client.secret.creation.time` |
//! | `secretData`, `credentialData`, `salt` | [`WHOLE_NAMES`] | `credential_type` |
//! | `bindCredential` | [`WHOLE_NAMES`] | `bindDn`, `disableableCredentialTypes` |
//! | `token`, `registrationAccessToken` | [`WHOLE_NAMES`] | `storeToken`, `use.refresh.tokens` |
//! | `value` within a credential | see below | every other `value` |
//! | a PEM private key | whatever its name | PEM certificates and public keys |
//! | secrets in JSON within a text | all of the above | the rest of that JSON |
//!
//! A credential is an object under `credentials`; one whose `type` is in [`CREDENTIAL_TYPES`] or
//! which has `temporary`; one whose `name` or `key` is a secret name (a pair of name and value);
//! and the representation of a request to `…/reset-password`, `…/client-secret` or
//! `…/registration-access-token`. What is beside its `value`, such as `type`, stays.
//!
//! Under a secret name the whole value is masked, whatever it is: an array becomes an array with
//! the mask in it, which is Keycloak's own form in component settings, anything else becomes the
//! mask. `null`, `true`, `false` and what is empty hold no secret and stay.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Endings of secret names, without separators and in lower case.
const ENDINGS: [&str; 5] = ["password", "passphrase", "secret", "secretkey", "apikey"];

/// What makes a name secret wherever in it this stands.
const ANYWHERE: &str = "privatekey";

/// Names that are secret as a whole.
const WHOLE_NAMES: [&str; 17] = [
    // Keycloak's CredentialRepresentation, newer and older members.
    "secretdata",
    "credentialdata",
    "hashedsaltedvalue",
    "salt",
    // LDAP and other user storage.
    "bindcredential",
    // A client's previous secret, kept while it is being rotated.
    "clientsecretrotated",
    // What makes pairwise subject identifiers unguessable.
    "pairwisesubalgorithmsalt",
    // Names of password form fields that do not end in the word.
    "passwordnew",
    "passwordconfirm",
    "passwordconfirmation",
    // Tokens.
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "registrationaccesstoken",
    "initialaccesstoken",
    "clientassertion",
];

/// Values of `type` that make an object a credential.
const CREDENTIAL_TYPES: [&str; 8] = [
    "password",
    "password-history",
    "secret",
    "otp",
    "totp",
    "hotp",
    "recovery-authn-codes",
    "client-secret",
];

/// Whether the value of a member of this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let mut buffer = [0; LONGEST];
    let name = plain(name, &mut buffer);
    let name = &*name;
    ENDINGS
        .iter()
        .any(|ending| name.ends_with(ending.as_bytes()))
        || WHOLE_NAMES.iter().any(|whole| name == whole.as_bytes())
        || name
            .windows(ANYWHERE.len())
            .any(|part| part == ANYWHERE.as_bytes())
}

/// Whether a member of this name holds credentials, whose `value` is a secret.
pub(super) fn holds_credentials(name: &str) -> bool {
    ["credentials", "credential"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

/// Whether an object with this `type` is a credential.
pub(super) fn is_credential_type(value: &str) -> bool {
    CREDENTIAL_TYPES
        .iter()
        .any(|own| value.eq_ignore_ascii_case(own))
}

/// Whether this text is, or holds, a PEM private key of any kind.
pub(super) fn is_private_key(text: &str) -> bool {
    // Nothing as short as most texts of an event can hold both lines of a PEM block.
    const SHORTEST: usize = 56;
    static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("PRIVATE KEY-----"));
    text.len() >= SHORTEST && MARK.find(text.as_bytes()).is_some()
}

/// Longest name that is compared without asking for memory; nearly all are far shorter.
const LONGEST: usize = 64;

/// The name in lower case and without separators.
fn plain<'b>(name: &str, buffer: &'b mut [u8; LONGEST]) -> Cow<'b, [u8]> {
    let kept = name
        .bytes()
        .filter(|byte| !matches!(byte, b'.' | b'-' | b'_' | b' '));
    let kept = kept.map(|byte| byte.to_ascii_lowercase());
    if name.len() > LONGEST {
        return Cow::Owned(kept.collect());
    }
    let mut length = 0;
    for (slot, byte) in buffer.iter_mut().zip(kept) {
        *slot = byte;
        length += 1;
    }
    Cow::Borrowed(&buffer[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_found_in_every_spelling() {
        for name in [
            "password",
            "Password",
            "PASSWORD",
            "pass_word",
            "newPassword",
            "password-new",
            "password-confirm",
            "keystorePassword",
            "keyPassword",
            "truststore.password",
            "secret",
            "clientSecret",
            "client_secret",
            "client.secret",
            "client-secret",
            "CLIENT SECRET",
            "client.secret.rotated",
            "authTokenClientSecret",
            "sharedSecret",
            "secret.key",
            "secretKey",
            "api.key",
            "bindCredential",
            "privateKey",
            "saml.signing.private.key",
            "saml.encryption.private.key",
            "privateKeyPem",
            "secretData",
            "credentialData",
            "hashedSaltedValue",
            "salt",
            "registrationAccessToken",
            "token",
            "access_token",
            "refresh_token",
            "client_assertion",
            "passphrase",
        ] {
            assert!(is_secret(name), "{name}");
        }
    }

    #[test]
    fn names_that_only_sound_secret_are_left_alone() {
        for name in [
            "",
            "value",
            "type",
            "credentials",
            "passwordPolicy",
            "resetPasswordAllowed",
            "usePasswordModifyExtendedOp",
            "validatePasswordPolicy",
            "secretQuestion",
            "secretSize",
            "client.secret.creation.time",
            "client.secret.expiration.time",
            "client.secret.rotated.creation.time",
            "client.secret.rotated.expiration.time",
            "client.secret.auth.allowed.method",
            "clientAuthenticatorType",
            "disableableCredentialTypes",
            "requiredCredentials",
            "publicKey",
            "certificate",
            "saml.signing.certificate",
            "jwt.credential.certificate",
            "storeToken",
            "revokeRefreshToken",
            "use.refresh.tokens",
            "client_credentials.use_refresh_token",
            "access.token.lifespan",
            "access.token.claim",
            "accessTokenLifespan",
            "webAuthnPolicyPasswordlessRpId",
            "token_id",
            "refresh_token_id",
            "refresh_token_type",
            "client_auth_method",
            "credential_type",
            "code_id",
            "username",
            "keyAlias",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn the_table_itself_is_written_the_way_names_are_compared() {
        let whole = WHOLE_NAMES.iter().chain(&ENDINGS).chain([&ANYWHERE]);
        for entry in whole {
            assert_eq!(
                &*plain(entry, &mut [0; LONGEST]),
                entry.as_bytes(),
                "{entry}"
            );
        }
    }

    #[test]
    fn a_very_long_name_is_judged_like_a_short_one() {
        let long = "x".repeat(200);
        assert!(is_secret(&format!("{long}.password")));
        assert!(is_secret(&format!("{long}.private.key.{long}")));
        assert!(!is_secret(&format!("{long}.password.policy")));
    }

    #[test]
    fn private_keys_are_told_from_certificates() {
        for kind in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH "] {
            let key =
                format!("-----BEGIN {kind}PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC");
            assert!(is_private_key(&key), "{kind}");
        }
        assert!(!is_private_key("-----BEGIN CERTIFICATE-----\nMIIE"));
        assert!(!is_private_key("-----BEGIN PUBLIC KEY-----\nMIIE"));
        assert!(!is_private_key("PRIVATE KEY"));
    }
}
