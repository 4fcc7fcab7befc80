use oauth2::basic::BasicTokenType;
use serde_json::json;

use super::*;

fn answer(value: &Value) -> Result<TokenAnswer, serde_json::Error> {
    TokenAnswer::deserialize(value)
}

fn lifetime(expires_in: &Value) -> Option<u64> {
    let value = json!({"access_token": "a", "token_type": "Bearer", "expires_in": expires_in});
    answer(&value)
        .ok()
        .map(|answer| answer.lifetime().as_secs())
}

#[test]
fn lifetimes_are_read_however_they_are_written() {
    for (written, seconds) in [
        (json!(300), 300),
        (json!("300"), 300),
        (json!(" 300 "), 300),
        (json!(299.9), 299),
        (json!(1), 1),
        (json!(0), 3600),
        (json!("0"), 3600),
        (json!(null), 3600),
        // No clock can count these.
        (json!(u64::MAX), 31_536_000),
        (json!(1e300), 31_536_000),
        (json!("inf"), 31_536_000),
    ] {
        assert_eq!(lifetime(&written), Some(seconds), "{written}");
    }
    for wrong in [
        json!(-1),
        json!("soon"),
        json!("NaN"),
        json!([]),
        json!(true),
    ] {
        assert_eq!(lifetime(&wrong), None, "{wrong}");
    }
    let silent = json!({"access_token": "a", "token_type": "Bearer"});
    assert_eq!(answer(&silent).unwrap().lifetime().as_secs(), 3600);
}

#[test]
fn the_type_may_have_any_case_and_other_members_do_not_matter() {
    let other =
        json!({"access_token": "a", "token_type": "BeAreR", "scope": 7, "refresh_token": []});
    let answer = answer(&other).unwrap();
    assert_eq!(*answer.token_type(), BasicTokenType::Bearer);
    assert_eq!(answer.access_token().secret(), "a");
    assert!(!format!("{answer:?}").contains("\"a\""), "{answer:?}");
}

#[test]
fn json_is_told_by_its_media_type() {
    for yes in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/problem+json",
        " application/json ;x",
    ] {
        assert!(is_json(yes), "{yes}");
    }
    for no in ["", "text/html", "text/json", "application/jsonp", "json"] {
        assert!(!is_json(no), "{no}");
    }
}
