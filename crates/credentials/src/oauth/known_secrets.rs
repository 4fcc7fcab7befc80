//! Keeps what was sent in confidence out of what is said about the answer.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

/// The most characters of a server's text that are repeated.
const LONGEST: usize = 200;

const HIDDEN: &str = "(hidden)";

/// Secrets in all the forms in which a server could echo them. Everything that a server said goes
/// through [`KnownSecrets::quote`] before it is logged or becomes a part of an error.
#[derive(Default)]
pub struct KnownSecrets {
    /// The longest first, for one may be a part of another.
    forms: Vec<Zeroizing<String>>,
}

impl KnownSecrets {
    /// Adds a secret: as it is, form-encoded with either kind of blank, and in base64.
    pub fn add(&mut self, secret: &str) {
        let encoded = Zeroizing::new(byte_serialize(secret.as_bytes()).collect::<String>());
        self.add_form(encoded.replace('+', "%20"));
        self.add_base64(secret);
        self.add_base64(&encoded);
        self.add_form(secret.to_owned());
        self.add_form(encoded.as_str().to_owned());
    }

    /// Adds what HTTP Basic authentication sends (RFC 6749, section 2.3.1).
    pub fn add_basic(&mut self, id: &str, secret: &str) {
        let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        self.add_base64(&format!("{}:{}", encode(id), encode(secret)));
        self.add_base64(&format!("{id}:{secret}"));
    }

    fn add_base64(&mut self, text: &str) {
        self.add_form(STANDARD_NO_PAD.encode(text));
        self.add_form(URL_SAFE_NO_PAD.encode(text));
    }

    fn add_form(&mut self, form: String) {
        let form = Zeroizing::new(form);
        if !form.is_empty() && !self.forms.contains(&form) {
            let place = self
                .forms
                .partition_point(|other| other.len() >= form.len());
            self.forms.insert(place, form);
        }
    }

    /// A text of the server's: the known secrets replaced in any letter case, shortened, on one
    /// line. It has about 200 characters at the most.
    #[must_use]
    pub fn quote(&self, text: &str) -> String {
        let mut shown = String::new();
        let mut rest = text;
        let mut length = 0;
        while let Some(first) = rest.chars().next() {
            if length >= LONGEST {
                shown.push('…');
                break;
            }
            let secret = self.forms.iter().find_map(|form| after(rest, form));
            if let Some(after_secret) = secret {
                shown.push_str(HIDDEN);
                length += HIDDEN.len();
                rest = after_secret;
            } else {
                shown.extend(first.escape_debug());
                length += 1;
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
        shown
    }
}

/// What follows a secret that the text begins with, in any case of the letters of ASCII.
fn after<'t>(text: &'t str, secret: &str) -> Option<&'t str> {
    let (beginning, rest) = text.split_at_checked(secret.len())?;
    beginning.eq_ignore_ascii_case(secret).then_some(rest)
}

#[cfg(test)]
mod tests;
