use std::time::SystemTime;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The same moment on both clocks, so many seconds after the start.
fn at(start: Moment, seconds: u64) -> Moment {
    later(start, seconds, seconds)
}

fn later(start: Moment, monotonic: u64, wall: u64) -> Moment {
    Moment {
        monotonic: start.monotonic + Duration::from_secs(monotonic),
        wall: start.wall + Duration::from_secs(wall),
    }
}

fn token(text: &str, asked_at: Moment, seconds: u64) -> Token {
    Token::new(text, asked_at, Duration::from_secs(seconds)).unwrap()
}

fn error() -> TokenError {
    TokenError::Unreachable {
        endpoint: "http://host/token".to_owned(),
        problem: "Connection refused".to_owned(),
    }
}

/// What a step is, with the token in it.
fn shown(step: &Step) -> String {
    match step {
        Step::Use(token) => format!("use {}", token.reveal()),
        Step::Renew(token) => format!("renew {}", token.reveal()),
        Step::Fetch => "fetch".to_owned(),
        Step::Fail(error) => format!("fail: {error}"),
    }
}

fn step(state: &State, now: Moment) -> String {
    shown(&state.step(now))
}

#[test]
fn a_token_is_renewed_before_its_end_and_never_used_after_it() {
    for (lifetime, renewed_at) in [(3600, 3570), (61, 31), (60, 30), (5, 3), (1, 1)] {
        let (start, mut state) = (Moment::now(), State::default());
        assert_eq!(step(&state, start), "fetch");
        state.fetched(token("one", start, lifetime));
        assert_eq!(step(&state, start), "use one");
        let before = at(start, renewed_at - 1);
        assert_eq!(step(&state, before), "use one", "{lifetime}");
        let step_then = step(&state, at(start, renewed_at));
        let expected = if renewed_at < lifetime {
            "renew one"
        } else {
            "fetch"
        };
        assert_eq!(step_then, expected, "{lifetime}");
        assert_eq!(step(&state, at(start, lifetime)), "fetch", "{lifetime}");
    }
}

#[test]
fn use_until_is_when_the_token_is_renewed_and_then_its_end() {
    let (start, mut state) = (Moment::now(), State::default());
    let given = state.fetched(token("one", start, 100));
    assert_eq!(given.use_until(), at(start, 70).monotonic);
    let Step::Renew(late) = state.step(at(start, 70)) else {
        panic!("it is time");
    };
    assert_eq!(late.use_until(), at(start, 100).monotonic);
    assert!(late.is(&given), "it is the same token all the same");
    let again = state.still_good(at(start, 99)).unwrap();
    assert_eq!(again.use_until(), at(start, 100).monotonic);
    assert!(state.still_good(at(start, 100)).is_none());
}

#[test]
fn five_seconds_or_a_fifth_of_a_short_life_are_too_little() {
    let start = Moment::now();
    for (lifetime, good, too_little) in [(300, 295, 296), (25, 20, 21), (10, 8, 9), (1, 0, 1)] {
        let token = token("one", start, lifetime);
        assert!(!token.is_about_to_end(at(start, good)), "{lifetime}");
        assert!(token.is_about_to_end(at(start, too_little)), "{lifetime}");
    }
}

#[test]
fn the_clock_that_counted_more_is_believed() {
    let (start, mut state) = (Moment::now(), State::default());
    state.fetched(token("one", start, 100));
    // The machine slept: the monotonic clock stood still.
    assert_eq!(step(&state, later(start, 1, 80)), "renew one");
    assert_eq!(step(&state, later(start, 1, 100)), "fetch");
    // Somebody set the clock back, and forward again.
    let back = Moment {
        monotonic: at(start, 1).monotonic,
        wall: SystemTime::UNIX_EPOCH,
    };
    assert_eq!(step(&state, back), "use one");
    let back = Moment {
        monotonic: at(start, 100).monotonic,
        ..back
    };
    assert_eq!(step(&state, back), "fetch");
}

#[test]
fn a_failure_is_shared_and_the_pauses_grow_to_their_ceiling() {
    let (mut now, mut state) = (Moment::now(), State::default());
    let mut pauses = Vec::new();
    for ceiling in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000] {
        state.failed(error(), now);
        let failed = format!("fail: {}", error());
        let (floor, ceiling) = (
            Duration::from_millis(ceiling / 2),
            Duration::from_millis(ceiling),
        );
        let after = |waited: Duration| Moment {
            monotonic: now.monotonic + waited,
            wall: now.wall,
        };
        let just_before = after(floor.saturating_sub(Duration::from_millis(1)));
        assert_eq!(step(&state, just_before), failed, "{ceiling:?}");
        assert_eq!(step(&state, after(ceiling)), "fetch", "{ceiling:?}");
        let (_, until) = state.failure.as_ref().unwrap();
        pauses.push((*until - now.monotonic).as_secs_f64() / ceiling.as_secs_f64());
        now = after(ceiling);
    }
    let first = pauses.first().copied().unwrap();
    let differs = |pause: &f64| (pause - first).abs() > f64::EPSILON;
    assert!(pauses.iter().any(differs), "there is jitter: {pauses:?}");
}

