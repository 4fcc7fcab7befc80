//! What `kete.keycloak.*` means, right and wrong.

use std::io::Write;

use kete_config::{Diagnostics, Loader, Settings, table_mistakes};
use kete_credentials::keycloak::{
    KEYCLOAK_KEYS, KEYCLOAK_SECTIONS, Keycloak, OwnClient, PollingClient, REGISTRATION_KEYS,
    Registration,
};
use kete_credentials::{Secret, SecretText};

use super::fake::keycloak;

const RIGHT: [&str; 3] = [
    "url=https://keycloak.example.com",
    "client-id=kete",
    "client-secret=very-secret",
];

fn load(settings: &[&str]) -> Settings {
    let diagnostics = Diagnostics::new();
    let loader = settings.iter().fold(Loader::new("kete"), |loader, set| {
        loader.set(format!("kete.{set}"))
    });
    let settings = loader.load(&diagnostics);
    assert_eq!(diagnostics.to_string(), "");
    settings
}

/// Settings of `kete.keycloak`.
fn below_keycloak(settings: &[&str]) -> Settings {
    let full: Vec<String> = settings
        .iter()
        .map(|set| format!("keycloak.{set}"))
        .collect();
    load(&full.iter().map(String::as_str).collect::<Vec<_>>())
}

fn polling(settings: &[&str]) -> (Option<PollingClient>, String) {
    let diagnostics = Diagnostics::new();
    let client = PollingClient::read(&below_keycloak(settings), &diagnostics);
    (client, diagnostics.to_string())
}

fn registration(settings: &[&str]) -> (Option<Option<Registration>>, String) {
    let diagnostics = Diagnostics::new();
    let read = Registration::read(&below_keycloak(settings), &diagnostics);
    (read, diagnostics.to_string())
}

#[test]
fn the_declarations_are_sound() {
    assert_eq!(table_mistakes(KEYCLOAK_KEYS), Vec::<String>::new());
    assert_eq!(table_mistakes(REGISTRATION_KEYS), Vec::<String>::new());
    let sections: Vec<&str> = KEYCLOAK_SECTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(sections, ["tls", "registration"]);
}

#[test]
fn keycloak_may_stand_below_a_path_and_realms_may_have_any_name() {
    for (base, expected) in [
        ("http://localhost", "http://localhost/"),
        ("http://localhost/", "http://localhost/"),
        ("http://localhost/auth", "http://localhost/auth/"),
        ("http://localhost/auth/", "http://localhost/auth/"),
    ] {
        let keycloak = keycloak(&[&format!("kete.keycloak.url={base}")]);
        assert_eq!(
            keycloak.token_endpoint("a b/c").as_str(),
            format!("{expected}realms/a%20b%2Fc/protocol/openid-connect/token"),
        );
        assert_eq!(
            keycloak.admin("ü?", &["clients", "x/y"]).as_str(),
            format!("{expected}admin/realms/%C3%BC%3F/clients/x%2Fy"),
        );
        assert_eq!(
            keycloak.admin("shop", &[]).as_str(),
            format!("{expected}admin/realms/shop"),
        );
    }
}

#[test]
fn the_polling_client_is_read_with_all_it_needs() {
    let (client, mistakes) = polling(&[&RIGHT[..], &["auth-realm=master"]].concat());
    assert_eq!(mistakes, "");
    let client = client.unwrap();
    assert_eq!(
        client.keycloak.url.as_str(),
        "https://keycloak.example.com/"
    );
    assert_eq!(client.auth_realm.as_deref(), Some("master"));
    assert_eq!(client.client_id, "kete");
    let secret = Secret::new("very-secret".to_owned());
    assert_eq!(client.client_secret, SecretText::Given(secret));
    assert!(!format!("{client:?}").contains("very-secret"));
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let (client, mistakes) = polling(&["realms=shop"]);
    assert!(client.is_none());
    assert_eq!(
        mistakes,
        "error[missing-key]: kete.keycloak.client-id\n  \
         this key is required and not set; its section begins at --set\n  \
         expected text: a confidential client with a service account that has the role \
         view-events; only an admin-api source needs it\n\
         error[missing-key]: kete.keycloak.client-secret\n  \
         this key is required and not set; its section begins at --set\n  \
         expected text: the secret of that client; or name a file that holds it with \
         client-secret-file\n\
         error[missing-key]: kete.keycloak.url\n  \
         this key is required and not set; its section begins at --set\n  \
         expected a URL such as https://host:8080/: where Keycloak is, with its path if it has \
         one, such as https://keycloak.example.com/auth\n"
    );
}

#[test]
fn addresses_that_are_none_of_a_keycloak_are_refused() {
    for (url, expected) in [
        (
            "ftp://host",
            "error[bad-value]: --set: kete.keycloak.url = \"ftp://host\"\n  \
             it must begin with http:// or https://\n  write the address of Keycloak itself\n",
        ),
        (
            "https://joe:very-secret@host",
            "error[bad-value]: --set: kete.keycloak.url = \"https://(hidden)@host\"\n  \
             it must not hold a user or password\n  \
             kete.keycloak.client-secret is the place for it\n",
        ),
        (
            "https://host/?a=very-secret",
            "error[bad-value]: --set: kete.keycloak.url = \"https://host/?(hidden)\"\n  \
             it must end with its path\n  leave out what follows ? or #\n",
        ),
    ] {
        let diagnostics = Diagnostics::new();
        let settings = below_keycloak(&[&format!("url={url}")]);
        assert!(Keycloak::read(&settings, &diagnostics).is_none());
        assert_eq!(diagnostics.to_string(), expected);
    }
}

