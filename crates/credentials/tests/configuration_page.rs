//! The page about the configuration says of each key of this crate what its table says.

use std::fmt::Write;

use kete_config::{KeyTable, Status};
use kete_credentials::keycloak::{KEYCLOAK_KEYS, REGISTRATION_KEYS};
use kete_credentials::oauth::OAUTH_KEYS;
use kete_credentials::proxy::PROXY_KEYS;
use kete_credentials::tls::TLS_KEYS;

/// The heading of a section of the page, and the tables whose keys are below it, each with what
/// stands before their names there.
const SECTIONS: &[(&str, &[(&str, KeyTable)])] = &[
    (
        "Keycloak",
        &[
            ("kete.keycloak.", KEYCLOAK_KEYS),
            ("kete.keycloak.registration.", REGISTRATION_KEYS),
        ],
    ),
    ("TLS", &[("", TLS_KEYS)]),
    ("OAuth", &[("", OAUTH_KEYS)]),
    ("The proxy of a token server", &[("", PROXY_KEYS)]),
];

#[test]
fn the_page_about_configuration_says_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut missing = String::new();
    for (heading, tables) in SECTIONS {
        let section = page.split(&format!("### {heading}\n")).nth(1);
        let section = section.unwrap_or_else(|| panic!("there is no section {heading}"));
        let section = section.split("\n### ").next().unwrap().replace('`', "");
        for (before, table) in *tables {
            for row in rows(before, table) {
                if !section.lines().any(|line| line == row) {
                    writeln!(missing, "{heading}: {row}").unwrap();
                }
            }
        }
    }
    assert_eq!(missing, "", "rows of docs/configuration.md are missing");
}

fn rows(before: &str, table: KeyTable) -> Vec<String> {
    let active = table.iter().filter(|key| key.status() == Status::Active);
    active
        .map(|key| {
            let default = match key.default() {
                Some(default) => default,
                None if key.required() => "required",
                None => "–",
            };
            let hidden = match key.secret() {
                true => "; secret, never shown",
                false => "",
            };
            format!(
                "| {before}{} | {default} | {}{hidden} |",
                key.written(),
                key.doc()
            )
        })
        .collect()
}
