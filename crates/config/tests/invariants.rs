//! What holds for every input: nothing panics, nothing leaks, and what was written is read.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use kete_config::{
    Diagnostics, Key, KeyTable, Known, Loader, MapKey, Origin, Positive, SecondsOrDuration,
    Setting, Settings, Size, nearest, shell_name,
};
use proptest::prelude::*;
use url::Url;

/// Nanoseconds as printed by a Java program that called `java.time.Duration.parse` of OpenJDK
/// 17.0.15 for each text; `None` where it throws. Nothing here was adjusted by hand.
#[rustfmt::skip]
const JAVA_DURATIONS: &[(&str, Option<u64>)] = &[
    ("PT2S", Some(2000000000)),
    ("pt2s", Some(2000000000)),
    ("PT0.5S", Some(500000000)),
    ("PT0,5S", Some(500000000)),
    ("PT1.S", Some(1000000000)),
    ("P1D", Some(86400000000000)),
    ("P1DT1H1M1.001S", Some(90061001000000)),
    ("PT90M", Some(5400000000000)),
    ("PT0S", Some(0)),
    ("PT1H", Some(3600000000000)),
    ("PT.5S", None),
    ("P", None),
    ("PT", None),
    ("P1DT", None),
    ("P1Y", None),
    ("P1W", None),
    ("P1H", None),
    ("PT1D", None),
    ("PT1S1M", None),
    ("PT1.5M", None),
    ("PTS", None),
    ("PT2", None),
    ("PT1.0000000001S", None),
    ("PT1.000000001S", Some(1000000001)),
    ("P1D1H", None),
    ("PT1H1H", None),
    ("P T1S", None),
    ("PT1 S", None),
    ("PT1X", None),
    ("P1.5D", None),
    ("PT0.123456789S", Some(123456789)),
    ("P0D", Some(0)),
    ("PT36H", Some(129600000000000)),
    ("PT1M0S", Some(60000000000)),
    ("P01D", Some(86400000000000)),
];

#[test]
fn iso_durations_are_read_as_java_reads_them() {
    for (text, nanoseconds) in JAVA_DURATIONS {
        let found = <SecondsOrDuration as Setting>::parse(text)
            .ok()
            .map(|found| found.0);
        assert_eq!(found, nanoseconds.map(Duration::from_nanos), "{text}");
    }
}

/// Stands for a password in every test here; no message may contain it.
const SECRET: &str = "geheim";

static TEXT: Key<String> = Key::required("text", "a text").secret();
static NUMBER: Key<NonZeroU32> = Key::required("number", "a number").secret();
static LINK: Key<Url> = Key::required("url", "a URL").secret();
static PLAIN_LINK: Key<Url> = Key::required("link", "a URL");
static PAUSE: Key<Duration> = Key::required("pause", "a pause").secret();
static HEADERS: MapKey = MapKey::new("headers", "NAME", "the headers").secret();
static KEYS: KeyTable = &[&TEXT, &NUMBER, &LINK, &PLAIN_LINK, &PAUSE, &HEADERS];

/// Does everything with the settings that can bring a message about a value.
fn use_up(settings: &Settings, diagnostics: &Diagnostics) {
    for section in settings
        .names_below("app")
        .iter()
        .map(|name| format!("app.{name}"))
    {
        let scope = settings.scope(&section, diagnostics);
        let _ = (scope.read(&TEXT), scope.read(&NUMBER), scope.read(&LINK));
        let _ = (
            scope.read(&PAUSE),
            scope.read(&PLAIN_LINK),
            scope.map(&HEADERS),
        );
        for name in [
            "text",
            "number",
            "url",
            "pause",
            "headers.A",
            "nobody-read-this",
        ] {
            scope.reject(name, "odd", "it is odd", None);
            scope.warn(name, "odd", "it is odd", "make it even".to_owned());
        }
    }
    settings.check_unknown(&Known::new().below("app.*", KEYS), diagnostics);
}

#[test]
fn a_secret_is_in_no_message_however_wrong_it_is() {
    let values = [
        SECRET.to_owned(),
        format!("${{env:{SECRET}}}"),
        format!("https://{SECRET}:{SECRET}@host:99999"),
        format!("{SECRET}://x"),
        format!("5{SECRET}"),
        format!("P{SECRET}"),
    ];
    let names = [
        "text",
        "number",
        "url",
        "pause",
        "headers.A",
        "nobody-read-this",
        "txet",
        "url.x",
    ];
    for value in &values {
        let diagnostics = Diagnostics::new();
        let mut loader = Loader::new("app");
        for name in names {
            loader = loader
                .set(format!("app.set.{name}={value}"))
                .set(format!("app.set.{name}: {value}"))
                .environment([(format!("app.dotted.{name}"), value.clone())]);
        }
        let loader = loader.environment([
            ("APP__DOTTED__TEXT".to_owned(), format!("{value}2")),
            ("APP__X__TEXT".to_owned(), value.clone()),
        ]);
        let settings = loader.load(&diagnostics);
        use_up(&settings, &diagnostics);
        assert!(diagnostics.errors() > 20, "{diagnostics}");
        assert!(!diagnostics.to_string().contains(SECRET), "{diagnostics}");
        assert!(!format!("{diagnostics:?}{settings:?}").contains(SECRET));
    }
}

#[test]
fn a_password_in_a_plain_url_is_masked_in_every_message() {
    let diagnostics = Diagnostics::new();
    let value = format!("https://joe:{SECRET}@host:99999/${{env:X}}");
    let loader = Loader::new("app").set(format!("app.a.link={value}"));
    use_up(&loader.load(&diagnostics), &diagnostics);
    let text = diagnostics.to_string();
    assert!(text.contains("https://(hidden)@host:99999"), "{text}");
    assert!(!text.contains(SECRET), "{text}");
}

