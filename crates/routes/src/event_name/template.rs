//! Event names as tera templates over the whole event.
//!
//! A template sees every member of the canonical event under its own name (`{{ clientId }}`, `{{
//! details.username }}`), the thirty variables (`{{ realmKebabCase }}`), and `kind`, `realm`,
//! `eventType` and `result` as matchers see them; where an event has a member of the same name,
//! these win. `details` and `authDetails` are always there, so asking for a member of theirs never
//! fails before `or` or `default` can answer. Nothing is escaped, blanks around the result are cut
//! off, and printing what is undefined is an error. A template cannot read files or other
//! templates, cannot loop over `range`, and its output is cut short by an error, not by memory.

use std::io;

use kete_event::{Metadata, Variable};
use serde_json::json;
use tera::{Context, ErrorKind, Kwargs, State, Tera, TeraResult, Value};

use super::{BadEventName, EventNameHint, MAX_BYTES};
use crate::suggestion::suggestion;

/// The name under which the one template is registered; it appears in no message.
const NAME: &str = "event-name";

/// Members of canonical events, and what is added to them under a fixed name.
const FIELDS: [&str; 22] = [
    "id",
    "time",
    "type",
    "realmId",
    "realmName",
    "clientId",
    "userId",
    "sessionId",
    "ipAddress",
    "error",
    "details",
    "authDetails",
    "resourceType",
    "resourceTypeAsString",
    "operationType",
    "resourcePath",
    "representation",
    "resourceId",
    "kind",
    "realm",
    "eventType",
    "result",
];

/// Members that hold members. They are empty where the event has none.
const PARENTS: [&str; 2] = ["details", "authDetails"];

/// Why a template was refused when it was compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The template breaks tera's syntax.
    #[error("template is wrong at line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from one.
        line: usize,
        /// The column in characters, from one.
        column: usize,
        /// What tera says about it.
        message: String,
    },
    /// The template uses something that does not exist, such as an unknown filter.
    #[error("template is wrong: {message}")]
    Reference {
        /// What tera says about it.
        message: String,
    },
}

/// A compiled template.
pub(super) struct Template {
    tera: Tera,
    text: String,
    /// The variables that the text mentions; the others are not computed.
    variables: Vec<Variable>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Template").field(&self.text).finish()
    }
}

impl Template {
    pub(super) fn compile(text: &str) -> Result<(Template, Vec<EventNameHint>), TemplateError> {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&'static str>::new());
        // Tera's own `range` makes up to 100,000 numbers, which nested loops multiply.
        tera.register_function("range", |_: Kwargs, _: &State| -> TeraResult<bool> {
            Err(tera::Error::message(
                "range is not available in event names",
            ))
        });
        tera.register_filter("default", default_value);
        tera.add_raw_template(NAME, text)
            .map_err(|error| TemplateError::from_tera(&error))?;
        let mut hints = Vec::new();
        if text.contains("${") {
            hints.push(EventNameHint::DollarInTemplate);
        }
        hints.extend(unknown_fields(&tera));
        let variables = Variable::all()
            .filter(|variable| text.contains(variable.name()))
            .collect();
        Ok((
            Template {
                tera,
                text: text.to_owned(),
                variables,
            },
            hints,
        ))
    }

