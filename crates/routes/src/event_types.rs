//! The event types that Keycloak is known to send, so that a misspelt one can be pointed out.
//!
//! The list is open: newer Keycloak releases and extensions add types, so not being in it is never
//! more than a warning, and nothing at run time looks here.

use kete_event::RESOURCE_TYPES;

use crate::suggestion::suggestion;

/// `org.keycloak.events.EventType` up to Keycloak 26.7; each also exists as `<NAME>_ERROR`.
const USER_EVENTS: [&str; 66] = [
    "AUTHREQID_TO_TOKEN",
    "CLIENT_DELETE",
    "CLIENT_INFO",
    "CLIENT_INITIATED_ACCOUNT_LINKING",
    "CLIENT_LOGIN",
    "CLIENT_REGISTER",
    "CLIENT_UPDATE",
    "CODE_TO_TOKEN",
    "CUSTOM_REQUIRED_ACTION",
    "DELETE_ACCOUNT",
    "EXECUTE_ACTIONS",
    "EXECUTE_ACTION_TOKEN",
    "FEDERATED_IDENTITY_LINK",
    "FEDERATED_IDENTITY_OVERRIDE_LINK",
    "GRANT_CONSENT",
    "IDENTITY_PROVIDER_FIRST_LOGIN",
    "IDENTITY_PROVIDER_LINK_ACCOUNT",
    "IDENTITY_PROVIDER_LOGIN",
    "IDENTITY_PROVIDER_POST_LOGIN",
    "IDENTITY_PROVIDER_RESPONSE",
    "IDENTITY_PROVIDER_RETRIEVE_TOKEN",
    "IMPERSONATE",
    "INTROSPECT_TOKEN",
    "INVALID_SIGNATURE",
    "INVITE_ORG",
    "JWT_AUTHORIZATION_GRANT",
    "LOGIN",
    "LOGOUT",
    "OAUTH2_DEVICE_AUTH",
    "OAUTH2_DEVICE_CODE_TO_TOKEN",
    "OAUTH2_DEVICE_VERIFY_USER_CODE",
    "OAUTH2_EXTENSION_GRANT",
    "PERMISSION_TOKEN",
    "PUSHED_AUTHORIZATION_REQUEST",
    "REFRESH_TOKEN",
    "REGISTER",
    "REGISTER_NODE",
    "REMOVE_CREDENTIAL",
    "REMOVE_FEDERATED_IDENTITY",
    "REMOVE_TOTP",
    "RESET_PASSWORD",
    "RESTART_AUTHENTICATION",
    "REVOKE_GRANT",
    "SEND_IDENTITY_PROVIDER_LINK",
    "SEND_RESET_PASSWORD",
    "SEND_VERIFY_EMAIL",
    "TOKEN_EXCHANGE",
    "UNREGISTER_NODE",
    "UPDATE_CONSENT",
    "UPDATE_CREDENTIAL",
    "UPDATE_EMAIL",
    "UPDATE_PASSWORD",
    "UPDATE_PROFILE",
    "UPDATE_TOTP",
    "USER_DISABLED_BY_PERMANENT_LOCKOUT",
    "USER_DISABLED_BY_TEMPORARY_LOCKOUT",
    "USER_INFO_REQUEST",
    "USER_SESSION_DELETED",
    "VALIDATE_ACCESS_TOKEN",
    "VERIFIABLE_CREDENTIAL_CREATE_OFFER",
    "VERIFIABLE_CREDENTIAL_NONCE_REQUEST",
    "VERIFIABLE_CREDENTIAL_OFFER_REQUEST",
    "VERIFIABLE_CREDENTIAL_PRE_AUTHORIZED_GRANT",
    "VERIFIABLE_CREDENTIAL_REQUEST",
    "VERIFY_EMAIL",
    "VERIFY_PROFILE",
];

const OPERATIONS: [&str; 4] = ["ACTION", "CREATE", "DELETE", "UPDATE"];

/// Whether `name` is an event type of a Keycloak release this crate knows, in any letter case.
pub fn is_known_event_type(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let is_user_event = |name: &str| USER_EVENTS.contains(&name);
    let is_admin_event = |name: &str| {
        name.rsplit_once('_').is_some_and(|(resource, operation)| {
            RESOURCE_TYPES.contains(&resource) && OPERATIONS.contains(&operation)
        })
    };
    is_user_event(&name)
        || name.strip_suffix("_ERROR").is_some_and(is_user_event)
        || is_admin_event(&name)
}

/// The known event type that is spelled most like `name`, if one is close.
pub(crate) fn nearest_event_type(name: &str) -> Option<String> {
    let user_events = USER_EVENTS
        .iter()
        .flat_map(|event| [(*event).to_owned(), format!("{event}_ERROR")]);
    let admin_events = RESOURCE_TYPES.iter().flat_map(|resource| {
        OPERATIONS
            .iter()
            .map(move |operation| format!("{resource}_{operation}"))
    });
    suggestion(name, user_events.chain(admin_events))
}

#[cfg(test)]
mod tests {
    use super::{RESOURCE_TYPES, USER_EVENTS, is_known_event_type, nearest_event_type};

    #[test]
    fn user_events_their_errors_and_admin_events_are_known() {
        for name in [
            "LOGIN",
            "LOGIN_ERROR",
            "login",
            "USER_CREATE",
            "REALM_ROLE_MAPPING_DELETE",
        ] {
            assert!(is_known_event_type(name), "{name}");
        }
    }

    #[test]
    fn misspelt_and_impossible_names_are_unknown() {
        for name in [
            "LOGN",
            "USER_CREATED",
            "USER_CREATE_ERROR",
            "CREATE:USER",
            "ACTION",
            "",
        ] {
            assert!(!is_known_event_type(name), "{name}");
        }
    }

    #[test]
    fn the_nearest_name_may_be_of_either_kind() {
        assert_eq!(nearest_event_type("LOGN").as_deref(), Some("LOGIN"));
        assert_eq!(
            nearest_event_type("login_eror").as_deref(),
            Some("LOGIN_ERROR")
        );
        assert_eq!(
            nearest_event_type("USER_CRETE").as_deref(),
            Some("USER_CREATE")
        );
        assert_eq!(nearest_event_type("SOMETHING_ELSE_ALTOGETHER"), None);
    }

    #[test]
    fn the_lists_are_sorted_and_hold_each_name_once() {
        assert!(USER_EVENTS.is_sorted_by(|one, next| one < next));
        assert!(RESOURCE_TYPES.is_sorted_by(|one, next| one < next));
    }
}
