use super::*;
use crate::testing::read_section;

/// The message of one refusal, without the address before it.
fn refused(lines: &[&str], expected: &str) {
    let (options, found) = read_section(lines, read);
    assert_eq!(found, expected);
    assert!(options.is_none(), "{lines:?}");
}

fn read_right(lines: &[&str]) -> Options {
    let (options, said) = read_section(lines, read);
    assert_eq!(said, "");
    options.unwrap()
}

fn warned(lines: &[&str], expected: &str) -> Options {
    let (options, said) = read_section(lines, read);
    assert_eq!(said, expected);
    options.unwrap()
}

#[test]
fn every_scheme_of_a_socket_io_server_is_taken() {
    for scheme in ["http", "https", "ws", "wss"] {
        let options = read_right(&[&format!("url={scheme}://Example.com:3000")]);
        assert_eq!(peer(&options), format!("{scheme}://example.com:3000"));
    }
}

#[test]
fn a_url_has_to_lead_to_a_server() {
    let expected = "expected a URL such as https://host:8080/, but";
    refused(
        &["url=localhost:3000"],
        &format!(
            "error[bad-value]: --set: url = \"localhost:3000\"\n  {expected} it does not begin \
             with a scheme, // and a host\n  write http:// or https:// before the host\n"
        ),
    );
    refused(
        &["url=http://"],
        &format!(
            "error[bad-value]: --set: url = \"http://\"\n  {expected} it cannot be read: \
                  empty host\n"
        ),
    );
    refused(
        &["url=mqtt://h"],
        "error[bad-url]: --set: url = \"mqtt://h\"\n  no Socket.IO server is reached by the scheme \
         mqtt\n  use http, https, ws or wss\n",
    );
    refused(
        &["url=http://h/#top"],
        "error[bad-url]: --set: url = \"http://h/#(hidden)\"\n  a # in the url has no meaning\n  leave \
         out the # and what follows it\n",
    );
    refused(
        &[],
        "error[missing-key]: url\n  this key is required and not set\n  expected a URL such as \
         https://host:8080/: scheme (http, https, ws or wss), host and port of the server; a path \
         in it is the namespace, a query is sent with the handshake\n",
    );
}