    pub(super) fn render(&self, metadata: &Metadata, body: &[u8]) -> Result<String, BadEventName> {
        let context = self.context(metadata, body)?;
        let mut output = Bounded::default();
        match self.tera.render_to(NAME, &context, &mut output) {
            Ok(()) => match String::from_utf8(output.bytes) {
                Ok(name) => Ok(name.trim().to_owned()),
                Err(_) => Err(BadEventName::Failed {
                    expression: String::new(),
                }),
            },
            Err(_) if output.overflowed => Err(BadEventName::TooLong { limit: MAX_BYTES }),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn context(&self, metadata: &Metadata, body: &[u8]) -> Result<Context, BadEventName> {
        let mut members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(body).map_err(|_| BadEventName::Body)?;
        for parent in PARENTS {
            let member = members.entry(parent).or_insert_with(|| json!({}));
            if member.is_null() {
                *member = json!({});
            }
        }
        let mut context = Context::from_serialize(&members).map_err(|_| BadEventName::Body)?;
        context.insert("kind", metadata.kind.as_str());
        context.insert("realm", &metadata.realm);
        context.insert("eventType", &metadata.event_type);
        context.insert("result", metadata.outcome.as_str());
        for variable in &self.variables {
            if let Some(value) = variable.value(metadata) {
                context.insert(variable.name(), &value);
            }
        }
        Ok(context)
    }

    /// Tera's own message may quote a value of the event, so only the template's text is shown.
    fn explain(&self, error: &tera::Error) -> BadEventName {
        let ErrorKind::RenderingError(report) = error.kind() else {
            return BadEventName::Failed {
                expression: String::new(),
            };
        };
        let range = report.span().range.clone();
        // Of a path, tera's place is only the part that is missing.
        let before = self.text.get(..range.start).unwrap_or_default();
        let path = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = before.trim_end_matches(path).len();
        let expression = self.text.get(start..range.end).unwrap_or_default();
        let expression = expression.to_owned();
        let message = report.message();
        if message.contains("undefined") || message.contains("not defined") {
            BadEventName::Undefined { expression }
        } else {
            BadEventName::Failed { expression }
        }
    }
}

impl TemplateError {
    fn from_tera(error: &tera::Error) -> TemplateError {
        if let ErrorKind::SyntaxError(report) = error.kind() {
            return TemplateError::Syntax {
                line: report.span().start_line,
                column: report.span().start_col + 1,
                message: report.message().to_owned(),
            };
        }
        // What is wrong beside syntax comes as a printed report whose first line says it all.
        let report = error.to_string();
        let first = report.lines().next().unwrap_or_default();
        TemplateError::Reference {
            message: first.trim_start_matches("error: ").to_owned(),
        }
    }

    /// What to do about it, for a diagnostic's help line.
    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            TemplateError::Syntax { .. } => {
                Some("a value with {{ or {% is a tera template; ${…} needs neither")
            }
            TemplateError::Reference { .. } => {
                Some("an event name can use tera's own filters and tests, but no other template")
            }
        }
    }
}

/// Tera's `default`, which counts `null` as missing too: Keycloak writes members without a value
/// as `null`, and nobody who asks for a default means to keep that.
fn default_value(value: Value, arguments: Kwargs, _: &State<'_>) -> TeraResult<Value> {
    let default = arguments.must_get::<Value>("value")?;
    let blank_too = arguments.get::<bool>("boolean")?.unwrap_or_default();
    let missing = value.is_undefined() || value.is_none() || (blank_too && !value.is_truthy());
    Ok(if missing { default } else { value })
}

/// Names that a template uses and no known event has. Keycloak and extensions may send members
/// that are not known here, so this is never more than a hint.
fn unknown_fields(tera: &Tera) -> Vec<EventNameHint> {
    let Ok(used) = tera.get_template_variables(NAME) else {
        return Vec::new();
    };
    let known = || {
        FIELDS
            .into_iter()
            .chain(Variable::all().map(Variable::name))
    };
    let mut unknown: Vec<&str> = used
        .into_iter()
        .filter(|name| !name.starts_with("__") && !known().any(|known| known == *name))
        .collect();
    unknown.sort_unstable();
    unknown
        .into_iter()
        .map(|name| EventNameHint::UnknownField {
            name: name.to_owned(),
            nearest: suggestion(name, known()),
        })
        .collect()
}

/// Takes what a template writes, up to twice the longest name, since blanks are cut off later.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > 2 * MAX_BYTES {
            self.overflowed = true;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
