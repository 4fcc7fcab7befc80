//! Which server is asked, and who must not ask it.

use crate::server::{Server, text};

use super::{EXTERNAL, INTERNAL, external, internal, read, read_for, settings, with};

/// The token endpoint of a section without mistakes.
fn endpoint_for(only_realm: Option<&str>, assignments: &[&str]) -> String {
    let (settings, said) = read_for(only_realm, assignments);
    let shown = format!("{:?}", settings.unwrap_or_else(|| panic!("{said}")));
    let (_, path) = shown
        .split_once("path: \"")
        .unwrap_or_else(|| panic!("{shown}"));
    path.split('"').next().unwrap_or_default().to_owned()
}

fn path(realm: &str) -> String {
    format!("/auth/realms/{realm}/protocol/openid-connect/token")
}

#[test]
fn an_external_server_needs_all_three() {
    assert_eq!(
        read(&["oauth.enabled=true"]).1,
        "error[missing-key]: oauth.client-id\n  this key is required with mode=external\n  write \
         the id that the authorization server knows the client by\n\
         error[missing-key]: oauth.client-secret\n  this key is required with mode=external\n  \
         write the secret of the client, name a file that holds it with client-secret-file, or \
         choose another client-auth\n\
         error[missing-key]: oauth.token-url\n  this key is required with mode=external, which is \
         the default\n  write the token endpoint of the authorization server, such as \
         https://auth.example.com/oauth/token\n  if tokens come from the Keycloak of \
         kete.keycloak.url, write mode=internal instead\n"
    );
}

#[test]
fn a_token_url_is_an_address_of_the_web_and_nothing_else() {
    let said = |url: &str| external(&[&format!("oauth.token-url={url}")]);
    assert_eq!(
        said("wss://host/token"),
        "error[bad-value]: --set: oauth.token-url = \"wss://host/token\"\n  it must begin with \
         http:// or https://\n  write the address of the token endpoint\n"
    );
    assert_eq!(
        said("https://ann:hunter2@host/token"),
        "error[bad-value]: --set: oauth.token-url = \"https://(hidden)@host/token\"\n  it must \
         not hold a user or password\n  client-id and client-secret are the places for them\n"
    );
    assert_eq!(
        said("https://host/token#x"),
        "error[bad-value]: --set: oauth.token-url = \"https://host/token#(hidden)\"\n  it has a \
         fragment, which no server ever sees\n  leave out what follows #\n"
    );
    assert!(said("host/token").starts_with("error[bad-value]"));
    assert_eq!(said("https://host/token?tenant=a"), "");
}

#[test]
fn secrets_in_the_clear_are_warned_of() {
    assert_eq!(
        external(&["oauth.token-url=http://auth.example.com/token"]),
        "warning[plain-http]: --set: oauth.token-url = \"http://auth.example.com/token\"\n  what \
         proves the client, and its tokens, travel in the clear\n  use https, unless something \
         else protects this connection\n"
    );
    for local in ["localhost:8080", "127.0.0.1", "[::1]:80", "a.localhost"] {
        assert_eq!(
            external(&[&format!("oauth.token-url=http://{local}/token")]),
            ""
        );
    }
}

#[test]
fn tls_and_proxy_are_those_of_the_section() {
    assert_eq!(
        external(&["oauth.tls.verify-hostname=false"]),
        "warning[insecure]: --set: oauth.tls.verify-hostname = \"false\"\n  the server may have \
         the certificate of any other host, as long as a trusted authority has issued it\n  leave \
         it out; if the certificate is for another name than that of the url, write that name in \
         server-name\n"
    );
    let proxied = [
        "oauth.proxy.url=http://proxy:3128",
        "oauth.tls.server-name=other",
    ];
    let said = external(&proxied);
    assert!(
        said.starts_with("error[contradiction]: --set: oauth.proxy.url"),
        "{said}"
    );
    settings(&with(&EXTERNAL, &proxied[..1])).build().unwrap();
}

#[tokio::test]
async fn tokens_are_fetched_through_the_proxy() {
    let proxy = Server::start().await;
    let address = format!(
        "oauth.proxy.url={}",
        proxy.url.origin().ascii_serialization()
    );
    let url = "oauth.token-url=http://auth.example.com/token";
    let (settings, said) = read(&with(&EXTERNAL, &[url, &address]));
    assert!(said.starts_with("warning[plain-http]"), "{said}");
    let source = settings.flatten().unwrap().build().unwrap();
    assert_eq!(text(&source).await, "one");
    assert_eq!(proxy.asked().path, "http://auth.example.com/token");
}

