//! KETE's thirty event-name variables: six facts in five styles.
//!
//! `${eventTypeKebabCase}` is the fact `eventType` in the style `KebabCase`. All conversions touch
//! ASCII letters only and never ask for a locale, so that a name is the same on every machine. The
//! last three styles convert from `UPPER_UNDERSCORE` as Guava's `CaseFormat` does: only `_`
//! separates words, so `MyRealm` is one word and so is `my-realm`.

use crate::metadata::Metadata;

/// One of the thirty variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variable {
    source: VariableSource,
    style: Style,
}

/// The fact a variable tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VariableSource {
    /// `EVENT` or `ADMIN_EVENT`.
    Kind,
    /// The realm's name, else its id.
    Realm,
    /// `LOGIN`, `USER_CREATE`.
    EventType,
    /// Resource type of an admin event.
    ResourceType,
    /// Operation of an admin event.
    OperationType,
    /// `SUCCESS` or `ERROR`.
    Result,
}

/// How a variable writes its fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// `LOGIN_ERROR` becomes `login_error`.
    Lower,
    /// `my-realm` becomes `MY-REALM`.
    Upper,
    /// `LOGIN_ERROR` becomes `login-error`.
    Kebab,
    /// `LOGIN_ERROR` becomes `LoginError`.
    Pascal,
    /// `LOGIN_ERROR` becomes `loginError`.
    Camel,
}

/// Every variable's name, by source and style in the order of [`SOURCES`] and [`STYLES`].
const NAMES: [[&str; 5]; 6] = [
    [
        "kindLowerCase",
        "kindUpperCase",
        "kindKebabCase",
        "kindPascalCase",
        "kindCamelCase",
    ],
    [
        "realmLowerCase",
        "realmUpperCase",
        "realmKebabCase",
        "realmPascalCase",
        "realmCamelCase",
    ],
    [
        "eventTypeLowerCase",
        "eventTypeUpperCase",
        "eventTypeKebabCase",
        "eventTypePascalCase",
        "eventTypeCamelCase",
    ],
    [
        "resourceTypeLowerCase",
        "resourceTypeUpperCase",
        "resourceTypeKebabCase",
        "resourceTypePascalCase",
        "resourceTypeCamelCase",
    ],
    [
        "operationTypeLowerCase",
        "operationTypeUpperCase",
        "operationTypeKebabCase",
        "operationTypePascalCase",
        "operationTypeCamelCase",
    ],
    [
        "resultLowerCase",
        "resultUpperCase",
        "resultKebabCase",
        "resultPascalCase",
        "resultCamelCase",
    ],
];

const SOURCES: [VariableSource; 6] = [
    VariableSource::Kind,
    VariableSource::Realm,
    VariableSource::EventType,
    VariableSource::ResourceType,
    VariableSource::OperationType,
    VariableSource::Result,
];

const STYLES: [Style; 5] = [
    Style::Lower,
    Style::Upper,
    Style::Kebab,
    Style::Pascal,
    Style::Camel,
];

impl Variable {
    /// The variable called `name` (`eventTypeKebabCase`); names are told apart by case.
    pub fn named(name: &str) -> Option<Variable> {
        Variable::all().find(|variable| variable.name() == name)
    }

    /// All thirty.
    pub fn all() -> impl Iterator<Item = Variable> {
        SOURCES.into_iter().flat_map(|source| {
            STYLES
                .into_iter()
                .map(move |style| Variable { source, style })
        })
    }

    /// The name, as it stands between `${` and `}`.
    pub fn name(self) -> &'static str {
        NAMES[self.source as usize][self.style as usize]
    }

    /// The fact it tells.
    pub fn source(self) -> VariableSource {
        self.source
    }

    /// How it writes it.
    pub fn style(self) -> Style {
        self.style
    }

    /// What the variable stands for in an event's name. `None` where the fact is absent or blank,
    /// as a user event's resource type is: the variable is then undefined.
    pub fn value(self, metadata: &Metadata) -> Option<String> {
        let fact = self.source.of(metadata)?;
        (!fact.trim().is_empty()).then(|| self.style.apply(fact))
    }
}

impl VariableSource {
    fn of(self, metadata: &Metadata) -> Option<&str> {
        match self {
            VariableSource::Kind => Some(metadata.kind.as_str()),
            VariableSource::Realm => metadata.realm.as_deref(),
            VariableSource::EventType => Some(&metadata.event_type),
            VariableSource::ResourceType => metadata.resource_type.as_deref(),
            VariableSource::OperationType => metadata.operation_type.as_deref(),
            VariableSource::Result => Some(metadata.outcome.as_str()),
        }
    }
}

impl Style {
    /// Writes `text` in this style. Letters outside ASCII stay as they are.
    pub fn apply(self, text: &str) -> String {
        match self {
            Style::Lower => text.to_ascii_lowercase(),
            Style::Upper => text.to_ascii_uppercase(),
            Style::Kebab => text.to_ascii_lowercase().replace('_', "-"),
            Style::Pascal => text.split('_').map(capitalised).collect(),
            Style::Camel => {
                let (first, rest) = text.split_once('_').unwrap_or((text, ""));
                first.to_ascii_lowercase() + &Style::Pascal.apply(rest)
            }
        }
    }
}

/// The word with its first letter in upper case and the others in lower case.
fn capitalised(word: &str) -> String {
    let mut word = word.to_ascii_lowercase();
    if let Some(first) = word.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    word
}
