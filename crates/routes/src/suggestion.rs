//! The name somebody probably meant, among names that have capitals.
//!
//! What is near is decided in one place for the whole product, [`kete_config::nearest`], which
//! knows keys and words in small letters; this finds the candidate's own spelling again.

/// The candidate closest to `written` in any letter case; `None` if none is close.
pub(crate) fn suggestion(
    written: &str,
    candidates: impl IntoIterator<Item = impl Into<String>>,
) -> Option<String> {
    let candidates: Vec<String> = candidates.into_iter().map(Into::into).collect();
    let small: Vec<String> = candidates
        .iter()
        .map(|name| name.to_ascii_lowercase())
        .collect();
    let written = written.to_ascii_lowercase();
    let nearest = kete_config::nearest(&written, small.iter().map(String::as_str))?;
    candidates
        .into_iter()
        .find(|candidate| candidate.eq_ignore_ascii_case(nearest))
}

#[cfg(test)]
mod tests {
    use super::suggestion;

    #[test]
    fn the_nearest_candidate_keeps_its_capitals() {
        let names = ["realmLowerCase", "eventTypeLowerCase"];
        let nearest = suggestion("eventTypLowercase", names);
        assert_eq!(nearest.as_deref(), Some("eventTypeLowerCase"));
        assert_eq!(
            suggestion("LOGN", ["LOGOUT", "LOGIN"]).as_deref(),
            Some("LOGIN")
        );
    }

    #[test]
    fn nothing_is_suggested_when_nothing_is_close() {
        assert_eq!(suggestion("kafka", ["LOGIN", "LOGOUT"]), None);
        assert_eq!(suggestion("", ["LOGIN"]), None);
    }
}
