//! Who asks, and what proves it.

use crate::fixtures::fixture;

use super::{EXTERNAL, INTERNAL, external, file, internal, read, settings, with};

fn no_effect(key: &str, shown: &str, method: &str, meant: &str) -> String {
    format!(
        "warning[no-effect]: --set: oauth.{key} = {shown}\n  client-auth={method} does not use \
         it\n  leave it out, or write client-auth={meant}\n"
    )
}

#[test]
fn a_secret_stands_in_one_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "secret", "hush\n");
    let key = format!("oauth.client-secret-file={path}");
    assert_eq!(
        external(&[&key]),
        format!(
            "error[contradiction]: --set: oauth.client-secret-file = \"{path}\"\n  client-secret \
             is set as well, and only one of them can count\n  leave one of them out\n"
        )
    );
    for method in ["client-secret-basic", "client-secret-post"] {
        let method = format!("oauth.client-auth={method}");
        let settings = settings(&with(&EXTERNAL, &["oauth.client-secret", &key, &method]));
        assert!(!format!("{settings:?}").contains("hush"));
    }
}

#[test]
fn a_file_with_a_secret_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().display();
    let missing = format!("oauth.client-secret-file={here}/none");
    assert_eq!(
        external(&["oauth.client-secret", &missing]),
        format!(
            "error[unreadable-file]: --set: oauth.client-secret-file = \"{here}/none\"\n  there \
             is no file {here}/none\n  is it mounted, and is the name spelt right?\n"
        )
    );
    let empty = file(directory.path(), "empty", "\n");
    let said = external(&[
        "oauth.client-secret",
        &format!("oauth.client-secret-file={empty}"),
    ]);
    assert!(said.contains(&format!("{empty} is empty")), "{said}");
}

#[test]
fn keys_of_another_method_are_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let jwt = file(directory.path(), "jwt", "a.b.c");
    let jwt_key = format!("oauth.jwt-path={jwt}");
    assert_eq!(
        external(&["oauth.client-auth=jwt-file", &jwt_key]),
        no_effect(
            "client-secret",
            "(hidden)",
            "jwt-file",
            "client-secret-basic or client-secret-post"
        )
    );
    let basic = "client-secret-basic";
    assert_eq!(
        external(&[&jwt_key]),
        no_effect("jwt-path", &format!("\"{jwt}\""), basic, "jwt-file")
    );
    for (key, value, shown) in [
        ("assertion-audience", "x", "\"x\""),
        ("key-id", "x", "\"x\""),
        ("key-password", "x", "(hidden)"),
        ("key-password-file", "/x", "\"/x\""),
        ("key-path", "/x", "\"/x\""),
    ] {
        assert_eq!(
            external(&[&format!("oauth.{key}={value}")]),
            no_effect(key, shown, basic, "private-key-jwt")
        );
    }
    let blank = ["oauth.key-id=", "oauth.key-path=", "oauth.jwt-path="];
    assert_eq!(external(&blank), "", "what is blank is not set");
}

#[test]
fn a_jwt_in_a_file_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let method = ["oauth.client-secret", "oauth.client-auth=jwt-file"];
    let said = |more: &str| external(&[method[0], method[1], more]);
    assert_eq!(
        said("oauth.scope=x"),
        "error[missing-key]: oauth.jwt-path\n  this key is required with client-auth=jwt-file\n  \
         expected a path: the file of jwt-file, such as a projected token of Kubernetes; read \
         again for each token\n"
    );
    let here = directory.path().display();
    let missing = format!("{here}/none");
    assert_eq!(
        said(&format!("oauth.jwt-path={missing}")),
        format!(
            "error[unreadable-file]: --set: oauth.jwt-path = \"{missing}\"\n  there is no file \
             {missing}\n  is it mounted, and is the name spelt right?\n"
        )
    );
    let other = file(directory.path(), "other", "hush");
    assert_eq!(
        said(&format!("oauth.jwt-path={other}")),
        format!(
            "error[bad-credentials]: --set: oauth.jwt-path = \"{other}\"\n  {other} holds no JWT, \
             which has three parts of letters, digits, - and _ with dots between\n"
        )
    );
    let right = file(directory.path(), "right", "a.b.c\n");
    assert_eq!(said(&format!("oauth.jwt-path={right}")), "");
}

/// What is said of a section with these keys and `private-key-jwt`.
fn by_key(more: &[&str]) -> String {
    let method = ["oauth.client-secret", "oauth.client-auth=private-key-jwt"];
    external(&[&method, more].concat())
}

