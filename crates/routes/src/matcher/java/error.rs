//! What can be wrong with a Java regular expression.

/// A regular expression that is wrong in Java too, or that uses something not carried over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at character {position}")]
pub struct ExpressionError {
    /// Where in the pattern, in characters from one.
    pub position: usize,
    /// What is wrong there.
    pub problem: ExpressionProblem,
}

/// The kinds of mistakes in a regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExpressionProblem {
    /// A group without its closing parenthesis.
    #[error("'(' is never closed")]
    UnclosedGroup,
    /// A closing parenthesis without its group.
    #[error("')' closes nothing")]
    UnopenedGroup,
    /// A character class without its closing bracket.
    #[error("'[' is never closed")]
    UnclosedClass,
    /// `*`, `+`, `?` or `{` after nothing that can be repeated.
    #[error("'{0}' has nothing to repeat")]
    NothingToRepeat(char),
    /// Braces that are no count, or a count whose ends are the wrong way round.
    #[error("'{{' does not begin a count such as {{2}}, {{2,}} or {{2,5}}")]
    MalformedCount,
    /// A count above the limit.
    #[error("repetition count is above {limit}")]
    CountTooLarge {
        /// The highest count.
        limit: u32,
    },
    /// Groups nested deeper than the limit.
    #[error("groups are nested more than {limit} deep")]
    TooDeep {
        /// The deepest nesting.
        limit: usize,
    },
    /// The pattern ends with a backslash.
    #[error("backslash at the end escapes nothing")]
    TrailingBackslash,
    /// A backslash before a letter that has no meaning in Java.
    #[error("unknown escape sequence '\\{0}'")]
    UnknownEscape(char),
    /// An escape with a code whose digits are missing or name no character.
    #[error("'\\{0}' is not followed by the code of a character")]
    MalformedCode(char),
    /// A range whose ends are the wrong way round or are no single characters.
    #[error("illegal character range")]
    BadRange,
    /// An intersection with nothing on one side.
    #[error("'&&' needs a character or a class on both sides")]
    EmptyIntersection,
    /// A property name that Java does not know or that is not carried over.
    #[error("character property '{0}' is not supported")]
    UnknownProperty(String),
    /// A reference to a group that is not closed before it, or does not exist.
    #[error("'\\{0}' refers to no group closed before it")]
    NoSuchGroup(String),
    /// A group name that is malformed or used twice.
    #[error("group name is malformed or used twice")]
    BadGroupName,
    /// `(?` followed by something unknown.
    #[error("unknown group or flag after '(?'")]
    UnknownGroup,
    /// Valid in Java, but without a faithful translation here.
    #[error("{0} is not supported")]
    NotTranslated(&'static str),
}

impl ExpressionError {
    /// What to write instead, where that is not obvious.
    pub fn help(&self) -> Option<&'static str> {
        match &self.problem {
            ExpressionProblem::UnopenedGroup => Some(r"write \) for the character"),
            ExpressionProblem::NothingToRepeat(_) | ExpressionProblem::MalformedCount => {
                Some("write a backslash before it for the character itself")
            }
            ExpressionProblem::UnknownEscape(_) | ExpressionProblem::TrailingBackslash => {
                Some(r"write \\ for a backslash; in .properties files every backslash is doubled")
            }
            ExpressionProblem::UnknownProperty(_) => {
                Some(r"known are for example \p{Alpha}, \p{Lu}, \p{IsAlphabetic} and \p{IsLatin}")
            }
            ExpressionProblem::NotTranslated(_) => Some("write it another way, or as a glob"),
            _ => None,
        }
    }
}