#[test]
fn a_password_in_the_url_is_refused_and_not_shown() {
    let (options, said) = read_section(&["url=http://me:secret@h"], read);
    assert!(options.is_none());
    assert!(
        said.contains("a user name or password in the url would not be sent"),
        "{said}"
    );
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_namespace_gets_exactly_one_leading_slash() {
    for (written, namespace) in [
        ("keycloak", "/keycloak"),
        ("/keycloak", "/keycloak"),
        ("//a/b", "/a/b"),
        ("/", "/"),
    ] {
        let options = read_right(&["url=http://h/", &format!("namespace={written}")]);
        assert_eq!(options.namespace, namespace);
    }
    assert_eq!(read_right(&["url=http://h", "namespace="]).namespace, "/");
}

#[test]
fn a_path_in_the_url_is_the_namespace() {
    let options = warned(
        &["url=http://h:3000//admin"],
        "warning[url-parts]: --set: url = \"http://h:3000//admin\"\n  the path in the url is the \
         namespace, //admin\n  write namespace=//admin; the Engine.IO endpoint is path\n",
    );
    assert_eq!(options.namespace, "/admin");
    assert_eq!(peer(&options), "http://h:3000 namespace /admin");
    assert!(options.check().is_ok());
    refused(
        &["url=http://h/admin", "namespace=/other"],
        "error[contradiction]: --set: namespace = \"/other\"\n  the url has a namespace already, \
         its path /admin\n  leave the path out of url\n",
    );
}

#[test]
fn a_namespace_that_cannot_be_is_refused() {
    for (namespace, shown) in [
        ("/a,b", "/a,b"),
        ("/a?token=1", "/a?(hidden)"),
        ("/a#b", "/a#b"),
    ] {
        refused(
            &["url=http://h", &format!("namespace={namespace}")],
            &format!(
                "error[bad-namespace]: --set: namespace = \"{shown}\"\n  a namespace cannot \
                 contain a comma, a question mark, a # or a control character\n  choose another \
                 namespace\n"
            ),
        );
    }
    refused(
        &["url=http://h", "namespace=kete-barrier"],
        "error[bad-namespace]: --set: namespace = \"kete-barrier\"\n  this namespace is asked for \
         on \
         purpose, as one that no server has\n  choose another namespace\n",
    );
}

#[test]
fn the_path_begins_and_ends_with_a_slash() {
    for (written, path) in [
        ("/ws", "/ws/"),
        ("/ws/", "/ws/"),
        ("/", "/"),
        ("/a/b", "/a/b/"),
    ] {
        assert_eq!(
            read_right(&["url=http://h", &format!("path={written}")]).path,
            path
        );
    }
    refused(
        &["url=http://h", "path=socket.io"],
        "error[bad-path]: --set: path = \"socket.io\"\n  it has to begin with a slash\n  write \
         /socket.io\n",
    );
    refused(
        &["url=http://h", "path=/socket.io/?EIO=3"],
        "error[bad-path]: --set: path = \"/socket.io/?(hidden)\"\n  it cannot contain ? or #\n  a \
         query \
         is written as query.<NAME>\n",
    );
}

#[test]
fn the_timeout_has_to_be_positive() {
    let options = read_right(&["url=http://h", "timeout-seconds=7"]);
    assert_eq!(options.connect_timeout, Duration::from_secs(7));
    refused(
        &["url=http://h", "timeout-seconds=0"],
        "error[bad-value]: --set: timeout-seconds = \"0\"\n  expected a whole number from 1 to \
         4294967295, but it is zero\n",
    );
}

#[test]
fn headers_are_sent_as_written_and_kept_out_of_sight() {
    let options = read_right(&[
        "url=http://h",
        "headers.Authorization=Bearer token123",
        "headers.X-API-Key=my-api-key",
    ]);
    assert_eq!(options.headers["authorization"], "Bearer token123");
    assert_eq!(options.headers["x-api-key"], "my-api-key");
    assert!(options.headers.values().all(HeaderValue::is_sensitive));
}

#[test]
fn headers_that_kete_keeps_for_itself_and_blank_ones_are_not_sent() {
    let options = warned(
        &[
            "url=http://h",
            "headers.eventtype=x",
            "headers.X-Token=",
            "headers.EventType=y",
        ],
        "warning[header-not-sent]: --set: headers.X-Token = (hidden)\n  it is blank, so the header \
         is not sent\n\
         warning[header-not-sent]: --set: headers.eventtype = (hidden)\n  KETE keeps this name for \
         itself, so the header is not sent\n",
    );
    // KETE compares letter for letter.
    assert_eq!(options.headers.len(), 1);
    assert_eq!(options.headers["eventtype"], "y");
}

#[test]
fn headers_that_cannot_be_sent_are_refused_without_their_value() {
    let refused_header = |line: &str, name: &str, problem: &str| {
        refused(
            &["url=http://h", line],
            &format!("error[bad-header]: --set: headers.{name} = (hidden)\n  {problem}\n"),
        );
    };
    let belongs = "this header belongs to the connection itself and cannot be set";
    for name in [
        "Host",
        "connection",
        "Upgrade",
        "Sec-WebSocket-Key",
        "Content-Length",
    ] {
        refused_header(&format!("headers.{name}=x"), name, belongs);
    }
    refused_header("headers.a b=x", "a b", "a header cannot have this name");
    refused_header(
        "headers.X-Note=größer",
        "X-Note",
        "the value has a character that a header cannot hold",
    );
    refused(
        &["url=http://h", "headers.X-A=1", "headers.x-a=2"],
        "error[bad-header]: --set: headers.x-a = (hidden)\n  this header is given twice, in \
         different letter case\n",
    );
}

#[test]
fn a_query_in_the_url_goes_with_the_handshake_and_is_not_shown() {
    let options = warned(
        &["url=http://h?token=secret", "query.room=a b"],
        "warning[url-parts]: --set: url = (hidden)\n  the query in the url is sent with the \
         handshake\n  write it as query.<NAME>\n",
    );
    let owned = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        options.query,
        [owned("token", "secret"), owned("room", "a b")]
    );
    assert_eq!(peer(&options), "http://h");
    assert!(options.check().is_ok());
}

#[test]
fn query_parameters_of_the_protocol_and_repeated_ones_are_refused() {
    refused(
        &["url=http://h", "query.EIO=3"],
        "error[bad-query]: --set: query.EIO = (hidden)\n  this parameter belongs to the protocol \
         and cannot be set\n",
    );
    let (options, said) = read_section(&["url=http://h?a=1", "query.a=2"], read);
    assert!(options.is_none());
    assert!(
        said.contains("query.a = (hidden)\n  the url has this parameter already"),
        "{said}"
    );
}

#[test]
fn auth_members_become_one_json_object() {
    let options = read_right(&["url=http://h", "auth.token=a\"b", "auth.client.id=kete"]);
    let auth: Value = serde_json::from_slice(&options.auth.unwrap()).unwrap();
    assert_eq!(
        auth,
        serde_json::json!({ "token": "a\"b", "client.id": "kete" })
    );
    assert_eq!(read_right(&["url=http://h"]).auth, None);
}
