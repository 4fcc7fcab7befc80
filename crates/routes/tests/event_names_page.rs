//! The page `docs/event-names.md`: every name in it is rendered here, and what the page says
//! becomes of it holds. A name that the page gains and this list does not is a failure.

#![expect(clippy::unwrap_used, reason = "a test helper may panic")]

use std::path::Path;

use kete_event::{Event, Variable};
use kete_routes::{BadEventName, EventName, EventNameError, Unresolved};

const LOGIN: &str = r#"{"id":"e1","time":1700000000000,"type":"LOGIN_ERROR","realmId":"r1",
    "realmName":"my_realm","clientId":null,"error":"denied","details":{"username":"anna"}}"#;
const ADMIN: &str = r#"{"id":"e2","time":1700000000000,"realmName":"my_realm",
    "authDetails":{"userId":"u9"},"resourceType":"USER","operationType":"CREATE"}"#;

/// Each example of a name, and what it becomes for a user event and for an admin event. `None`:
/// the event has no name that can be sent.
const EXAMPLES: &[(&str, Option<&str>, Option<&str>)] = &[
    (
        "keycloak-event",
        Some("keycloak-event"),
        Some("keycloak-event"),
    ),
    (
        "keycloak:${realmLowerCase}:${eventTypeKebabCase}",
        Some("keycloak:my_realm:login-error"),
        Some("keycloak:my_realm:user-create"),
    ),
    ("${resourceTypeLowerCase:-user}", Some("user"), Some("user")),
    (
        "{{ realm }}:{{ details.username or \"nobody\" }}",
        Some("my_realm:anna"),
        Some("my_realm:nobody"),
    ),
    ("{{ clientId }}", None, None),
    ("{{ details.username }}", Some("anna"), None),
    ("{{ clientId or \"none\" }}", Some("none"), Some("none")),
    (
        "{{ clientId | default(value=\"none\") }}",
        Some("none"),
        Some("none"),
    ),
    (
        "{{ details.username | default(value=\"none\") }}",
        Some("anna"),
        Some("none"),
    ),
    (
        "{% if details.username %}{{ details.username }}{% else %}none{% endif %}",
        Some("anna"),
        Some("none"),
    ),
];

/// The page, without the backslash that a `|` needs within a table.
fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/event-names.md");
    std::fs::read_to_string(path).unwrap().replace("\\|", "|")
}

fn render(text: &str, json: &str) -> Result<String, BadEventName> {
    let event = Event::parse(json.as_bytes()).unwrap();
    let name = EventName::parse(text, Unresolved::Literal).unwrap();
    let rendered = name.render(&event.metadata(), &event.canonical())?;
    Ok(rendered.to_string())
}

/// What the page writes as a name: values of `event-name`, and code that is a template or begins
/// with a whole variable.
fn names_of(page: &str) -> Vec<&str> {
    let values = page.lines().filter_map(|line| {
        let (_, value) = line.split_once(".destination.event-name=")?;
        Some(value)
    });
    let code = page.split('`').skip(1).step_by(2).filter(|code| {
        (code.starts_with("{{ ") || code.starts_with("{% ") || code.starts_with("${"))
            && code.ends_with('}')
    });
    values.chain(code).collect()
}

#[test]
fn every_example_becomes_what_the_page_says() {
    for (text, user, admin) in EXAMPLES {
        assert_eq!(render(text, LOGIN).ok().as_deref(), *user, "{text}");
        assert_eq!(render(text, ADMIN).ok().as_deref(), *admin, "{text}");
    }
}

#[test]
fn every_name_of_the_page_is_an_example_here_and_none_is_doubtful() {
    let page = page();
    let names = names_of(&page);
    for (text, ..) in EXAMPLES {
        assert!(names.contains(text), "{text} is not on the page");
        let name = EventName::parse(text, Unresolved::Literal).unwrap();
        assert_eq!(name.hints(), [], "{text}");
    }
    for name in names {
        let known = EXAMPLES.iter().any(|(text, ..)| *text == name);
        assert!(known || name == "${kindLowerCase}", "{name} has no test");
    }
}

#[test]
fn the_table_of_styles_holds() {
    let page = page();
    let realm = |name: &str| LOGIN.replace("my_realm", name);
    for style in [
        "LowerCase",
        "UpperCase",
        "KebabCase",
        "PascalCase",
        "CamelCase",
    ] {
        let mut row = format!("| `{style}` |");
        let variable = format!("${{eventType{style}}}");
        row.push_str(&format!(" `{}` |", render(&variable, LOGIN).unwrap()));
        for name in ["my_realm", "my-realm", "MyRealm"] {
            let variable = format!("${{realm{style}}}");
            row.push_str(&format!(
                " `{}` |",
                render(&variable, &realm(name)).unwrap()
            ));
        }
        assert!(page.lines().any(|line| line == row), "{row}");
    }
    assert_eq!(Variable::all().count(), 30);
}

#[test]
fn dollars_and_values_are_read_once() {
    assert_eq!(
        render("$${eventTypeLowerCase}", LOGIN).as_deref(),
        Ok("${eventTypeLowerCase}")
    );
    let odd = LOGIN.replace("my_realm", "${kindLowerCase}");
    assert_eq!(
        render("e-{{ realm }}", &odd).as_deref(),
        Ok("e-${kindLowerCase}")
    );
    let small = render("e-${realmLowerCase}", &odd);
    assert_eq!(small.as_deref(), Ok("e-${kindlowercase}"));
}

#[test]
fn the_names_that_the_page_calls_reserved_are_refused() {
    let page = page();
    let sentence = page.split("keeps some names for itself:").nth(1).unwrap();
    let sentence = sentence.split("An empty name").next().unwrap();
    let names: Vec<&str> = sentence.split('`').skip(1).step_by(2).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let refused = EventName::parse(name, Unresolved::Literal).unwrap_err();
        assert_eq!(refused, EventNameError::Reserved(name.to_owned()));
    }
}
