//! Realm names for events whose shape has none.
//!
//! The Admin REST representation knows its realm by id only, and routes match names. A name that an
//! event brings with it is never replaced.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use kete_config::{Key, MapKey, Scope};
use kete_event::{Event, Fields};
use tracing::warn;

pub(crate) static REALM: Key<String> = Key::optional(
    "realm",
    "the realm's name for events that come without one and whose realm id is not in realm-names",
);
pub(crate) static REALM_NAMES: MapKey = MapKey::new(
    "realm-names",
    "REALM-ID",
    "the name of the realm with this id, for events that come without a realm's name",
);

/// Fills in realm names.
#[derive(Debug, Default)]
pub struct RealmNames {
    default: Option<String>,
    by_id: HashMap<String, String>,
    /// Whether it was said that events come without a realm.
    said: AtomicBool,
}

impl RealmNames {
    /// Reads [`REALM`] and [`REALM_NAMES`] from the section of a source.
    pub(crate) fn read(scope: &Scope<'_>) -> RealmNames {
        let default = scope.read(&REALM);
        let entries = scope.map(&REALM_NAMES).into_iter();
        let by_id = entries.filter(|(_, name)| !name.is_empty()).collect();
        RealmNames {
            default,
            by_id,
            said: AtomicBool::new(false),
        }
    }

    /// Whether it has no name to give.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.default.is_none() && self.by_id.is_empty()
    }

    /// Names the realm of an event, and the realm of the administrator, where that is missing.
    /// Says once that an event of this source has no realm at all, for no route takes it then.
    pub fn fill_in<'e>(&'e self, event: &mut Event<'e>, source: &str) {
        if is_missing(event.realm_name.as_deref()) {
            let known = self
                .by_id(event.realm_id.as_deref())
                .or(self.default.as_deref());
            event.realm_name = known.map(Cow::Borrowed).or(event.realm_name.take());
            if event.realm().is_none() && !self.said.swap(true, Ordering::Relaxed) {
                warn!(
                    source,
                    "an event has no realm, so no route takes it; \
                     kete.sources.{source}.realm can name one"
                );
            }
        }
        if let Fields::Admin(admin) = &mut event.fields
            && let Some(auth) = &mut admin.auth_details
            && is_missing(auth.realm_name.as_deref())
            && let Some(known) = self.by_id(auth.realm_id.as_deref())
        {
            auth.realm_name = Some(Cow::Borrowed(known));
        }
    }

    /// Names the realm of every event that has none.
    #[cfg(test)]
    pub(crate) fn always(name: &str) -> RealmNames {
        RealmNames {
            default: Some(name.to_owned()),
            ..RealmNames::default()
        }
    }

    fn by_id(&self, id: Option<&str>) -> Option<&str> {
        self.by_id.get(id?).map(String::as_str)
    }
}

fn is_missing(name: Option<&str>) -> bool {
    name.is_none_or(|name| name.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use kete_config::{Diagnostics, Loader};

    use super::*;

    fn names(settings: &[&str]) -> RealmNames {
        let diagnostics = Diagnostics::new();
        let loader = settings
            .iter()
            .fold(Loader::new("kete"), |loader, set| loader.set(*set));
        let settings = loader.load(&diagnostics);
        let names = RealmNames::read(&settings.scope("kete", &diagnostics));
        assert_eq!(diagnostics.to_string(), "");
        names
    }

    fn realm_of(names: &RealmNames, json: &str) -> Option<String> {
        let mut event = Event::parse(json.as_bytes()).unwrap();
        names.fill_in(&mut event, "test");
        event.realm_name.as_deref().map(str::to_owned)
    }

    #[test]
    fn a_name_is_found_by_id_and_else_the_default_counts() {
        let names = names(&["kete.realm=fallback", "kete.realm-names.id-1=shop"]);
        let realm = |json| realm_of(&names, json);
        assert_eq!(
            realm(r#"{"type":"LOGIN","realmId":"id-1"}"#).as_deref(),
            Some("shop")
        );
        assert_eq!(
            realm(r#"{"type":"LOGIN","realmId":"id-2"}"#).as_deref(),
            Some("fallback")
        );
        assert_eq!(realm(r#"{"type":"LOGIN"}"#).as_deref(), Some("fallback"));
        assert_eq!(
            realm(r#"{"type":"LOGIN","realmName":" ","realmId":"id-1"}"#).as_deref(),
            Some("shop")
        );
    }

    #[test]
    fn a_name_that_is_there_stays() {
        let names = names(&["kete.realm=fallback", "kete.realm-names.id-1=shop"]);
        let json = r#"{"type":"LOGIN","realmId":"id-1","realmName":"own"}"#;
        assert_eq!(realm_of(&names, json).as_deref(), Some("own"));
    }

    #[test]
    fn without_settings_nothing_is_made_up() {
        let names = names(&["kete.realm=", "kete.realm-names.id-1="]);
        assert_eq!(
            realm_of(&names, r#"{"type":"LOGIN","realmId":"id-1"}"#),
            None
        );
    }

    #[test]
    fn the_realm_of_the_administrator_is_named_by_id_only() {
        let names = names(&["kete.realm=fallback", "kete.realm-names.id-1=master"]);
        let auth_realm = |id: &str| {
            let json = format!(
                r#"{{"operationType":"CREATE","resourceType":"USER",
                    "authDetails":{{"realmId":"{id}"}}}}"#
            );
            let mut event = Event::parse(json.as_bytes()).unwrap();
            names.fill_in(&mut event, "test");
            let Fields::Admin(admin) = &event.fields else {
                panic!("an admin event")
            };
            admin
                .auth_details
                .as_ref()?
                .realm_name
                .as_deref()
                .map(str::to_owned)
        };
        assert_eq!(auth_realm("id-1").as_deref(), Some("master"));
        assert_eq!(auth_realm("id-2"), None);
    }
}
