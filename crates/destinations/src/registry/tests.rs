use super::*;
use crate::testing::check;

fn refused(lines: &[&str], expected: &str) {
    let (plan, found) = check(lines);
    assert_eq!(found, expected);
    assert!(plan.is_none(), "{lines:?}");
}

#[test]
fn the_tables_have_no_mistakes() {
    assert_eq!(
        kete_config::table_mistakes(DESTINATION_KEYS),
        [] as [&str; 0]
    );
    for kind in KINDS {
        let together: Vec<_> = [kind.keys, LANE_KEYS, DESTINATION_KEYS]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let mistakes = kete_config::table_mistakes(&together);
        // The lane's texts end as its crate has them.
        let ours: Vec<_> = mistakes
            .iter()
            .filter(|mistake| !mistake.ends_with("full stop"))
            .collect();
        assert_eq!(ours, [] as [&str; 0], "{}", kind.name);
    }
}

#[test]
fn what_kete_documents_for_socket_io_is_taken_without_a_word() {
    for lines in [
        &["url=http://dashboard:3000", "event-name=keycloak-event"][..],
        &["url=http://h", "event-name=keycloak-${eventTypeLowerCase}"],
        &["url=http://h", "event-name=${realmLowerCase}-event"],
        &[
            "url=http://h",
            "event-name=e",
            "namespace=/keycloak",
            "path=/ws/",
        ],
        &[
            "url=https://h",
            "event-name=event",
            "headers.Authorization=Bearer token123",
            "headers.X-API-Key=my-api-key",
        ],
        &[
            "url=http://h",
            "event-name=event",
            "namespace=/admin",
            "timeout-seconds=30",
            "pool.min-idle=5",
            "pool.max-idle=15",
            "pool.max-total=30",
        ],
    ] {
        let (plan, said) = check(&[&["kind=socketio"], lines].concat());
        assert_eq!(said, "", "{lines:?}");
        assert!(plan.is_some());
    }
}

#[test]
fn the_kind_is_required() {
    refused(
        &["url=http://h"],
        "error[missing-key]: kind\n  this key is required and not set; its section begins at \
         --set\n  expected socketio or stdout: what kind of receiver the events go to\n",
    );
}

#[test]
fn a_kind_of_kete_that_is_not_here_is_no_slip() {
    for kind in NOT_YET {
        refused(
            &[&format!("kind={kind}"), "bootstrap-servers=x"],
            &format!(
                "error[not-yet]: --set: kind = \"{kind}\"\n  KETE has this kind of destination, \
                 this version has not\n  there is socketio, stdout\n"
            ),
        );
    }
}

#[test]
fn a_slip_finds_the_nearest_kind() {
    for (written, meant) in [
        ("socket-io", "socketio"),
        ("SocketIO", "socketio"),
        ("kafak", "kafka"),
    ] {
        refused(
            &[&format!("kind={written}")],
            &format!(
                "error[unknown-kind]: --set: kind = \"{written}\"\n  there is no such kind of \
                 destination\n  did you mean {meant}?\n"
            ),
        );
    }
    refused(
        &["kind=carrier-pigeon"],
        "error[unknown-kind]: --set: kind = \"carrier-pigeon\"\n  there is no such kind of \
         destination\n  there is socketio, stdout\n",
    );
}

#[test]
fn unknown_keys_are_errors_with_the_nearest_name() {
    let (_, said) = check(&[
        "kind=socketio",
        "url=http://h",
        "event-name=e",
        "eventname=x",
        "pool.maxtotal=3",
        "max-in-fligth=5",
    ]);
    assert_eq!(
        said,
        "error[unknown-key]: --set: eventname\n  there is no such key\n  did you mean \
         event-name?\n\
         error[unknown-key]: --set: max-in-fligth\n  there is no such key\n  did you mean \
         max-in-flight?\n\
         error[unknown-key]: --set: pool.maxtotal\n  there is no such key\n  did you mean \
         pool.max-total?\n"
    );
}

#[test]
fn keys_of_later_versions_are_refused_with_a_way_out() {
    for key in [
        "transports",
        "upgrade",
        "engine-io-version",
        "add-trailing-slash",
        "login.enabled",
        "join.rooms",
        "cookies.enabled",
        "proxy.url",
    ] {
        let line = format!("{key}=x");
        let (_, said) = check(&["kind=socketio", "url=http://h", "event-name=e", &line]);
        let begin = format!("error[not-yet]: --set: {key}\n  this cannot be used yet\n  ");
        assert!(said.starts_with(&begin), "{said}");
        assert!(
            said.len() > begin.len() + 10,
            "the way out is missing: {said}"
        );
    }
}

#[test]
fn keys_that_mean_nothing_in_kete_either_are_warnings() {
    let (plan, said) = check(&[
        "kind=socketio",
        "url=http://h",
        "event-name=e",
        "authentication-type=oauth",
        "content-encoding=gzip",
        "content-transfer-encoding=base64",
    ]);
    assert!(plan.is_some());
    assert_eq!(said.matches("warning[unused-key]").count(), 3, "{said}");
    assert_eq!(said.matches("error").count(), 0, "{said}");
}

#[test]
fn standard_output_needs_nothing_and_knows_the_lane_only() {
    let (plan, said) = check(&["kind=stdout", "max-in-flight=8"]);
    assert_eq!((said.as_str(), plan.unwrap().lane().max_in_flight), ("", 8));
    let (_, said) = check(&["kind=stdout", "url=http://h"]);
    assert_eq!(
        said,
        "error[unknown-key]: --set: url\n  there is no such key\n"
    );
}
