//! Masks known secrets, before anything is stored or sent.
//!
//! Keycloak has put secrets into the `representation` of admin events time and again: passwords of
//! new users, regenerated client secrets, private keys, bind credentials. Which members count as
//! secret is the table in [`names`]; how a representation is walked is in [`walk`].
//!
//! What is looked at, and what becomes of it:
//!
//! | where | what happens |
//! |---|---|
//! | `representation` | secrets are masked; without any it stays byte for byte |
//! | one that is not valid JSON or nested too deep | a small JSON object that says so replaces it |
//! | `details` of both kinds of events | secrets are masked |
//! | unknown members of the event and of `authDetails` | secrets are masked |
//!
//! A representation that Keycloak's database cut off cannot be read, so it cannot be cleared, so
//! it does not pass. `details` are looked at because of extensions: none of Keycloak's own names
//! there (`token_id`, `client_auth_method`, `credential_type` …) is a secret name.
//!
//! The walk reads each text once and keeps at most [`crate::NESTING_LIMIT`] levels in mind.

mod names;
mod walk;

use std::borrow::Cow;

use serde_json::value::RawValue;

use self::walk::{Root, Verdict, redact_json, redact_text};
use crate::details::{DetailValue, Details};
use crate::event::{AdminFields, Event, Extra, Fields};

/// What a masked value reads. Keycloak itself masks with the same text.
pub const MASK: &str = "**********";

impl Event<'_> {
    /// Masks known secrets and says how many values were masked or withheld.
    ///
    /// Doing it twice changes nothing more and returns 0 the second time.
    pub fn redact(&mut self) -> usize {
        let mut masked = redact_extra(&mut self.extra);
        if let Some(details) = &mut self.details {
            masked += redact_details(details);
        }
        if let Fields::Admin(admin) = &mut self.fields {
            masked += redact_representation(admin);
            if let Some(auth) = &mut admin.auth_details {
                masked += redact_extra(&mut auth.extra);
            }
        }
        masked
    }
}

fn redact_representation(admin: &mut AdminFields<'_>) -> usize {
    let Some(representation) = &admin.representation else {
        return 0;
    };
    if representation.trim().is_empty() {
        return 0;
    }
    let root = root_of(admin.resource_path.as_deref().unwrap_or_default());
    let (text, masked) = match redact_json(representation, root) {
        Verdict::Clean => return 0,
        Verdict::Masked { json, values } => (json, values),
        Verdict::NotJson => (withheld("not valid JSON"), 1),
        Verdict::TooDeep => (withheld("nested too deep"), 1),
    };
    admin.representation = Some(Cow::Owned(text));
    masked
}

/// Some requests carry nothing but a credential, under names that are harmless elsewhere.
fn root_of(resource_path: &str) -> Root {
    let path = resource_path.trim_end_matches('/');
    let path = path.strip_suffix("/rotated").unwrap_or(path);
    match path.rsplit('/').next() {
        Some("reset-password" | "client-secret" | "registration-access-token") => Root::Credential,
        _ => Root::Anything,
    }
}

fn withheld(reason: &str) -> String {
    format!("{{\"withheld\":\"{reason}\"}}")
}

fn redact_details(details: &mut Details<'_>) -> usize {
    details
        .entries
        .iter_mut()
        .map(|(name, value)| redact_detail(name, value))
        .sum()
}

fn redact_detail(name: &str, value: &mut DetailValue<'_>) -> usize {
    match value {
        DetailValue::Text(text) if names::is_secret(name) => {
            let masked = usize::from(*text != MASK);
            *text = Cow::Borrowed(MASK);
            masked
        }
        DetailValue::Text(text) => match redact_text(text) {
            Some((redacted, masked)) => {
                *text = Cow::Owned(redacted);
                masked
            }
            None => 0,
        },
        DetailValue::Json(json) => redact_value(name, json),
    }
}

fn redact_extra(extra: &mut [Extra<'_>]) -> usize {
    extra
        .iter_mut()
        .map(|(name, value)| redact_value(name, value))
        .sum()
}

fn redact_value(name: &str, value: &mut Cow<'_, RawValue>) -> usize {
    let root = if names::is_secret(name) {
        Root::Secret
    } else if names::holds_credentials(name) {
        Root::Credential
    } else {
        Root::Anything
    };
    match redact_json(value.get(), root) {
        Verdict::Clean => 0,
        Verdict::Masked { json, values } => {
            *value = Cow::Owned(raw(json));
            values
        }
        // Neither comes from the parser, which refuses both; a caller may have put it there.
        Verdict::NotJson | Verdict::TooDeep => {
            *value = Cow::Borrowed(RawValue::NULL);
            1
        }
    }
}

fn raw(json: String) -> Box<RawValue> {
    // Masked JSON is valid JSON; if it ever were not, null is what leaks nothing.
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_last_segments_make_a_path_one_of_a_credential() {
        for path in [
            "users/u/reset-password",
            "clients/c/client-secret/",
            "clients/c/client-secret/rotated",
            "reset-password",
        ] {
            assert!(root_of(path) == Root::Credential, "{path}");
        }
        for path in [
            "",
            "/",
            "rotated",
            "users/reset-password/x",
            "users/u/xreset-password",
        ] {
            assert!(root_of(path) == Root::Anything, "{path}");
        }
    }

    #[test]
    fn what_replaces_a_representation_is_json() {
        let json: serde_json::Value = serde_json::from_str(&withheld("not valid JSON")).unwrap();
        assert_eq!(json["withheld"], "not valid JSON");
    }

    #[test]
    fn a_kept_value_that_a_caller_made_too_deep_becomes_null() {
        let deep = "[".repeat(1000) + "\"x\"" + &"]".repeat(1000);
        let mut value = Cow::Owned(RawValue::from_string(deep).unwrap());
        assert_eq!(redact_value("anything", &mut value), 1);
        assert_eq!(value.get(), "null");
    }
}