#[test]
fn plain_http_to_another_machine_is_pointed_out_once_however_many_read_it() {
    let diagnostics = Diagnostics::new();
    let settings = below_keycloak(&["url=http://keycloak.example.com"]);
    for _reader in 0..3 {
        assert!(Keycloak::read(&settings, &diagnostics).is_some());
    }
    assert_eq!(
        diagnostics.to_string(),
        "warning[plain-http]: --set: kete.keycloak.url = \"http://keycloak.example.com\"\n  \
         secrets, tokens and all events travel in the clear\n  \
         use https, unless something else protects this connection\n"
    );
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"very-secret\n").unwrap();
    let in_file = format!("client-secret-file={}", file.path().display());
    let settings = [RIGHT[0], RIGHT[1], &in_file];
    let (client, mistakes) = polling(&settings);
    assert_eq!(mistakes, "");
    let secret = client.unwrap().client_secret;
    assert_eq!(secret, SecretText::File(file.path().to_owned()));

    let (client, mistakes) = polling(&[&settings[..], &[RIGHT[2]]].concat());
    assert!(client.is_none());
    assert_eq!(
        mistakes,
        format!(
            "error[contradiction]: --set: kete.keycloak.client-secret-file = \"{}\"\n  \
             client-secret is set as well, and only one of them can count\n  \
             leave one of them out\n",
            file.path().display()
        )
    );
    let (client, mistakes) = polling(&[&settings[..], &["client-secret="]].concat());
    assert_eq!(
        (client.is_some(), mistakes.as_str()),
        (true, ""),
        "blank is as good as absent"
    );
}

#[test]
fn a_file_without_a_secret_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("empty"), "\n").unwrap();
    std::fs::write(path("binary"), b"\xff\xfe").unwrap();
    for (name, expected) in [
        ("missing", "there is no file "),
        ("empty", " is empty"),
        ("binary", " is not UTF-8"),
        (".", " is a directory"),
    ] {
        let in_file = format!("client-secret-file={}", path(name).display());
        let (client, mistakes) = polling(&[RIGHT[0], RIGHT[1], &in_file]);
        assert!(client.is_none(), "{name}");
        let start = "error[unreadable-file]: --set: kete.keycloak.client-secret-file = ";
        assert!(
            mistakes.starts_with(start) && mistakes.contains(expected),
            "{mistakes}"
        );
    }
}

#[test]
fn without_an_account_nothing_is_registered_and_nothing_said() {
    let (read, mistakes) = registration(&RIGHT);
    assert!(matches!(read, Some(None)));
    assert_eq!(mistakes, "");
}

#[test]
fn an_account_that_registers_is_warned_of() {
    let (read, mistakes) = registration(&[
        "registration.client-id=registrar",
        "registration.client-secret=very-secret",
    ]);
    assert_eq!(
        mistakes,
        "warning[insecure]: --set: kete.keycloak.registration.client-id = \"registrar\"\n  \
         as long as kete runs, it holds an account that may change every client of the realm\n  \
         prepare the client once instead: kete keycloak prepare --oauth-client --realm REALM \
         prints the lines to write in place of this section\n"
    );
    let registration = read.unwrap().unwrap();
    assert!(!format!("{registration:?}").contains("very-secret"));
    let account = registration.account("shop");
    assert_eq!(account.to_string(), "the client registrar of realm shop");
    assert_eq!(
        format!("{account:?}"),
        "Account(the client registrar of realm shop)"
    );
}

#[test]
fn an_account_that_registers_may_be_in_another_realm() {
    let (read, _warning) = registration(&[
        "registration.client-id=registrar",
        "registration.client-secret=very-secret",
        "registration.realm=master",
    ]);
    let account = read.unwrap().unwrap().account("shop");
    assert_eq!(account.to_string(), "the client registrar of realm master");
}

#[test]
fn half_an_account_is_an_error() {
    let (read, mistakes) = registration(&["registration.realm=master"]);
    assert!(read.is_none());
    for key in ["client-id", "client-secret"] {
        let missing = format!("error[missing-key]: kete.keycloak.registration.{key}\n");
        assert!(mistakes.contains(&missing), "{mistakes}");
    }
    let (read, mistakes) = registration(&[
        "registration.client-id=registrar",
        "registration.client-secret=very-secret",
        "registration.client-secret-file=/nowhere",
    ]);
    assert!(read.is_none());
    assert!(mistakes.starts_with("error[contradiction]"), "{mistakes}");
    assert!(!mistakes.contains("very-secret"), "{mistakes}");
}

fn own(settings: &[&str]) -> Option<(String, Vec<String>)> {
    let own = OwnClient::of(&load(settings))?;
    Some((own.client_id, own.realms))
}

#[test]
fn the_own_client_logs_in_wherever_it_polls() {
    let found = |realms: &[&str]| {
        let realms = realms.iter().map(|realm| (*realm).to_owned()).collect();
        Some(("kete".to_owned(), realms))
    };
    assert_eq!(own(&["keycloak.realms=shop"]), None);
    let client = "keycloak.client-id=kete";
    assert_eq!(own(&[client]), found(&[]));
    assert_eq!(
        own(&[client, "keycloak.realms=shop, master"]),
        found(&["master", "shop"])
    );
    let sources = [
        client,
        "keycloak.realms=shop",
        "sources.a.kind=admin-api",
        "sources.a.realms=other,shop",
        "sources.b.kind=admin-api",
    ];
    assert_eq!(own(&sources), found(&["other", "shop"]));
    let elsewhere = [&sources[..], &["keycloak.auth-realm=master"]].concat();
    assert_eq!(own(&elsewhere), found(&["master"]));
}
