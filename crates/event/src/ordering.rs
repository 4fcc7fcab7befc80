//! Which events must stay in order among each other.
//!
//! Events with the same key are delivered in the order in which they were accepted; events with
//! different keys may overtake each other. A key is always within one realm. It is computed before
//! redaction, so that what is masked cannot change the order of what is delivered.

use crate::event::{AdminFields, Event, Fields, UserFields, present};

impl Event<'_> {
    /// The key of the `user` ordering.
    ///
    /// A user event goes by its user, else its session, else its client, else its realm. An admin
    /// event goes by the user in `users/<id>…`, so that it stays in order with that user's own
    /// events, else by the first two segments of the resource path, else by its realm.
    ///
    /// The text is made to be compared, not to be taken apart again. Realms go by their id (by
    /// their name only where there is no id), because a realm's name can change.
    pub fn ordering_key(&self) -> String {
        let realm = present(&self.realm_id)
            .or(present(&self.realm_name))
            .unwrap_or_default();
        let (scope, owner) = match &self.fields {
            Fields::User(user) => user_scope(user),
            Fields::Admin(admin) => admin_scope(admin),
        };
        [realm, "|", scope, "|", owner].concat()
    }
}

fn user_scope<'e>(user: &'e UserFields<'_>) -> (&'static str, &'e str) {
    if let Some(id) = present(&user.user_id) {
        ("user", id)
    } else if let Some(id) = present(&user.session_id) {
        ("session", id)
    } else if let Some(id) = present(&user.client_id) {
        ("client", id)
    } else {
        ("realm", "")
    }
}

fn admin_scope<'e>(admin: &'e AdminFields<'_>) -> (&'static str, &'e str) {
    let path = present(&admin.resource_path)
        .unwrap_or_default()
        .trim_matches('/');
    match path
        .strip_prefix("users/")
        .and_then(|rest| rest.split('/').next())
    {
        Some(id) if !id.is_empty() => ("user", id),
        _ if path.is_empty() => ("realm", ""),
        _ => ("path", first_two_segments(path)),
    }
}

fn first_two_segments(path: &str) -> &str {
    path.match_indices('/')
        .nth(1)
        .map_or(path, |(second_slash, _)| &path[..second_slash])
}
