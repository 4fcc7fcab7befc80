//! Reads an event name from the configuration and reports what is wrong or doubtful about it.

use kete_config::{Key, Scope};

use super::{EventName, Unresolved};

/// The codes of these diagnostics.
const BAD: &str = "bad-event-name";
const DOUBTFUL: &str = "doubtful-event-name";

/// Reads and compiles the event name of a destination. `key` and `unresolved` are the declarations
/// of the destination. `None` if there is none or it is wrong; the diagnostics then say so.
pub fn read_event_name(
    scope: &Scope<'_>,
    key: &Key<String>,
    unresolved: &Key<Unresolved>,
) -> Option<EventName> {
    use kete_config::AnyKey;

    let policy = scope.read(unresolved);
    let text = scope.read(key)?;
    match EventName::parse(&text, policy.unwrap_or_default()) {
        Ok(name) => {
            for hint in name.hints() {
                scope.warn(key.name(), DOUBTFUL, hint.to_string(), hint.help());
            }
            Some(name)
        }
        Err(error) => {
            let help = error.help().map(str::to_owned);
            scope.reject(key.name(), BAD, error.to_string(), help);
            None
        }
    }
}
