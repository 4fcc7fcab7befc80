//! Addresses of servers, as settings give them.

use kete_config::{Scope, code};
use url::{Host, Url};

use crate::codes;

/// What is right for the address of one server, and what is said if it is not.
pub(crate) struct Rules {
    /// The way out if the scheme is neither http nor https.
    pub(crate) other_scheme: &'static str,
    /// Where a user and a password belong instead.
    pub(crate) login: &'static str,
    /// What is too much in it besides: the message and the way out.
    pub(crate) too_much: fn(&Url) -> Option<(&'static str, &'static str)>,
    /// What others can read if it is not encrypted.
    pub(crate) in_the_clear: &'static str,
}

/// Checks an address that is the value of the key `name`. `None` if diagnostics say what is
/// wrong.
pub(crate) fn check(scope: &Scope<'_>, name: &str, url: Url, rules: &Rules) -> Option<Url> {
    let (message, help) = if !matches!(url.scheme(), "http" | "https") {
        ("it must begin with http:// or https://", rules.other_scheme)
    } else if !url.username().is_empty() || url.password().is_some() {
        ("it must not hold a user or password", rules.login)
    } else if let Some(too_much) = (rules.too_much)(&url) {
        too_much
    } else {
        if is_in_the_clear(&url) {
            let help = "use https, unless something else protects this connection".to_owned();
            scope.warn(name, codes::PLAIN_HTTP, rules.in_the_clear, help);
        }
        return Some(url);
    };
    scope.reject(name, code::BAD_VALUE, message, help.to_owned());
    None
}

/// Whether what is sent there travels without encryption, and leaves this machine.
#[must_use]
pub fn is_in_the_clear(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "ws") && !is_local(url)
}

/// Names below `localhost` are of this machine (RFC 6761, section 6.3).
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_to_another_machine_is_in_the_clear() {
        for (url, expected) in [
            ("http://host", true),
            ("http://localhost.example", true),
            ("http://192.0.2.1:8080/", true),
            ("http://[2001:db8::1]/", true),
            ("https://host", false),
            ("http://localhost:8080", false),
            ("http://a.localhost", false),
            ("http://127.1.2.3", false),
            ("http://[::1]", false),
            ("http://[::ffff:127.0.0.1]", false),
        ] {
            assert_eq!(is_in_the_clear(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