#[test]
fn a_secret_on_a_broken_line_of_a_file_is_in_no_message() {
    let directory = tempfile::tempdir();
    let path = directory
        .as_ref()
        .map(|directory| directory.path().join("f"))
        .ok();
    let path = path.unwrap_or_default();
    let text = format!(
        "app.a.text={SECRET}\\u12\napp.a.number={SECRET}\\uD83D\napp..x={SECRET}\n={SECRET}\n\
         app.a.pause=1\napp.a.pause={SECRET}\napp.a.url={SECRET}\n"
    );
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"app.a.text=\xFF");
    bytes.extend_from_slice(SECRET.as_bytes());
    assert!(fs::write(&path, bytes).is_ok());
    let diagnostics = Diagnostics::new();
    use_up(
        &Loader::new("app").file(path).load(&diagnostics),
        &diagnostics,
    );
    let text = diagnostics.to_string();
    for code in [
        "bad-file",
        "bad-key",
        "duplicate-key",
        "bad-value",
        "missing-key",
    ] {
        assert!(text.contains(&format!("error[{code}]")), "{code}: {text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

/// Keys of few letters, so that the layers meet in them.
fn assignments() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("app\\.[ab](\\.[ab]){0,2}", "[a-z]{1,4}"), 0..6)
}

/// What a value reads and where it is from, the layer alone being of interest.
fn layer_of(origin: &Origin) -> &'static str {
    match origin {
        Origin::Default => "default",
        Origin::File { .. } => "file",
        Origin::Environment { .. } => "environment",
        Origin::Set => "set",
    }
}

proptest! {
    #[test]
    fn layers_are_merged_as_maps_would_be(variables in assignments(), arguments in assignments()) {
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let mut expected: BTreeMap<String, &str> = BTreeMap::new();
        expected.extend(variables.keys().map(|key| (key.clone(), "environment")));
        expected.extend(arguments.iter().map(|(key, _)| (key.clone(), "set")));
        let loader = Loader::new("app").environment(variables);
        let arguments = arguments.into_iter().map(|(key, value)| format!("{key}={value}"));
        let settings = arguments.fold(loader, Loader::set).load(&Diagnostics::new());
        let found: BTreeMap<String, &str> =
            settings.keys().map(|(key, origin)| (key.to_owned(), layer_of(origin))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_key_with_a_shell_name_can_be_set_by_it(key in "app(\\.[a-z0-9]{1,4}(-[a-z0-9]{1,4})?){1,4}") {
        let name = shell_name(&key);
        prop_assert!(name.is_some(), "{}", key);
        let diagnostics = Diagnostics::new();
        let variable = [(name.unwrap_or_default(), "x".to_owned())];
        let settings = Loader::new("app").environment(variable).load(&diagnostics);
        prop_assert_eq!(settings.keys().map(|(key, _)| key).collect::<Vec<_>>(), [key.as_str()]);
        prop_assert!(diagnostics.is_empty());
    }

    #[test]
    fn whatever_is_set_gets_an_answer_that_is_fit_for_a_terminal(
        key in "(app\\.)?\\PC{0,30}|.{0,30}",
        value in ".{0,100}",
    ) {
        let diagnostics = Diagnostics::new();
        let loader = Loader::new("app").environment([(format!("app.{key}"), value.clone())]);
        let settings = loader.set(format!("{key}={value}")).load(&diagnostics);
        let scope = settings.scope("app", &diagnostics);
        for (name, _) in settings.keys() {
            scope.reject(name.strip_prefix("app.").unwrap_or(name), "odd", "it is odd", None);
        }
        use_up(&settings, &diagnostics);
        let text = diagnostics.to_string();
        prop_assert!(!text.contains(|found: char| found.is_control() && found != '\n'), "{:?}", text);
        prop_assert_eq!(diagnostics.is_empty(), text.is_empty());
    }

    #[test]
    fn no_text_makes_a_type_panic(text in "[0-9a-zA-ZµPT.,:/+ -]{0,12}|.{0,20}") {
        let _ = (bool::parse(&text), NonZeroU32::parse(&text), i64::parse(&text));
        let _ = (Duration::parse(&text), SecondsOrDuration::parse(&text), Size::parse(&text));
        let _ = (<Url as Setting>::parse(&text), Vec::<String>::parse(&text), PathBuf::parse(&text));
        prop_assert!(Duration::parse(&text).is_ok() || Positive::<Duration>::parse(&text).is_err());
    }

    #[test]
    fn a_size_is_read_back_from_what_is_printed(bytes in any::<u64>(), shift in 0u32..64) {
        let size = Size(bytes >> shift << (shift / 2));
        prop_assert_eq!(Size::parse(&size.to_string()), Ok(size));
    }

    #[test]
    fn a_number_with_a_unit_is_that_many_units(count in 0u64..3_000_000_000) {
        prop_assert_eq!(Duration::parse(&format!("{count}s")), Ok(Duration::from_secs(count)));
        prop_assert_eq!(Duration::parse(&format!("{count}us")), Ok(Duration::from_micros(count)));
        prop_assert_eq!(Duration::parse(&format!("PT{count}S")), Ok(Duration::from_secs(count)));
    }

    #[test]
    fn one_slip_in_a_long_word_is_always_seen_through(at in 0usize..10, letter in "[a-z]") {
        let word = "max-payload";
        let mut slip = word.to_owned();
        slip.replace_range(at..=at, &letter);
        prop_assert_eq!(nearest(&slip, ["barrier", word, "namespace"]), Some(word));
    }
}