#[test]
fn a_private_key_has_to_be_there_and_to_open() {
    assert_eq!(
        by_key(&[]),
        "error[missing-key]: oauth.key-path\n  this key is required with \
         client-auth=private-key-jwt\n  expected a path: the private key for private-key-jwt: PEM \
         or DER, RSA, P-256, P-384 or Ed25519; read again for each token\n"
    );
    let said = |name: &str, more: &[&str]| {
        let path = fixture(name).to_str().unwrap().to_owned();
        let key = format!("oauth.key-path={path}");
        let said = by_key(&[&[key.as_str()], more].concat());
        said.replace(&path, "KEY")
    };
    assert_eq!(said("clients/ed25519.key", &["oauth.key-id=one"]), "");
    let encrypted = "stores/client-rsa-encrypted.key";
    assert_eq!(said(encrypted, &["oauth.key-password=key-password"]), "");
    assert_eq!(
        said("stores/none.key", &[]),
        "error[unreadable-file]: --set: oauth.key-path = \"KEY\"\n  there is no file KEY\n  is it \
         mounted, and is the name spelt right?\n"
    );
    assert_eq!(
        said(encrypted, &[]),
        "error[bad-store]: --set: oauth.key-path = \"KEY\"\n  KEY: an encrypted private key needs \
         a password, and none is given\n  write its password into key-password, or name a file \
         that holds it with key-password-file\n"
    );
    for (name, more, expected) in [
        (encrypted, "oauth.key-password=wr0ng", "password"),
        ("clients/p256.pem", "", "no private key"),
        ("stores/client-p521.pem", "", "P-521"),
        ("stores/client-rsa1024.pem", "", "2048"),
    ] {
        let said = said(name, &[more]);
        let place = "error[bad-store]: --set: oauth.key-path = \"KEY\"\n  KEY: ";
        assert!(said.starts_with(place) && said.contains(expected), "{said}");
        assert!(!said.contains("wr0ng"), "{said}");
    }
    let both = said(
        encrypted,
        &[
            "oauth.key-password=key-password",
            "oauth.key-password-file=/x",
        ],
    );
    assert_eq!(
        both,
        "error[contradiction]: --set: oauth.key-password-file = \"/x\"\n  key-password is set as \
         well, and only one of them can count\n  leave one of them out\n"
    );
}

#[test]
fn an_assertion_is_for_the_token_endpoint_unless_it_is_said() {
    let key = format!("oauth.key-path={}", fixture("clients/p256.key").display());
    let base = [
        "oauth.client-secret",
        "oauth.client-auth=private-key-jwt",
        &key,
    ];
    let shown = format!("{:?}", settings(&with(&EXTERNAL, &base)));
    let expected = "audience: \"https://auth.example.com/token\"";
    assert!(shown.contains(expected), "{shown}");
    let other = [&base[..], &["oauth.assertion-audience=https://issuer"]].concat();
    let shown = format!("{:?}", settings(&with(&EXTERNAL, &other)));
    assert!(shown.contains("audience: \"https://issuer\""), "{shown}");
}

#[test]
fn a_certificate_that_is_to_prove_something_has_to_be_there() {
    let method = ["oauth.client-secret", "oauth.client-auth=tls-client-auth"];
    assert_eq!(
        external(&method),
        "error[bad-credentials]: --set: oauth.client-auth = \"tls-client-auth\"\n  the \
         certificate that proves the client is missing\n  name it with \
         oauth.tls.key-store.loader.kind and the keys beside that\n"
    );
    let clear = [&method[..], &["oauth.token-url=http://localhost/token"]].concat();
    assert_eq!(
        external(&clear),
        "error[bad-credentials]: --set: oauth.client-auth = \"tls-client-auth\"\n  the token \
         endpoint is asked without TLS, so no certificate is shown\n  write https:// in its url\n"
    );
}

#[test]
fn without_a_secret_keycloak_is_asked_for_it_or_the_command_is_shown() {
    assert_eq!(
        internal(&["oauth.client-secret"]),
        "error[missing-key]: oauth.client-secret\n  the client has no secret, and no account is \
         named that could ask for it\n  make the client with the command below, and write the \
         secret that it prints here\n  kete keycloak prepare --oauth-client kete-oauth-client \
         --realm demo\n"
    );
    let other = internal(&[
        "oauth.client-secret=",
        "oauth.client-id=feed",
        "oauth.realm=shop",
    ]);
    let command = "  kete keycloak prepare --oauth-client feed --realm shop\n";
    assert!(other.ends_with(command), "{other}");
    let account = [
        "oauth.client-secret",
        "kete.keycloak.registration.client-id=registrar",
        "kete.keycloak.registration.client-secret=hush",
    ];
    let (settings, said) = read(&with(&INTERNAL, &account));
    assert!(said.starts_with("warning[insecure]: "), "{said}");
    let settings = settings.flatten().unwrap();
    assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
    settings.build().unwrap();
}

#[test]
fn a_client_that_keycloak_is_asked_for_is_in_a_realm() {
    let said = internal(&[
        "oauth.client-secret",
        "oauth.realm",
        "oauth.token-url=https://keycloak.example.com/t",
        "kete.keycloak.registration.client-id=registrar",
        "kete.keycloak.registration.client-secret=hush",
    ]);
    assert!(said.contains("error[missing-key]: oauth.realm\n"), "{said}");
}
