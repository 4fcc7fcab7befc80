use super::*;

fn known(secrets: &[&str]) -> KnownSecrets {
    let mut known = KnownSecrets::default();
    for secret in secrets {
        known.add(secret);
    }
    known
}

#[test]
fn secrets_are_hidden_in_every_form_that_a_server_could_echo() {
    let mut known = known(&["pa:ss wörd?"]);
    known.add_basic("kete app", "pa:ss wörd?");
    for echo in [
        "pa:ss wörd?",
        "PA:SS Wörd?",
        "pa%3Ass+w%C3%B6rd%3F",
        "pa%3ass+w%c3%b6rd%3f",
        "pa%3Ass%20w%C3%B6rd%3F",
        // base64 of the secret, of the form-encoded secret, and of what Basic authentication
        // sends, once as RFC 6749 says and once as RFC 7617 does.
        "cGE6c3Mgd8O2cmQ/",
        "cGE6c3Mgd8O2cmQ_",
        "cGElM0Fzcyt3JUMzJUI2cmQlM0Y=",
        "a2V0ZSthcHA6cGElM0Fzcyt3JUMzJUI2cmQlM0Y=",
        "a2V0ZSBhcHA6cGE6c3Mgd8O2cmQ/",
    ] {
        let quoted = known.quote(&format!("Got <{echo}>"));
        let quoted = quoted.replace("(hidden)=", "(hidden)");
        assert_eq!(quoted, "Got <(hidden)>", "{echo}");
    }
    assert_eq!(known.quote("pass word, kete app"), "pass word, kete app");
}

#[test]
fn the_longest_secret_goes_first() {
    let known = known(&["abc", "abcdef"]);
    assert_eq!(known.quote("abcdef abcd"), "(hidden) (hidden)d");
}

#[test]
fn secrets_that_are_part_of_the_word_for_hidden_do_no_harm() {
    let known = known(&["hidden", "d", ""]);
    assert_eq!(known.quote("hidden d e"), "(hidden) (hidden) e");
}

#[test]
fn texts_are_cut_and_stay_on_one_line() {
    let known = known(&["secret"]);
    assert_eq!(
        known.quote("a\r\n\u{1b}[1mb\"ü€"),
        "a\\r\\n\\u{1b}[1mb\\\"ü€"
    );
    assert_eq!(known.quote(&"ä".repeat(200)), "ä".repeat(200));
    assert_eq!(known.quote(&"ä".repeat(201)), "ä".repeat(200) + "…");
    // A secret across the cut is hidden whole, and what was hidden before counts as it is shown.
    let across = "x".repeat(197) + "secretsecret";
    assert_eq!(known.quote(&across), "x".repeat(197) + "(hidden)…");
    assert_eq!(
        known.quote(&"secret".repeat(100)),
        "(hidden)".repeat(25) + "…"
    );
}

#[test]
fn nothing_known_hides_nothing() {
    let known = KnownSecrets::default();
    assert_eq!(
        known.quote("Invalid client secret"),
        "Invalid client secret"
    );
    assert_eq!(known.quote(""), "");
}
