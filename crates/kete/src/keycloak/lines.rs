//! The lines that a route needs to get its tokens with a prepared client.
//!
//! What the configuration has already is left out, because a key that one file gives twice is an
//! error. The lines are written so that a properties file reads them as they are meant.

use std::fmt::{self, Display, Write};
use std::path::Path;

use kete_config::{Diagnostics, Key, Origin, Scope, Setting, Settings};
use kete_credentials::Secret;
use kete_credentials::keycloak::DEFAULT_OAUTH_CLIENT;
use serde::Serialize;

const ROUTES: &str = "kete.routes";
/// Where a route says how it gets its tokens.
const OAUTH: &str = "destination.oauth";
/// The name of a route that is still to be written.
const NEW_ROUTE: &str = "events";

const SECRET: &str = "client-secret";
const SECRET_FILE: &str = "client-secret-file";
static SECRET_KEY: Key<String> = Key::optional(SECRET, "the secret of the client").secret();

/// A client, and what is needed to use it.
pub(super) struct Target<'a> {
    pub(super) realm: &'a str,
    pub(super) client_id: &'a str,
    pub(super) secret: SecretAt<'a>,
}

/// Where the secret of the client is written.
#[derive(Clone, Copy)]
pub(super) enum SecretAt<'a> {
    /// In the line itself.
    Key(&'a Secret),
    /// In this file.
    File(&'a Path),
}

/// A line of the configuration.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    key: String,
    value: String,
    /// The place of what has to go, because this takes its place.
    instead_of: Option<String>,
}

/// The line as it stands in a properties file, after a comment on what it replaces.
impl Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.instead_of {
            let remark = format!("The next line has to take the place of {place}.");
            formatter.write_str(&comment(&remark))?;
        }
        escaped(formatter, &self.key, true)?;
        formatter.write_char('=')?;
        escaped(formatter, &self.value, false)?;
        formatter.write_char('\n')
    }
}

/// A comment line.
pub(super) fn comment(text: &str) -> String {
    let shown = text.chars().map(|character| match character.is_control() {
        true => '\u{fffd}',
        false => character,
    });
    format!("# {}\n", shown.collect::<String>())
}

/// The lines for these routes; without any, for those of the configuration that use the client, or
/// for a new one.
pub(super) fn of(target: &Target<'_>, routes: &[String], settings: &Settings) -> Vec<Line> {
    let unheard = Diagnostics::new();
    let section = |route: &str| settings.scope(&format!("{ROUTES}.{route}.{OAUTH}"), &unheard);
    let mut routes = routes.to_vec();
    if routes.is_empty() {
        routes = settings.names_below(ROUTES);
        routes.retain(|route| uses(&section(route), target));
    }
    if routes.is_empty() {
        routes.push(NEW_ROUTE.to_owned());
    }
    let all = routes
        .iter()
        .flat_map(|route| missing(&section(route), target));
    all.collect()
}

/// Whether a route gets its tokens with this client, by what it says and by KETE's defaults.
fn uses(oauth: &Scope<'_>, target: &Target<'_>) -> bool {
    let is = |name: &str, fits: &dyn Fn(&str) -> bool, default: bool| {
        let written = oauth.raw(name).filter(|(text, _)| !text.is_empty());
        written.map_or(default, |(text, _)| fits(&text))
    };
    is("mode", &|mode| mode.eq_ignore_ascii_case("internal"), false)
        && is("realm", &|realm| realm == target.realm, true)
        && is(
            "client-id",
            &|id| id == target.client_id,
            target.client_id == DEFAULT_OAUTH_CLIENT,
        )
}

fn missing(oauth: &Scope<'_>, target: &Target<'_>) -> Vec<Line> {
    let plain = [
        ("enabled", "true"),
        ("mode", "internal"),
        ("realm", target.realm),
        ("client-id", target.client_id),
    ];
    let missing = plain.into_iter().filter_map(|(name, value)| {
        let written = oauth.raw(name);
        let is_right = written.as_ref().is_some_and(|(text, _)| match name {
            "enabled" => bool::parse(text) == Ok(true),
            "mode" => text.eq_ignore_ascii_case(value),
            _ => text == value,
        });
        (!is_right).then(|| line(oauth, name, value, written.map(|(_, origin)| origin)))
    });
    missing.chain(secret(oauth, target.secret)).collect()
}

/// The line with the secret. It replaces what says where the secret was until now.
fn secret(oauth: &Scope<'_>, secret: SecretAt<'_>) -> Option<Line> {
    let known = oauth.read(&SECRET_KEY);
    let known_file = oauth.raw(SECRET_FILE);
    let (name, value, is_there, other) = match secret {
        SecretAt::Key(secret) => {
            let same = known.as_deref() == Some(secret.reveal());
            (SECRET, secret.reveal().to_owned(), same, SECRET_FILE)
        }
        SecretAt::File(path) => {
            let same = known_file.is_some_and(|(text, _)| {
                std::path::absolute(text).is_ok_and(|known| known == path)
            });
            (SECRET_FILE, path.display().to_string(), same, SECRET)
        }
    };
    let replaced = oauth.origin(name).or_else(|| oauth.origin(other));
    (!is_there).then(|| line(oauth, name, &value, replaced))
}

fn line(oauth: &Scope<'_>, name: &str, value: &str, replaced: Option<Origin>) -> Line {
    Line {
        key: oauth.full_name(name),
        value: value.to_owned(),
        instead_of: replaced.map(|origin| origin.to_string()),
    }
}

/// Writes a key or a value of a properties file, as `java.util.Properties.store` escapes it.
fn escaped(formatter: &mut fmt::Formatter<'_>, text: &str, is_key: bool) -> fmt::Result {
    for (index, character) in text.chars().enumerate() {
        match character {
            '\\' => formatter.write_str("\\\\")?,
            '\n' => formatter.write_str("\\n")?,
            '\r' => formatter.write_str("\\r")?,
            '\t' => formatter.write_str("\\t")?,
            ' ' if is_key || index == 0 => formatter.write_str("\\ ")?,
            '=' | ':' if is_key => write!(formatter, "\\{character}")?,
            '#' | '!' if is_key && index == 0 => write!(formatter, "\\{character}")?,
            other => formatter.write_char(other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
