//! Every name Keycloak 26.7 has, in every shape it can come in.

use super::*;

const EVENT_TYPES: &str = "
    LOGIN REGISTER LOGOUT CODE_TO_TOKEN CLIENT_LOGIN REFRESH_TOKEN VALIDATE_ACCESS_TOKEN
    INTROSPECT_TOKEN FEDERATED_IDENTITY_LINK REMOVE_FEDERATED_IDENTITY UPDATE_EMAIL UPDATE_PROFILE
    UPDATE_PASSWORD UPDATE_TOTP VERIFY_EMAIL VERIFY_PROFILE REMOVE_TOTP GRANT_CONSENT
    UPDATE_CONSENT REVOKE_GRANT SEND_VERIFY_EMAIL SEND_RESET_PASSWORD SEND_IDENTITY_PROVIDER_LINK
    RESET_PASSWORD RESTART_AUTHENTICATION INVALID_SIGNATURE REGISTER_NODE UNREGISTER_NODE
    USER_INFO_REQUEST IDENTITY_PROVIDER_LINK_ACCOUNT IDENTITY_PROVIDER_LOGIN
    IDENTITY_PROVIDER_FIRST_LOGIN IDENTITY_PROVIDER_POST_LOGIN IDENTITY_PROVIDER_RESPONSE
    IDENTITY_PROVIDER_RETRIEVE_TOKEN IMPERSONATE CUSTOM_REQUIRED_ACTION EXECUTE_ACTIONS
    EXECUTE_ACTION_TOKEN CLIENT_INFO CLIENT_REGISTER CLIENT_UPDATE CLIENT_DELETE
    CLIENT_INITIATED_ACCOUNT_LINKING TOKEN_EXCHANGE OAUTH2_DEVICE_AUTH
    OAUTH2_DEVICE_VERIFY_USER_CODE OAUTH2_DEVICE_CODE_TO_TOKEN AUTHREQID_TO_TOKEN
    PERMISSION_TOKEN DELETE_ACCOUNT PUSHED_AUTHORIZATION_REQUEST
    USER_DISABLED_BY_PERMANENT_LOCKOUT USER_DISABLED_BY_TEMPORARY_LOCKOUT OAUTH2_EXTENSION_GRANT
    FEDERATED_IDENTITY_OVERRIDE_LINK UPDATE_CREDENTIAL REMOVE_CREDENTIAL INVITE_ORG
    USER_SESSION_DELETED VERIFIABLE_CREDENTIAL_REQUEST VERIFIABLE_CREDENTIAL_OFFER_REQUEST
    VERIFIABLE_CREDENTIAL_NONCE_REQUEST VERIFIABLE_CREDENTIAL_CREATE_OFFER
    VERIFIABLE_CREDENTIAL_PRE_AUTHORIZED_GRANT JWT_AUTHORIZATION_GRANT";

const RESOURCE_TYPES: &str = "
    REALM REALM_ROLE REALM_ROLE_MAPPING REALM_SCOPE_MAPPING AUTH_FLOW AUTH_EXECUTION_FLOW
    AUTH_EXECUTION AUTHENTICATOR_CONFIG REQUIRED_ACTION_CONFIG REQUIRED_ACTION IDENTITY_PROVIDER
    IDENTITY_PROVIDER_MAPPER PROTOCOL_MAPPER USER USER_LOGIN_FAILURE USER_SESSION
    USER_FEDERATION_PROVIDER USER_FEDERATION_MAPPER GROUP GROUP_MEMBERSHIP CLIENT
    CLIENT_INITIAL_ACCESS_MODEL CLIENT_ROLE CLIENT_ROLE_MAPPING CLIENT_SCOPE CLIENT_SCOPE_MAPPING
    CLIENT_SCOPE_CLIENT_MAPPING CLUSTER_NODE COMPONENT AUTHORIZATION_RESOURCE_SERVER
    AUTHORIZATION_RESOURCE AUTHORIZATION_SCOPE AUTHORIZATION_POLICY CUSTOM USER_PROFILE
    ORGANIZATION ORGANIZATION_MEMBERSHIP ORGANIZATION_GROUP ORGANIZATION_GROUP_MEMBERSHIP";

const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "ACTION"];

#[test]
fn every_event_type_is_the_same_in_both_spellings() {
    let mut count = 0;
    for name in EVENT_TYPES.split_whitespace() {
        for name in [name.to_owned(), format!("{name}_ERROR")] {
            let plain = format!(r#"{{"type":"{name}","userId":"u"}}"#);
            let webhook =
                format!(r#"{{"type":"access.{name}","authDetails":{{"userId":"u"}},"uid":null}}"#);
            assert_eq!(parse(&plain).event_type(), name);
            assert_eq!(canonical(&plain), canonical(&webhook));
            count += 1;
        }
    }
    assert_eq!(count, 132);
}

#[test]
fn every_resource_type_with_every_operation_is_the_same_in_all_spellings() {
    let mut count = 0;
    for resource in RESOURCE_TYPES.split_whitespace() {
        for operation in OPERATIONS {
            let bean = format!(
                r#"{{"resourceType":"{resource}","operationType":"{operation}",
                    "resourceTypeAsString":"{resource}"}}"#
            );
            let representation =
                format!(r#"{{"operationType":"{operation}","resourceType":"{resource}"}}"#);
            let webhook = format!(r#"{{"type":"admin.{resource}-{operation}"}}"#);
            let expected = canonical(&bean);
            assert_eq!(canonical(&representation), expected);
            assert_eq!(canonical(&webhook), expected);
            let metadata = parse(&webhook).metadata();
            assert_eq!(*metadata.event_type, format!("{resource}_{operation}"));
            assert_eq!(metadata.resource_type.as_deref(), Some(resource));
            assert_eq!(metadata.operation_type.as_deref(), Some(operation));
            count += 1;
        }
    }
    assert_eq!(count, 39 * 4);
}

#[test]
fn operations_nobody_knows_survive() {
    let event = parse(r#"{"resourceType":"USER","operationType":"ARCHIVE"}"#);
    assert_eq!(event.event_type(), "USER_ARCHIVE");
}
