//! Keycloak's own resource types of admin events.
//!
//! Keycloak maps any other text to `CUSTOM` and keeps the text beside it; its Admin REST API and
//! webhooks show the text only. This list turns one back into the other. Events of types missing
//! here still pass, as `CUSTOM`.

/// What Keycloak calls a resource type that an extension made up.
pub(crate) const CUSTOM: &str = "CUSTOM";

/// `org.keycloak.events.admin.ResourceType` of Keycloak 26.7, sorted.
pub const RESOURCE_TYPES: [&str; 39] = [
    "AUTHENTICATOR_CONFIG",
    "AUTHORIZATION_POLICY",
    "AUTHORIZATION_RESOURCE",
    "AUTHORIZATION_RESOURCE_SERVER",
    "AUTHORIZATION_SCOPE",
    "AUTH_EXECUTION",
    "AUTH_EXECUTION_FLOW",
    "AUTH_FLOW",
    "CLIENT",
    "CLIENT_INITIAL_ACCESS_MODEL",
    "CLIENT_ROLE",
    "CLIENT_ROLE_MAPPING",
    "CLIENT_SCOPE",
    "CLIENT_SCOPE_CLIENT_MAPPING",
    "CLIENT_SCOPE_MAPPING",
    "CLUSTER_NODE",
    "COMPONENT",
    "CUSTOM",
    "GROUP",
    "GROUP_MEMBERSHIP",
    "IDENTITY_PROVIDER",
    "IDENTITY_PROVIDER_MAPPER",
    "ORGANIZATION",
    "ORGANIZATION_GROUP",
    "ORGANIZATION_GROUP_MEMBERSHIP",
    "ORGANIZATION_MEMBERSHIP",
    "PROTOCOL_MAPPER",
    "REALM",
    "REALM_ROLE",
    "REALM_ROLE_MAPPING",
    "REALM_SCOPE_MAPPING",
    "REQUIRED_ACTION",
    "REQUIRED_ACTION_CONFIG",
    "USER",
    "USER_FEDERATION_MAPPER",
    "USER_FEDERATION_PROVIDER",
    "USER_LOGIN_FAILURE",
    "USER_PROFILE",
    "USER_SESSION",
];

/// Whether Keycloak itself has a resource type of this name.
pub(crate) fn is_known_resource_type(resource_type: &str) -> bool {
    RESOURCE_TYPES.binary_search(&resource_type).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_every_entry_is_found() {
        assert!(RESOURCE_TYPES.is_sorted());
        for name in RESOURCE_TYPES {
            assert!(is_known_resource_type(name), "{name}");
        }
    }

    #[test]
    fn names_that_are_not_keycloaks_are_not_known() {
        for name in ["", "user", "USERS", "INVOICE", "USER_"] {
            assert!(!is_known_resource_type(name), "{name}");
        }
    }
}
