//! The Socket.IO event name: a constant, text with `${variables}`, or a tera template.
//!
//! A name is compiled once, when the configuration is read. A value with `{{` or `{%` is a template
//! over the whole event, every other value is KETE's notation. The names that Socket.IO keeps for
//! itself, an empty name and an endless one are refused: at once where the text is constant, else
//! as a [`BadEventName`], which is that one event's permanent failure and never the connection's.
//! No error quotes a part of an event.

mod read;
mod template;
mod variables;

use std::sync::Arc;

use kete_event::Metadata;

pub use read::read_event_name;
use template::Template;
pub use template::TemplateError;
use variables::Pattern;

/// The longest name that is sent, in bytes.
const MAX_BYTES: usize = 1024;

/// Names that Socket.IO clients and servers emit themselves. `connect` to `disconnecting` are
/// refused by the Node server's `emit`, the last two are Node's own listener events.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// A compiled event name.
#[derive(Debug)]
pub struct EventName {
    form: Form,
    hints: Vec<EventNameHint>,
}

#[derive(Debug)]
enum Form {
    Constant(Arc<str>),
    Variables(Pattern),
    Template(Box<Template>),
}

/// What becomes of a `${name}` that has no value and no `:-default`: a variable whose source is
/// blank for this event, or a name that is no variable at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unresolved {
    /// It stays in the name as it was written, which is what KETE does.
    #[default]
    Literal,
    /// It is replaced by nothing.
    Empty,
    /// The event fails with [`BadEventName::Unresolved`].
    Fail,
}

kete_config::setting_words!(Unresolved { Literal = "literal", Empty = "empty", Fail = "fail" });

/// Why a text is no event name. Trying again cannot help; the configuration has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventNameError {
    /// The text is blank.
    #[error("event name is empty")]
    Empty,
    /// The constant is a name that Socket.IO keeps for itself.
    #[error("event name '{0}' is reserved by Socket.IO")]
    Reserved(String),
    /// The constant is too long.
    #[error("event name is longer than {limit} bytes")]
    TooLong {
        /// The longest name, in bytes.
        limit: usize,
    },
    /// A `${name:-default}` whose default has a variable in it.
    #[error("the default of '${{{name}:-…}}' holds another '${{'")]
    NestedDefault {
        /// The name before the `:-`.
        name: String,
    },
    /// The template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// Something about a name that works, but is hardly meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventNameHint {
    /// `${name}` is none of the thirty variables.
    #[error("'${{{name}}}' is no variable")]
    UnknownVariable {
        /// The name as it was written.
        name: String,
        /// The variable that is spelled most like it.
        nearest: Option<String>,
    },
    /// A `${` is never closed, so it is literal text.
    #[error("'${{' is never closed and stays as it is")]
    Unclosed,
    /// A `${…}` in a template, where it is literal text.
    #[error("'${{…}}' stays as it is in a template")]
    DollarInTemplate,
    /// A template uses a name that no known event has.
    #[error("no known event has '{name}'")]
    UnknownField {
        /// The name as it was written.
        name: String,
        /// The field or variable that is spelled most like it.
        nearest: Option<String>,
    },
}

/// A name that cannot be sent. Permanent: the same event gets the same name again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadEventName {
    /// The name came out blank.
    #[error("event name is empty for this event")]
    Empty,
    /// The name came out as one that Socket.IO keeps for itself.
    #[error("event name came out as '{0}', which is reserved by Socket.IO")]
    Reserved(&'static str),
    /// The name came out too long.
    #[error("event name came out longer than {limit} bytes")]
    TooLong {
        /// The longest name, in bytes.
        limit: usize,
    },
    /// A variable had no value, and [`Unresolved::Fail`] was asked for.
    #[error("'${{{variable}}}' has no value for this event")]
    Unresolved {
        /// The variable's name.
        variable: String,
    },
    /// A template used something that this event does not have.
    #[error("template expression '{expression}' is undefined for this event")]
    Undefined {
        /// The expression as the template has it.
        expression: String,
    },
    /// A template could not be rendered for another reason.
    #[error("template failed at '{expression}' for this event")]
    Failed {
        /// The expression as the template has it; empty if the place is not known.
        expression: String,
    },
    /// The body is not a JSON object, which no canonical event is.
    #[error("event body is no JSON object")]
    Body,
}