#[test]
fn who_logs_in_to_a_proxy_in_the_clear_is_warned() {
    let said = |url: &str, more: &[&str]| {
        let url = format!("oauth.proxy.url={url}");
        external(&[&[url.as_str()], more].concat())
    };
    let login = ["oauth.proxy.username=alice", "oauth.proxy.password=hush"];
    assert_eq!(
        said("http://proxy.example.com:3128", &login),
        "warning[plain-http]: --set: oauth.proxy.url = \"http://proxy.example.com:3128\"\n  the \
         user name and the password for it travel in the clear\n  write https:// if the proxy can \
         be spoken to so, unless something else protects this connection\n"
    );
    assert_eq!(said("http://proxy.example.com:3128", &[]), "");
    for fine in ["https://proxy.example.com:3128", "http://localhost:3128"] {
        assert_eq!(said(fine, &login), "", "{fine}");
    }
}

#[test]
fn the_current_keycloak_has_to_be_known() {
    assert_eq!(
        internal(&["kete.keycloak.url"]),
        "error[missing-key]: --set: oauth.mode = \"internal\"\n  the tokens are those of the \
         current Keycloak, and nothing says where it is\n  set kete.keycloak.url, or write \
         mode=external with a token-url\n"
    );
    let said = internal(&["kete.keycloak.url=ftp://host"]);
    assert!(
        said.contains("kete.keycloak.url = \"ftp://host\""),
        "{said}"
    );
}

#[test]
fn the_realm_is_the_own_one_or_that_of_the_route_or_that_of_kete() {
    let own_realm = with(
        &INTERNAL,
        &["oauth.realm", "kete.keycloak.auth-realm=master"],
    );
    let of_client = with(&own_realm, &["kete.keycloak.realms=a, b"]);
    assert_eq!(endpoint_for(Some("route"), &INTERNAL), path("demo"));
    assert_eq!(endpoint_for(Some("route"), &of_client), path("route"));
    assert_eq!(endpoint_for(None, &of_client), path("master"));
    let only = with(&INTERNAL, &["oauth.realm", "kete.keycloak.realms=a b"]);
    assert_eq!(endpoint_for(None, &only), path("a%20b"));
}

#[test]
fn a_realm_of_the_route_is_spelt_as_keycloak_spells_it() {
    let base = with(&INTERNAL, &["oauth.realm", "kete.keycloak.realms=Shop,b"]);
    assert_eq!(endpoint_for(Some("shop"), &base), path("Shop"));
    assert_eq!(endpoint_for(Some("SHOP"), &base), path("Shop"));
    assert_eq!(endpoint_for(Some("other"), &base), path("other"));
    let auth_realm = with(&base, &["kete.keycloak.auth-realm=Master"]);
    assert_eq!(endpoint_for(Some("master"), &auth_realm), path("Master"));
    assert_eq!(endpoint_for(Some("B"), &auth_realm), path("b"));
    let both = with(&base, &["kete.keycloak.realms=shop,Shop"]);
    for realm in ["shop", "Shop"] {
        assert_eq!(endpoint_for(Some(realm), &both), path(realm));
    }
    let written = with(&base, &["oauth.realm=sHOP"]);
    assert_eq!(endpoint_for(Some("shop"), &written), path("sHOP"));
}

#[test]
fn a_realm_that_nobody_names_is_missing() {
    let expected = "error[missing-key]: oauth.realm\n  the realm of the client is needed, and \
                    neither the matchers of the route nor kete.keycloak name exactly one\n  write \
                    the realm whose tokens the receiver takes, such as oauth.realm=demo\n";
    assert_eq!(internal(&["oauth.realm"]), expected);
    assert_eq!(
        internal(&["oauth.realm", "kete.keycloak.realms=a,b"]),
        expected
    );
    let blank = expected.replace("]: ", "]: --set: ");
    assert_eq!(internal(&["oauth.realm="]), blank);
}

#[test]
fn a_token_url_takes_the_place_of_keycloaks_own_and_of_the_realm() {
    let elsewhere = with(
        &INTERNAL,
        &["oauth.realm", "oauth.token-url=https://proxy.example.com/t"],
    );
    assert_eq!(endpoint_for(None, &elsewhere), "/t");
    settings(&elsewhere).build().unwrap();
    let wrong = with(&elsewhere, &["oauth.token-url=ftp://host"]);
    let said = read(&wrong).1;
    assert!(
        said.starts_with("error[bad-value]: --set: oauth.token-url"),
        "{said}"
    );
    assert!(!said.contains("oauth.realm"), "{said}");
}

/// What says how the current Keycloak is spoken to, and is wrong for every other server.
const KEYCLOAK_TLS: &str = "kete.keycloak.tls.server-name=inside.example.com";

