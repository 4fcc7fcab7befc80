//! The thirty variables and their five styles.

use std::collections::HashSet;

use kete_event::{Kind, Metadata, Outcome, Style, Variable};

use super::*;

/// A text, then in lower, upper, kebab, pascal and camel case.
const STYLES: [(&str, [&str; 5]); 16] = [
    ("LOGIN", ["login", "LOGIN", "login", "Login", "login"]),
    (
        "LOGIN_ERROR",
        [
            "login_error",
            "LOGIN_ERROR",
            "login-error",
            "LoginError",
            "loginError",
        ],
    ),
    (
        "CODE_TO_TOKEN",
        [
            "code_to_token",
            "CODE_TO_TOKEN",
            "code-to-token",
            "CodeToToken",
            "codeToToken",
        ],
    ),
    (
        "REALM_ROLE_MAPPING_CREATE",
        [
            "realm_role_mapping_create",
            "REALM_ROLE_MAPPING_CREATE",
            "realm-role-mapping-create",
            "RealmRoleMappingCreate",
            "realmRoleMappingCreate",
        ],
    ),
    ("EVENT", ["event", "EVENT", "event", "Event", "event"]),
    (
        "ADMIN_EVENT",
        [
            "admin_event",
            "ADMIN_EVENT",
            "admin-event",
            "AdminEvent",
            "adminEvent",
        ],
    ),
    (
        "OAUTH2_DEVICE_AUTH",
        [
            "oauth2_device_auth",
            "OAUTH2_DEVICE_AUTH",
            "oauth2-device-auth",
            "Oauth2DeviceAuth",
            "oauth2DeviceAuth",
        ],
    ),
    (
        "my_realm",
        ["my_realm", "MY_REALM", "my-realm", "MyRealm", "myRealm"],
    ),
    (
        "my-realm",
        ["my-realm", "MY-REALM", "my-realm", "My-realm", "my-realm"],
    ),
    (
        "MyRealm",
        ["myrealm", "MYREALM", "myrealm", "Myrealm", "myrealm"],
    ),
    (
        "SUCCESS",
        ["success", "SUCCESS", "success", "Success", "success"],
    ),
    // Letters outside ASCII stay as they are, also where a word begins with one.
    (
        "ÉCOLE_ÉTÉ",
        [
            "École_ÉtÉ",
            "ÉCOLE_ÉTÉ",
            "École-ÉtÉ",
            "ÉcoleÉtÉ",
            "ÉcoleÉtÉ",
        ],
    ),
    (
        "straße_ix",
        [
            "straße_ix",
            "STRAßE_IX",
            "straße-ix",
            "StraßeIx",
            "straßeIx",
        ],
    ),
    // The Turkish dotless i exists in no locale-free conversion.
    (
        "TITLE_ı",
        ["title_ı", "TITLE_ı", "title-ı", "Titleı", "titleı"],
    ),
    // Empty words vanish where words are joined.
    ("_A__B_", ["_a__b_", "_A__B_", "-a--b-", "AB", "AB"]),
    ("", ["", "", "", "", ""]),
];

#[test]
fn every_style_writes_as_kete_does() {
    for (source, expected) in STYLES {
        let written = [
            Style::Lower,
            Style::Upper,
            Style::Kebab,
            Style::Pascal,
            Style::Camel,
        ]
        .map(|style| style.apply(source));
        assert_eq!(written, expected, "{source}");
    }
}

#[test]
fn there_are_thirty_and_each_is_found_by_its_name() {
    let names: HashSet<_> = Variable::all().map(Variable::name).collect();
    assert_eq!(names.len(), 30);
    for variable in Variable::all() {
        assert_eq!(Variable::named(variable.name()), Some(variable));
        let name = format!("{:?}{:?}Case", variable.source(), variable.style());
        assert!(name.eq_ignore_ascii_case(variable.name()), "{name}");
    }
}

#[test]
fn names_that_kete_does_not_have_are_unknown() {
    for name in [
        "",
        "realm",
        "eventTypeSnakeCase",
        "eventtypekebabcase",
        "userIdLowerCase",
    ] {
        assert_eq!(Variable::named(name), None, "{name}");
    }
}

#[test]
fn each_variable_tells_its_own_fact() {
    let metadata = parse(KEYCLOAK_USER_CREATE).metadata();
    for (name, expected) in [
        ("kindPascalCase", "AdminEvent"),
        ("realmUpperCase", "DEMO"),
        ("eventTypeKebabCase", "user-create"),
        ("resourceTypeLowerCase", "user"),
        ("operationTypeCamelCase", "create"),
        ("resultUpperCase", "SUCCESS"),
    ] {
        let value = Variable::named(name).unwrap().value(&metadata);
        assert_eq!(value.as_deref(), Some(expected), "{name}");
    }
}

#[test]
fn a_fact_that_is_absent_or_blank_leaves_its_variables_undefined() {
    let metadata = Metadata {
        kind: Kind::User,
        realm: Some(" ".into()),
        event_type: "LOGIN".into(),
        resource_type: None,
        operation_type: None,
        outcome: Outcome::Success,
        event_id: "".into(),
    };
    let undefined: Vec<_> = Variable::all()
        .filter(|variable| variable.value(&metadata).is_none())
        .map(|variable| variable.name().trim_end_matches("LowerCase"))
        .filter(|name| !name.ends_with("Case"))
        .collect();
    assert_eq!(undefined, ["realm", "resourceType", "operationType"]);
}