impl EventName {
    /// Compiles `text`, without the blanks around it. `unresolved` is ignored by templates, which
    /// say for themselves what stands for a missing value.
    ///
    /// # Errors
    /// The text can never be a name that is sent; see [`EventNameError`].
    pub fn parse(text: &str, unresolved: Unresolved) -> Result<EventName, EventNameError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(EventNameError::Empty);
        }
        if text.contains("{{") || text.contains("{%") {
            let (template, hints) = Template::compile(text)?;
            return Ok(EventName {
                form: Form::Template(Box::new(template)),
                hints,
            });
        }
        let (pattern, hints) = Pattern::compile(text, unresolved)?;
        let form = match pattern.into_constant() {
            Ok(constant) => {
                check(&constant)?;
                Form::Constant(constant.into())
            }
            Err(pattern) => Form::Variables(pattern),
        };
        Ok(EventName { form, hints })
    }

    /// The name, if it is the same for every event.
    pub fn is_constant(&self) -> Option<&str> {
        match &self.form {
            Form::Constant(name) => Some(name),
            _ => None,
        }
    }

    /// What about the text is hardly meant; for the configuration's warnings.
    pub fn hints(&self) -> &[EventNameHint] {
        &self.hints
    }

    /// The name of one event. `body` is its canonical JSON and is read only by templates.
    ///
    /// A constant name is not copied.
    ///
    /// # Errors
    /// The event has no name that can be sent; see [`BadEventName`].
    pub fn render(&self, metadata: &Metadata, body: &[u8]) -> Result<Arc<str>, BadEventName> {
        let name = match &self.form {
            Form::Constant(name) => return Ok(name.clone()),
            Form::Variables(pattern) => pattern.render(metadata)?,
            Form::Template(template) => template.render(metadata, body)?,
        };
        check(&name)?;
        Ok(name.into())
    }
}

impl EventNameError {
    /// What to do about it, for a diagnostic's help line.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            EventNameError::Empty => Some("write for example 'keycloak-event'"),
            EventNameError::Reserved(_) => Some("put something before it, such as 'keycloak-'"),
            EventNameError::TooLong { .. } => None,
            EventNameError::NestedDefault { .. } => {
                Some("use a template instead: {{ … | default(value=…) }}")
            }
            EventNameError::Template(error) => error.help(),
        }
    }
}

impl EventNameHint {
    /// What to do about it, for a diagnostic's help line.
    pub fn help(&self) -> Option<String> {
        match self {
            EventNameHint::UnknownVariable {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean ${{{nearest}}}?")),
            EventNameHint::UnknownVariable { nearest: None, .. } => Some(
                "variables are kind, realm, eventType, resourceType, operationType or result \
                 with LowerCase, UpperCase, KebabCase, PascalCase or CamelCase after it"
                    .to_owned(),
            ),
            EventNameHint::Unclosed => Some("write $${ for the characters themselves".to_owned()),
            EventNameHint::DollarInTemplate => {
                Some("the variables are there too: write {{ realmLowerCase }}".to_owned())
            }
            EventNameHint::UnknownField {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean {nearest}?")),
            EventNameHint::UnknownField { nearest: None, .. } => Some(
                "this is fine if your Keycloak sends it, but an event without it cannot be sent \
                 unless the template says 'or' or 'default'"
                    .to_owned(),
            ),
        }
    }
}

/// A name that must not be sent, whenever that is found out.
enum Refusal {
    Empty,
    Reserved(&'static str),
    TooLong,
}

fn check(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal::Empty);
    }
    if name.len() > MAX_BYTES {
        return Err(Refusal::TooLong);
    }
    match RESERVED.into_iter().find(|reserved| *reserved == name) {
        Some(reserved) => Err(Refusal::Reserved(reserved)),
        None => Ok(()),
    }
}

impl From<Refusal> for EventNameError {
    fn from(refusal: Refusal) -> EventNameError {
        match refusal {
            Refusal::Empty => EventNameError::Empty,
            Refusal::Reserved(name) => EventNameError::Reserved(name.to_owned()),
            Refusal::TooLong => EventNameError::TooLong { limit: MAX_BYTES },
        }
    }
}

impl From<Refusal> for BadEventName {
    fn from(refusal: Refusal) -> BadEventName {
        match refusal {
            Refusal::Empty => BadEventName::Empty,
            Refusal::Reserved(name) => BadEventName::Reserved(name),
            Refusal::TooLong => BadEventName::TooLong { limit: MAX_BYTES },
        }
    }
}

#[cfg(test)]
mod tests;
