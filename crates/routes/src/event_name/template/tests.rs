//! What a template may ask of events that do not have it, and which of its names are doubtful.

use kete_event::Event;

use crate::event_name::{BadEventName, EventName, EventNameHint, Unresolved};

const LOGIN: &str = r#"{"id":"e1","time":1700000000000,"type":"LOGIN","realmName":"shop",
    "details":{"username":"anna","nothing":null}}"#;
const LOGOUT: &str = r#"{"id":"e2","time":1700000000000,"type":"LOGOUT","realmName":"shop"}"#;
const ADMIN: &str = r#"{"id":"e3","time":1700000000000,"realmName":"shop","resourceType":"USER",
    "operationType":"CREATE"}"#;

fn parse(text: &str) -> EventName {
    EventName::parse(text, Unresolved::Literal).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn render(text: &str, json: &str) -> Result<String, BadEventName> {
    let event = Event::parse(json.as_bytes()).unwrap();
    let name = parse(text).render(&event.metadata(), &event.canonical());
    name.map(|name| name.to_string())
}

#[test]
fn members_of_details_that_are_not_there_can_be_replaced_in_every_way() {
    for text in [
        "{{ details.username or \"nobody\" }}",
        "{{ details.username | default(value=\"nobody\") }}",
        "{{ details[\"username\"] or \"nobody\" }}",
        "{{ details[\"username\"] | default(value=\"nobody\") }}",
        "{% if details.username %}{{ details.username }}{% else %}nobody{% endif %}",
        "{% if details %}{{ details.username }}{% else %}nobody{% endif %}",
        "{% for key, value in details %}{% if key == \"username\" %}{{ value }}{% endif %}\
         {% else %}nobody{% endfor %}",
    ] {
        for (json, expected) in [(LOGIN, "anna"), (LOGOUT, "nobody"), (ADMIN, "nobody")] {
            assert_eq!(
                render(text, json).as_deref(),
                Ok(expected),
                "{text}: {json}"
            );
        }
    }
    for json in [LOGIN, LOGOUT, ADMIN] {
        let text = "{{ authDetails.clientId or \"none\" }}";
        assert_eq!(render(text, json).as_deref(), Ok("none"), "{json}");
    }
}

#[test]
fn without_a_replacement_a_member_that_is_not_there_is_undefined() {
    for json in [LOGOUT, ADMIN] {
        let result = render("{{ details.username }}", json);
        let expression = "details.username".to_owned();
        assert_eq!(result, Err(BadEventName::Undefined { expression }));
    }
}

#[test]
fn null_is_printed_as_nothing_and_replaced_by_a_default() {
    for (text, expected) in [
        ("x{{ clientId }}y", "xy"),
        ("{{ clientId | default(value=\"none\") }}", "none"),
        ("{{ clientId or \"none\" }}", "none"),
        ("{{ details.nothing | default(value=\"none\") }}", "none"),
        ("{{ realmName | default(value=\"none\") }}", "shop"),
        ("{{ \"\" | default(value=\"none\") }}y", "y"),
        ("{{ \"\" or \"none\" }}", "none"),
        ("{{ \"\" | default(value=\"none\", boolean=true) }}", "none"),
    ] {
        assert_eq!(render(text, LOGIN).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn members_of_the_other_kind_of_event_can_be_replaced() {
    for text in [
        "{{ clientId or \"none\" }}",
        "{{ clientId | default(value=\"none\") }}",
    ] {
        assert_eq!(render(text, ADMIN).as_deref(), Ok("none"), "{text}");
    }
    let expression = "clientId".to_owned();
    let undefined = BadEventName::Undefined { expression };
    assert_eq!(render("{{ clientId }}", ADMIN), Err(undefined));
}

fn unknown(name: &str, nearest: Option<&str>) -> EventNameHint {
    EventNameHint::UnknownField {
        name: name.to_owned(),
        nearest: nearest.map(str::to_owned),
    }
}

#[test]
fn every_name_that_no_known_event_has_is_pointed_out() {
    let hints = |text: &str| parse(text).hints().to_vec();
    assert_eq!(
        hints("{{ realmNmae }}{% if clientID %}{{ broken | default(value=1) }}{% endif %}"),
        [
            unknown("broken", None),
            unknown("clientID", Some("clientId")),
            unknown("realmNmae", Some("realmName")),
        ]
    );
    assert_eq!(
        hints("{{ detials.username }}"),
        [unknown("detials", Some("details"))]
    );
    assert_eq!(
        hints("{% block name %}{{ broken }}{% endblock %}"),
        [unknown("broken", None)]
    );
    let hint = &hints("{{ clientID }}")[0];
    assert_eq!(hint.to_string(), "no known event has 'clientID'");
    assert_eq!(hint.help().as_deref(), Some("did you mean clientId?"));
    let help = hints("{{ broken }}")[0].help().unwrap();
    assert!(help.starts_with("this is fine if your Keycloak"), "{help}");
    assert_eq!(
        hints("{{ realm }}-${realmLowerCase}"),
        [EventNameHint::DollarInTemplate]
    );
}

#[test]
fn known_members_variables_and_own_names_are_not_pointed_out() {
    for text in [
        "{{ resourceId or resourceTypeAsString or realmKebabCase or kind or result }}",
        "{{ details.anything }}{{ authDetails.userId }}",
        "{% set anything = 1 %}{{ anything }}",
        "{% set anything %}x{% endset %}{{ anything }}",
        "{% if true %}{% set_global anything = 1 %}{% endif %}{{ anything }}",
        "{% for item in details %}{% set one = item %}{{ one }}{{ loop.index }}{% endfor %}",
        "{% for key, value in details %}{{ key }}{{ value }}{% endfor %}",
        "{% component show(text) %}{{ text }}{% endcomponent show %}{{ <show text={realm} /> }}",
        "{{ __tera_context }}",
    ] {
        assert_eq!(parse(text).hints(), [], "{text}");
    }
}