#[test]
fn a_success_ends_a_row_of_failures() {
    let (start, mut state) = (Moment::now(), State::default());
    for _ in 0..20 {
        state.failed(error(), start);
    }
    state.fetched(token("one", start, 100));
    state.failed(error(), at(start, 80));
    assert_eq!(
        step(&state, at(start, 80)),
        "use one",
        "nobody asks again yet"
    );
    assert_eq!(
        step(&state, at(start, 81)),
        "renew one",
        "the pauses begin anew"
    );
}

#[test]
fn a_token_that_cannot_be_renewed_is_used_to_its_end() {
    let (start, mut state) = (Moment::now(), State::default());
    state.fetched(token("one", start, 100));
    for _ in 0..20 {
        state.failed(error(), at(start, 99));
    }
    assert_eq!(step(&state, at(start, 99)), "use one");
    assert_eq!(step(&state, at(start, 100)), format!("fail: {}", error()));
}

#[test]
fn a_refused_token_is_replaced_at_once_and_once() {
    let (start, mut state) = (Moment::now(), State::default());
    let one = state.fetched(token("one", start, 100));
    assert!(state.refused(&one, start), "another may be better");
    assert!(state.refused(&one, start), "for everybody who had it");
    assert_eq!(step(&state, start), "fetch");
    let two = state.fetched(token("two", start, 100));
    assert!(state.refused(&one, start), "this is late: there is another");
    assert_eq!(step(&state, start), "use two");
    assert!(!state.refused(&two, start), "the token is not the reason");
    assert!(!state.refused(&two, start), "for nobody");
    assert_eq!(step(&state, start), "fetch", "and yet it is not used again");
}

#[test]
fn a_token_that_held_for_a_while_may_be_refused_anew() {
    let (start, mut state) = (Moment::now(), State::default());
    let one = state.fetched(token("one", start, 100));
    state.refused(&one, start);
    let two = state.fetched(token("two", start, 100));
    assert!(!two.refusal_is_news(at(start, 29)));
    assert!(state.refused(&two, at(start, 30)));
    let three = state.fetched(token("three", at(start, 30), 100));
    assert!(!state.refused(&three, at(start, 31)));
    let four = state.fetched(token("four", at(start, 31), 4));
    let five = state.fetched(token("five", at(start, 33), 4));
    assert!(!four.refusal_is_news(at(start, 33)));
    assert!(
        state.refused(&five, at(start, 33)),
        "it was just time for it"
    );
}

#[test]
fn a_refusal_is_worth_a_request_even_while_a_failure_is_rested() {
    let (start, mut state) = (Moment::now(), State::default());
    let one = state.fetched(token("one", start, 100));
    state.failed(error(), at(start, 80));
    assert_eq!(step(&state, at(start, 80)), "use one");
    state.refused(&one, at(start, 80));
    assert_eq!(step(&state, at(start, 80)), "fetch");
    state.failed(error(), at(start, 80));
    state.refused(&one, at(start, 80));
    let failed = format!("fail: {}", error());
    assert_eq!(step(&state, at(start, 80)), failed, "but only one");
}

#[test]
fn the_last_token_is_remembered_for_what_must_not_be_repeated() {
    let (start, mut state) = (Moment::now(), State::default());
    assert!(state.last().is_none());
    let one = state.fetched(token("t0p", start, 100));
    state.refused(&one, start);
    state.failed(error(), start);
    assert_eq!(state.last().map(Token::reveal), Some("t0p"));
    assert!(!format!("{state:?}").contains("t0p"), "{state:?}");
}

#[test]
fn tokens_that_no_header_can_carry_are_none() {
    let start = Moment::now();
    for text in ["", "a b", "a\nb", "ä", "a\tb", "a\u{7f}"] {
        assert!(Token::new(text, start, SECOND).is_none(), "{text:?}");
    }
    let token = token("a~!.b=", start, 1);
    assert_eq!(token.bearer(), "Bearer a~!.b=");
    assert!(token.bearer().is_sensitive());
    assert_eq!(format!("{token:?}"), "Token(hidden)");
}