#[test]
fn another_server_is_not_spoken_to_as_keycloak_is() {
    let way = |url: &str, more: &[&str]| {
        let url = format!("oauth.token-url={url}");
        let (settings, said) = read(&with(&with(&INTERNAL, &[&url, KEYCLOAK_TLS]), more));
        let shown = format!("{:?}", settings.flatten().unwrap());
        (shown.contains("inside.example.com"), said)
    };
    for same in [
        "https://keycloak.example.com/t",
        "https://KEYCLOAK.example.com:443/t",
    ] {
        assert_eq!(way(same, &[]), (true, String::new()), "{same}");
    }
    let expected = |url: &str| {
        format!(
            "warning[no-effect]: --set: oauth.token-url = \"{url}\"\n  it is another server than \
             that of kete.keycloak.url, so kete.keycloak.tls is not used for it\n  write what this \
             server needs below oauth.tls\n"
        )
    };
    for other in [
        "https://proxy.example.com/t",
        "https://keycloak.example.com:8443/t",
        "http://localhost/t",
    ] {
        assert_eq!(way(other, &[]), (false, expected(other)), "{other}");
        let own = way(other, &["oauth.tls.verify-hostname=true"]);
        assert_eq!(own, (false, String::new()), "{other}");
        let nothing = way(other, &["kete.keycloak.tls.server-name"]);
        assert_eq!(nothing, (false, String::new()), "{other}");
    }
}

#[test]
fn a_realm_of_an_external_server_has_no_effect() {
    assert_eq!(
        external(&["oauth.realm=demo"]),
        "warning[no-effect]: --set: oauth.realm = \"demo\"\n  only mode=internal has a realm; \
         elsewhere it is a part of token-url\n"
    );
}

/// The client that polls events.
const POLLING: [&str; 4] = [
    "kete.keycloak.url=https://keycloak.example.com/auth",
    "kete.keycloak.client-id=kete",
    "kete.keycloak.client-secret=other",
    "kete.keycloak.realms=demo, shop",
];

#[test]
fn the_client_that_polls_gets_no_tokens_for_receivers() {
    let said = |more: &[&str]| {
        let all = with(&with(&INTERNAL, &POLLING), &["oauth.client-id=kete"]);
        read(&with(&all, more)).1
    };
    let expected = "error[bad-credentials]: --set: oauth.client-id = \"kete\"\n  this client polls \
                    Keycloak, so a receiver could read all events with its tokens\n  take another \
                    one; this makes it:\n  kete keycloak prepare --oauth-client kete-oauth-client \
                    --realm demo\n";
    assert_eq!(said(&[]), expected);
    assert_eq!(
        said(&["oauth.token-url=https://inside.example.com/t"]),
        expected
    );
    let default = said(&[
        "oauth.client-id",
        "kete.keycloak.client-id=kete-oauth-client",
    ]);
    assert!(
        default.ends_with("--oauth-client kete-receivers --realm demo\n"),
        "{default}"
    );
    assert_eq!(said(&["oauth.realm=other"]), "");
    assert_eq!(said(&["oauth.client-id=kete2"]), "");
    assert_eq!(said(&["kete.keycloak.auth-realm=master"]), "");
    let theirs = said(&["kete.keycloak.auth-realm=master", "oauth.realm=master"]);
    assert_eq!(theirs, expected.replace("demo", "master"));
}

#[test]
fn nor_does_it_if_the_server_is_called_external() {
    let said = |url: &str| {
        let url = format!("oauth.token-url={url}/realms/shop/protocol/openid-connect/token");
        let all = with(&with(&EXTERNAL, &POLLING), &["oauth.client-id=kete", &url]);
        read(&all).1
    };
    let expected = "error[bad-credentials]: --set: oauth.client-id = \"kete\"\n  this client polls \
                    Keycloak, so a receiver could read all events with its tokens\n  take another \
                    one; this makes it:\n  kete keycloak prepare --oauth-client kete-oauth-client \
                    --realm REALM\n";
    for same in [
        "https://keycloak.example.com/auth",
        "https://KEYCLOAK.example.com:443/auth",
    ] {
        assert_eq!(said(same), expected, "{same}");
    }
    let clear = said("http://keycloak.example.com:8080/auth");
    assert!(clear.starts_with(expected), "{clear}");
    for other in [
        "https://keycloak.example.com",
        "https://other.example.com/other",
    ] {
        assert_eq!(said(other), "", "{other}");
    }
    for name in [
        "https://keycloak.example.com:8443/auth",
        "https://other.example.com/auth",
    ] {
        assert_eq!(
            said(name),
            "warning[bad-credentials]: --set: oauth.client-id = \"kete\"\n  a client of this id \
             polls Keycloak, in a realm with the same path; if token-url leads to the same \
             Keycloak, a receiver could read all events with its tokens\n  take another client, \
             unless these are two servers\n",
            "{name}"
        );
    }
}
