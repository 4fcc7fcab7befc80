//! KETE's notation: text with `${variable}`, `${variable:-default}` and `$${` for a literal `${`.
//!
//! A default is used when the event is sent, not when the configuration is read, so it stands in
//! only where the variable has no value. What a variable is replaced by is never read again: a
//! realm called `${kindLowerCase}` is sent under that name.

use kete_event::{Metadata, Variable};

use super::{BadEventName, EventNameError, EventNameHint, MAX_BYTES, Unresolved};
use crate::suggestion::suggestion;

/// A compiled text.
#[derive(Debug)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    unresolved: Unresolved,
}

#[derive(Debug)]
enum Part {
    Text(String),
    Variable(Placeholder),
}

/// One `${…}` of which something depends on the event.
#[derive(Debug)]
struct Placeholder {
    /// `None` if the name is no variable; then only [`Unresolved::Fail`] keeps the part.
    variable: Option<Variable>,
    name: String,
    default: Option<String>,
}

impl Pattern {
    pub(super) fn compile(
        text: &str,
        unresolved: Unresolved,
    ) -> Result<(Pattern, Vec<EventNameHint>), EventNameError> {
        let mut pattern = Pattern {
            parts: Vec::new(),
            unresolved,
        };
        let mut hints = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, from_opening) = rest.split_at(start);
            let inside = &from_opening[2..];
            if let Some(before) = before.strip_suffix('$') {
                pattern.push_text(before);
                pattern.push_text("${");
                rest = inside;
                continue;
            }
            let Some((content, after)) = inside.split_once('}') else {
                hints.push(EventNameHint::Unclosed);
                break;
            };
            pattern.push_text(before);
            let placeholder = Placeholder::parse(content)?;
            if placeholder.variable.is_none() {
                hints.push(unknown(&placeholder.name));
            }
            pattern.push(placeholder);
            rest = after;
        }
        pattern.push_text(rest);
        Ok((pattern, hints))
    }

    /// The whole text, if no part of it depends on the event; else the pattern again.
    pub(super) fn into_constant(self) -> Result<String, Pattern> {
        if self
            .parts
            .iter()
            .any(|part| matches!(part, Part::Variable(_)))
        {
            return Err(self);
        }
        let texts = self.parts.into_iter().map(|part| match part {
            Part::Text(text) => text,
            Part::Variable(placeholder) => placeholder.name,
        });
        Ok(texts.collect())
    }

    pub(super) fn render(&self, metadata: &Metadata) -> Result<String, BadEventName> {
        let mut name = String::with_capacity(64);
        for part in &self.parts {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Variable(placeholder) => {
                    placeholder.render(metadata, self.unresolved, &mut name)?;
                }
            }
            if name.len() > MAX_BYTES {
                return Err(BadEventName::TooLong { limit: MAX_BYTES });
            }
        }
        Ok(name)
    }

    /// Adds a placeholder, or the text it stands for where that is already certain.
    fn push(&mut self, placeholder: Placeholder) {
        if placeholder.variable.is_some() {
            self.parts.push(Part::Variable(placeholder));
            return;
        }
        match (&placeholder.default, self.unresolved) {
            (Some(default), _) => self.push_text(&default.clone()),
            (None, Unresolved::Literal) => self.push_text(&placeholder.written()),
            (None, Unresolved::Empty) => {}
            (None, Unresolved::Fail) => self.parts.push(Part::Variable(placeholder)),
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }
}

impl Placeholder {
    fn parse(content: &str) -> Result<Placeholder, EventNameError> {
        let (name, default) = match content.split_once(":-") {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (content, None),
        };
        if default
            .as_ref()
            .is_some_and(|default| default.contains("${"))
        {
            return Err(EventNameError::NestedDefault {
                name: name.to_owned(),
            });
        }
        Ok(Placeholder {
            variable: Variable::named(name),
            name: name.to_owned(),
            default,
        })
    }

    fn render(
        &self,
        metadata: &Metadata,
        unresolved: Unresolved,
        name: &mut String,
    ) -> Result<(), BadEventName> {
        let value = self.variable.and_then(|variable| variable.value(metadata));
        match (value, &self.default, unresolved) {
            (Some(value), _, _) => name.push_str(&value),
            (None, Some(default), _) => name.push_str(default),
            (None, None, Unresolved::Literal) => name.push_str(&self.written()),
            (None, None, Unresolved::Empty) => {}
            (None, None, Unresolved::Fail) => {
                return Err(BadEventName::Unresolved {
                    variable: self.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn written(&self) -> String {
        format!("${{{}}}", self.name)
    }
}

fn unknown(name: &str) -> EventNameHint {
    let nearest = suggestion(name, Variable::all().map(Variable::name));
    EventNameHint::UnknownVariable {
        name: name.to_owned(),
        nearest,
    }
}
