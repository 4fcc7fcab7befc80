//! Constants, variables and templates: what they become, and what they refuse.

use std::sync::Arc;

use kete_event::{Event, Metadata};

use super::{BadEventName, EventName, EventNameError, TemplateError, Unresolved};

const LOGIN: &str = r#"{"id":"e1","time":1700000000000,"type":"LOGIN","realmId":"r1",
    "realmName":"my_realm","clientId":"shop","userId":"u1","sessionId":null,"ipAddress":"::1",
    "error":null,"details":{"username":"anna","code.id":"<x>"}}"#;
const ADMIN: &str = r#"{"id":"e2","time":1700000000000,"realmId":"r1","realmName":"MyRealm",
    "authDetails":{"realmId":"master","clientId":"admin-cli","userId":"u9","ipAddress":"::1"},
    "resourceType":"REALM_ROLE_MAPPING","operationType":"CREATE","resourcePath":"users/u1",
    "representation":null,"error":"denied"}"#;

fn parse(text: &str) -> EventName {
    EventName::parse(text, Unresolved::Literal).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> EventNameError {
    EventName::parse(text, Unresolved::Literal).expect_err(text)
}

fn parts(json: &str) -> (Metadata, Vec<u8>) {
    let event = Event::parse(json.as_bytes()).unwrap();
    (event.metadata(), event.canonical())
}

fn render(name: &EventName, json: &str) -> Result<Arc<str>, BadEventName> {
    let (metadata, body) = parts(json);
    name.render(&metadata, &body)
}

fn rendered(text: &str, json: &str) -> String {
    render(&parse(text), json)
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .to_string()
}

fn in_realm(realm: &str) -> Metadata {
    Metadata {
        realm: Some(realm.into()),
        ..parts(LOGIN).0
    }
}

#[test]
fn a_constant_is_sent_as_it_is_and_never_copied() {
    for (text, expected) in [
        ("keycloak-event", "keycloak-event"),
        ("  keycloak event ", "keycloak event"),
        ("cost: 5$", "cost: 5$"),
        ("{a} $b }", "{a} $b }"),
        ("$${realmLowerCase}", "${realmLowerCase}"),
    ] {
        let name = parse(text);
        assert_eq!(name.is_constant(), Some(expected), "{text}");
        let (first, second) = (render(&name, LOGIN).unwrap(), render(&name, ADMIN).unwrap());
        assert_eq!(&*first, expected);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(name.hints(), []);
    }
}

#[test]
fn constants_that_cannot_be_sent_are_refused_at_once() {
    assert_eq!(refusal("  "), EventNameError::Empty);
    for name in [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ] {
        assert_eq!(refusal(name), EventNameError::Reserved(name.to_owned()));
        assert!(refusal(name).help().is_some());
    }
    assert_eq!(
        refusal(&"x".repeat(1025)),
        EventNameError::TooLong { limit: 1024 }
    );
    assert_eq!(
        parse(&"x".repeat(1024)).is_constant().map(str::len),
        Some(1024)
    );
    assert_eq!(
        parse("Connect").is_constant(),
        Some("Connect"),
        "names are told apart by case"
    );
    assert_eq!(
        refusal("disconnect").to_string(),
        "event name 'disconnect' is reserved by Socket.IO"
    );
}

#[test]
fn variables_follow_the_case_rules() {
    let cases = [
        (
            "keycloak-${eventTypeLowerCase}",
            "keycloak-login",
            "keycloak-realm_role_mapping_create",
        ),
        (
            "${eventTypeKebabCase}",
            "login",
            "realm-role-mapping-create",
        ),
        ("${eventTypePascalCase}", "Login", "RealmRoleMappingCreate"),
        ("${eventTypeCamelCase}", "login", "realmRoleMappingCreate"),
        ("${realmLowerCase}-event", "my_realm-event", "myrealm-event"),
        (
            "${realmKebabCase}/${realmPascalCase}",
            "my-realm/MyRealm",
            "myrealm/Myrealm",
        ),
        (
            "${kindUpperCase}.${kindCamelCase}",
            "EVENT.event",
            "ADMIN_EVENT.adminEvent",
        ),
        ("${resultLowerCase}", "success", "error"),
        (
            "$${kindLowerCase}=${kindLowerCase}",
            "${kindLowerCase}=event",
            "${kindLowerCase}=admin_event",
        ),
        (
            "$$${kindLowerCase}${resultLowerCase}",
            "$${kindLowerCase}success",
            "$${kindLowerCase}error",
        ),
        ("${operationTypeLowerCase:-none}", "none", "create"),
        ("a${operationTypeLowerCase:-}b", "ab", "acreateb"),
        (
            "${resourceTypeLowerCase:-a:-b}",
            "a:-b",
            "realm_role_mapping",
        ),
    ];
    for (text, login, admin) in cases {
        assert_eq!(rendered(text, LOGIN), login, "{text}");
        assert_eq!(rendered(text, ADMIN), admin, "{text}");
        assert_eq!(parse(text).is_constant(), None);
    }
}

#[test]
fn what_has_no_value_is_left_emptied_or_refused() {
    let render = |text: &str, unresolved| {
        let name = EventName::parse(text, unresolved).unwrap();
        let (metadata, body) = parts(LOGIN);
        name.render(&metadata, &body).map(|name| name.to_string())
    };
    let blank = "e-${resourceTypeLowerCase}";
    assert_eq!(
        render(blank, Unresolved::Literal).unwrap(),
        "e-${resourceTypeLowerCase}"
    );
    assert_eq!(render(blank, Unresolved::Empty).unwrap(), "e-");
    let variable = "resourceTypeLowerCase".to_owned();
    assert_eq!(
        render(blank, Unresolved::Fail),
        Err(BadEventName::Unresolved { variable })
    );

    let unknown = "e-${nope}";
    assert_eq!(render(unknown, Unresolved::Literal).unwrap(), "e-${nope}");
    assert_eq!(render(unknown, Unresolved::Empty).unwrap(), "e-");
    let variable = "nope".to_owned();
    assert_eq!(
        render(unknown, Unresolved::Fail),
        Err(BadEventName::Unresolved { variable })
    );

    for policy in [Unresolved::Literal, Unresolved::Empty, Unresolved::Fail] {
        assert_eq!(
            render("e-${nope:-x}", policy).unwrap(),
            "e-x",
            "a default always stands in"
        );
        assert_eq!(
            render("e-${resourceTypeLowerCase:-x}", policy).unwrap(),
            "e-x"
        );
    }
}

#[test]
fn only_empty_text_remaining_is_an_empty_name() {
    let name = EventName::parse("${resourceTypeLowerCase}", Unresolved::Empty).unwrap();
    assert_eq!(render(&name, LOGIN), Err(BadEventName::Empty));
    assert_eq!(&*render(&name, ADMIN).unwrap(), "realm_role_mapping");
    let error = EventName::parse("${nope}", Unresolved::Empty).unwrap_err();
    assert_eq!(error, EventNameError::Empty, "which is known at once");
}

#[test]
fn values_are_never_read_again() {
    let name = parse("e-${realmLowerCase}");
    let rendered = name
        .render(&in_realm("${kindlowercase}{{ 1 }}"), b"{}")
        .unwrap();
    assert_eq!(&*rendered, "e-${kindlowercase}{{ 1 }}");
}

#[test]
fn names_that_turn_out_wrong_fail_that_event_only() {
    let name = parse("${realmLowerCase}");
    for (realm, expected) in [
        ("connect", BadEventName::Reserved("connect")),
        ("DISCONNECT", BadEventName::Reserved("disconnect")),
    ] {
        assert_eq!(
            name.render(&in_realm(realm), b"{}"),
            Err(expected),
            "{realm}"
        );
    }
    let long = in_realm(&"x".repeat(1025));
    assert_eq!(
        name.render(&long, b"{}"),
        Err(BadEventName::TooLong { limit: 1024 })
    );
    assert_eq!(&*name.render(&in_realm("shop"), b"{}").unwrap(), "shop");
    let dashed = parse("e-${realmLowerCase}");
    assert_eq!(
        &*dashed.render(&in_realm("connect"), b"{}").unwrap(),
        "e-connect"
    );
}

#[test]
fn doubtful_variables_are_pointed_out() {
    let hints = |text: &str| -> Vec<(String, Option<String>)> {
        parse(text)
            .hints()
            .iter()
            .map(|hint| (hint.to_string(), hint.help()))
            .collect()
    };
    assert_eq!(
        hints("${eventTypLowerCase}"),
        [(
            "'${eventTypLowerCase}' is no variable".to_owned(),
            Some("did you mean ${eventTypeLowerCase}?".to_owned())
        )]
    );
    let [(message, Some(help))] = &hints("${tenant:-x}")[..] else {
        panic!("one hint")
    };
    assert_eq!(message, "'${tenant}' is no variable");
    assert!(
        help.starts_with("variables are kind, realm, eventType,"),
        "{help}"
    );
    assert_eq!(
        hints("${realmLowerCase}-${oops"),
        [(
            "'${' is never closed and stays as it is".to_owned(),
            Some("write $${ for the characters themselves".to_owned())
        )]
    );
    assert_eq!(
        rendered("${realmLowerCase}-${oops", LOGIN),
        "my_realm-${oops"
    );
    assert_eq!(hints("${realmLowerCase}"), []);
    assert_eq!(
        hints("${ realmLowerCase }").len(),
        1,
        "blanks are part of the name"
    );
}

#[test]
fn a_default_cannot_hold_another_variable() {
    let error = refusal("${kindLowerCase:-${realmLowerCase}}");
    assert_eq!(
        error,
        EventNameError::NestedDefault {
            name: "kindLowerCase".to_owned()
        }
    );
    assert_eq!(
        error.to_string(),
        "the default of '${kindLowerCase:-…}' holds another '${'"
    );
    assert!(error.help().is_some());
}

#[test]
fn a_template_sees_the_whole_event() {
    let cases = [
        (
            "{{ realmName }}:{{ details.username }}",
            LOGIN,
            "my_realm:anna",
        ),
        ("{{ details[\"code.id\"] }}", LOGIN, "<x>"),
        (
            "{{ type | lower }}@{{ time }}",
            LOGIN,
            "login@1700000000000",
        ),
        (
            "{{ eventType }}/{{ kind }}/{{ realm }}/{{ result }}",
            LOGIN,
            "LOGIN/EVENT/my_realm/SUCCESS",
        ),
        (
            "{{ eventTypeKebabCase }}-{{ resultPascalCase }}",
            ADMIN,
            "realm-role-mapping-create-Error",
        ),
        (
            "{{ resourcePath }}={{ authDetails.clientId }}",
            ADMIN,
            "users/u1=admin-cli",
        ),
        (
            "{% if error %}failed{% else %}fine{% endif %}",
            ADMIN,
            "failed",
        ),
        (
            "{% if error %}failed{% else %}fine{% endif %}",
            LOGIN,
            "fine",
        ),
        ("x{{ sessionId }}y", LOGIN, "xy"),
        (
            "{{ details.nope | default(value=\"none\") }}",
            LOGIN,
            "none",
        ),
        (
            "{{ resourceTypeLowerCase | default(value=\"user\") }}",
            LOGIN,
            "user",
        ),
        ("  {% if true %} a b {% endif %}  ", LOGIN, "a b"),
        ("{{ '${realmLowerCase}' }}", LOGIN, "${realmLowerCase}"),
        (
            "{% for key, value in details %}{{ key }};{% endfor %}",
            LOGIN,
            "code.id;username;",
        ),
    ];
    for (text, json, expected) in cases {
        assert_eq!(rendered(text, json), expected, "{text}");
    }
}

#[test]
fn a_template_that_cannot_be_compiled_is_refused_with_its_place() {
    let cases = [
        ("{{ realmName ", "template is wrong at line 1, column "),
        ("a{% if x %}b", "template is wrong at line 1, column "),
        (
            "{{ realm | shout }}",
            "template is wrong: Unknown filter `shout`",
        ),
        (
            "{{ env(name=\"HOME\") }}",
            "template is wrong: Unknown function `env`",
        ),
        (
            "{% include \"/etc/passwd\" %}",
            "template is wrong: Unknown template `/etc/passwd`",
        ),
        ("{% extends \"base\" %}", "template is wrong: "),
    ];
    for (text, expected) in cases {
        let error = refusal(text);
        assert!(
            matches!(error, EventNameError::Template(_)),
            "{text}: {error:?}"
        );
        let message = error.to_string();
        assert!(message.starts_with(expected), "{text}: {message}");
        assert!(!message.contains('\n'), "{message}");
        assert!(error.help().is_some());
    }
    let EventNameError::Template(TemplateError::Syntax { line, column, .. }) =
        refusal("{{ realm }}\n {{ }}")
    else {
        panic!("a syntax error")
    };
    assert_eq!((line, column), (2, 5));
}

#[test]
fn a_template_that_fails_names_its_expression_and_never_the_event() {
    let undefined = |expression: &str| {
        Err(BadEventName::Undefined {
            expression: expression.to_owned(),
        })
    };
    let failed = |expression: &str| {
        Err(BadEventName::Failed {
            expression: expression.to_owned(),
        })
    };
    let cases = [
        ("{{ details.nope }}", undefined("details.nope")),
        ("{{ nope }}", undefined("nope")),
        ("{{ details.username | int }}", failed("int")),
        ("{{ clientId + 1 }}", failed("clientId + 1")),
        (
            "{% for i in range(end=3) %}x{% endfor %}",
            failed("range(end=3)"),
        ),
        (
            "{% if realmName == 'x' %}y{% endif %}",
            Err(BadEventName::Empty),
        ),
        ("{{ 'connect' }}", Err(BadEventName::Reserved("connect"))),
    ];
    for (text, expected) in cases {
        let result = render(&parse(text), LOGIN).map(|name| name.to_string());
        if let Err(error) = &result {
            assert!(!error.to_string().contains("anna"), "{error}");
        }
        assert_eq!(result, expected, "{text}");
    }
}

#[test]
fn a_template_cannot_write_without_end() {
    let long =
        parse("{% for a in representation | split(pat=\"\") %}{{ representation }}{% endfor %}");
    let body = format!(r#"{{"representation":"{}"}}"#, "x".repeat(2000));
    let (metadata, _) = parts(LOGIN);
    let result = long.render(&metadata, body.as_bytes());
    assert_eq!(result, Err(BadEventName::TooLong { limit: 1024 }));
    let body = format!(r#"{{"representation":"{}"}}"#, "x".repeat(1025));
    let once = parse("{{ representation }}");
    let result = once.render(&metadata, body.as_bytes());
    assert_eq!(result, Err(BadEventName::TooLong { limit: 1024 }));
}

#[test]
fn a_template_that_calls_itself_fails_instead_of_running_on() {
    let text = "{% component again() %}{{ <again /> }}{% endcomponent again %}{{ <again /> }}";
    let result = render(&parse(text), LOGIN);
    assert!(
        matches!(result, Err(BadEventName::Failed { .. })),
        "{result:?}"
    );
}

#[test]
fn a_template_needs_a_json_object_as_the_body() {
    let (metadata, _) = parts(LOGIN);
    for body in [&b"[]"[..], b"", b"{", b"\"x\"", b"\xFF"] {
        let name = parse("{{ realm }}");
        assert_eq!(name.render(&metadata, body), Err(BadEventName::Body));
        let plain = parse("${realmLowerCase}");
        assert!(
            plain.render(&metadata, body).is_ok(),
            "other names never look at the body"
        );
    }
}
