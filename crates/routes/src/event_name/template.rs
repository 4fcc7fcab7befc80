//! Event names as tera templates over the whole event.
//!
//! A template sees every member of the canonical event under its own name (`{{ clientId }}`, `{{
//! details.username }}`), the thirty variables (`{{ realmKebabCase }}`), and `kind`, `realm`,
//! `eventType` and `result` as matchers see them; where an event has a member of the same name,
//! these win. Nothing is escaped, blanks around the result are cut off, and what is undefined is
//! an error unless the template says `| default(value="…")`. A template cannot read files or other
//! templates, cannot loop over `range`, and its output is cut short by an error, not by memory.

use std::io;

use kete_event::{Metadata, Variable};
use tera::{Context, ErrorKind, Kwargs, State, Tera};

use super::{BadEventName, EventNameHint, MAX_BYTES};
use crate::suggestion::suggestion;

/// The name under which the one template is registered; it appears in no message.
const NAME: &str = "event-name";

/// Members of canonical events, and what is added to them under a fixed name.
const FIELDS: [&str; 21] = [
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
    "kind",
    "realm",
    "eventType",
    "result",
];

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
        tera.register_function("range", |_: Kwargs, _: &State| -> tera::TeraResult<bool> {
            Err(tera::Error::message(
                "range is not available in event names",
            ))
        });
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
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(body).map_err(|_| BadEventName::Body)?;
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
        let expression = self
            .text
            .get(report.span().range.clone())
            .unwrap_or_default()
            .to_owned();
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

/// Names that a template uses and no event has, where a known name is close. Keycloak may send
/// members that are not known here, so a name that is close to nothing is left alone.
fn unknown_fields(tera: &Tera) -> Vec<EventNameHint> {
    let Ok(used) = tera.get_template_variables(NAME) else {
        return Vec::new();
    };
    let known = || {
        FIELDS
            .into_iter()
            .chain(Variable::all().map(Variable::name))
    };
    let mut hints: Vec<EventNameHint> = used
        .into_iter()
        .filter(|name| !name.starts_with("__") && !known().any(|known| known == *name))
        .filter_map(|name| {
            let nearest = suggestion(name, known())?;
            Some(EventNameHint::UnknownField {
                name: name.to_owned(),
                nearest,
            })
        })
        .collect();
    hints.sort_by_key(ToString::to_string);
    hints
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
