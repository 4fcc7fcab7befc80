//! The store as lanes and commands use it, and what crashes and people leave in its files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use kete_event::Event;
use kete_queue::{Header, Target};
use tempfile::TempDir;

use super::*;

const DAY: i64 = 86_400_000;
/// A morning in 2026, in milliseconds since 1970.
const NOW: i64 = 20_700 * DAY + 30_000_000;
const MIB: u64 = 1 << 20;

fn record(json: &str) -> Arc<Record> {
    let event = Event::parse(json.as_bytes()).unwrap();
    Arc::new(Record {
        sequence: 1,
        header: Header {
            event_id: event.id.as_deref().unwrap_or_default().into(),
            id_derived: false,
            source: Arc::from("keycloak"),
            accepted_at: NOW - 1_000,
            metadata: event.metadata(),
            ordering_key: event.ordering_key().into(),
            target: Target::AllRoutes,
        },
        body: event.canonical().into(),
    })
}

fn letter(route: &str, id: &str) -> DeadLetter {
    let json = format!(r#"{{"id":"{id}","type":"LOGIN","realmId":"demo","userId":"ann"}}"#);
    letter_of(route, FailureReason::Refused, &json)
}

fn letter_of(route: &str, reason: FailureReason, json: &str) -> DeadLetter {
    DeadLetter {
        route: Arc::from(route),
        record: record(json),
        reason,
        detail: "no such\n\"room\"".to_owned(),
        attempts: 3,
    }
}

/// A letter whose line has at least so many bytes.
fn large(id: &str, bytes: usize) -> DeadLetter {
    let error = "x".repeat(bytes);
    let json = format!(r#"{{"id":"{id}","type":"LOGIN","realmId":"demo","error":"{error}"}}"#);
    letter_of("app", FailureReason::TooLarge, &json)
}

/// A store in a directory of its own.
struct Shelf {
    folder: TempDir,
    store: Store,
}

impl Shelf {
    fn new(max_bytes: u64, max_age: Option<i64>) -> Shelf {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("dead.ndjson"), max_bytes, max_age).unwrap();
        Shelf { folder, store }
    }

    /// A store that finds these bytes in its file.
    fn with(text: &str) -> Shelf {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dead.ndjson");
        fs::write(&path, text).unwrap();
        let store = Store::open(&path, MIB, None).unwrap();
        Shelf { folder, store }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("dead.ndjson")
    }

    fn reopened(self) -> Shelf {
        let Shelf { folder, store } = self;
        drop(store);
        let store = Store::open(&folder.path().join("dead.ndjson"), MIB, None).unwrap();
        Shelf { folder, store }
    }

    fn add(&self, letter: DeadLetter, now: i64) -> Result<(), DeadLetterError> {
        self.store.append(&[letter], now).0.pop().unwrap()
    }

    fn fill(&self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            self.add(letter("app", &id.to_string()), NOW).unwrap();
        }
    }

    fn listing(&self) -> Listing {
        self.store.list(&Filter::default(), 1000).unwrap()
    }

    /// Number and event id of each letter.
    fn letters(&self) -> Vec<(u64, String)> {
        let letters = self.listing().letters.into_iter();
        letters
            .map(|letter| (letter.number, letter.event_id))
            .collect()
    }

    fn numbers(&self) -> Vec<u64> {
        self.letters()
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    }

    /// The names of all files but the lock.
    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(".lock")).collect()
    }

    fn remove(&self, filter: &Filter) -> u64 {
        self.store.remove(filter).unwrap().letters
    }
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

// === opening ===

#[test]
fn a_directory_that_is_missing_is_named() {
    let settings = DeadLetterSettings {
        place: Place::File("/nowhere-at-all/dead.ndjson".into()),
        max_bytes: 100,
        max_age: None,
    };
    let error = DeadLetters::open(&settings).unwrap_err().to_string();
    let expected = "/nowhere-at-all/dead.ndjson: the directory /nowhere-at-all does not exist; \
                    create it, writable for kete, or choose another path";
    assert_eq!(error, expected);
}

#[test]
fn a_directory_in_place_of_the_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letters");
    fs::create_dir(&path).unwrap();
    let opened = Store::open(&path, MIB, None);
    assert!(
        matches!(opened, Err(DeadLetterError::Io { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_file_of_somebody_else_is_refused_and_nothing_of_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    fs::write(&path, "root:x:0:0").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    // A link to it is no other file.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&path, &link] {
        let refused = Store::open(path, MIB, None).unwrap_err().to_string();
        let words = "it holds something else than dead letters, and is left alone";
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "root:x:0:0");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no lock");
    // What a crash can have left of a first letter is ours.
    for torn in ["", "{\"num", "\0\0\0"] {
        fs::write(&path, torn).unwrap();
        let opened = Store::open(&path, MIB, None);
        assert!(opened.is_ok(), "{torn:?}: {opened:?}");
    }
}

#[test]
fn a_store_that_is_in_use_is_refused_with_the_process() {
    let shelf = Shelf::new(MIB, None);
    let second = Store::open(&shelf.path(), MIB, None)
        .unwrap_err()
        .to_string();
    let user = format!("process {} uses these dead letters", std::process::id());
    assert!(second.contains(&user), "{second}");
    let _third = shelf.reopened();
}

#[test]
fn every_file_is_for_the_owner_alone() {
    let shelf = Shelf::with("{}\n");
    shelf.fill([1]);
    shelf.store.append(&[letter("app", "2")], NOW + DAY);
    shelf.remove(&Filter::numbers([1]));
    for entry in fs::read_dir(shelf.folder.path()).unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

// === keeping ===

#[test]
fn a_line_has_everything_that_is_known() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    let text = fs::read_to_string(shelf.path()).unwrap();
    let event = String::from_utf8(record(EVENT).body.to_vec()).unwrap();
    const EVENT: &str = r#"{"id":"1","type":"LOGIN","realmId":"demo","userId":"ann"}"#;
    let expected = format!(
        "{{\"number\":1,\"at\":{NOW},\"route\":\"app\",\"reason\":\"refused\",\"detail\":\"no \
         such\\n\\\"room\\\"\",\"attempts\":3,\"source\":\"keycloak\",\"acceptedAt\":{},\
         \"eventId\":\"1\",\"event\":{event}}}\n",
        NOW - 1_000
    );
    assert_eq!(text, expected);
}

#[test]
fn numbers_grow_and_are_never_given_twice() {
    let mut shelf = Shelf::new(MIB, None);
    shelf.fill(1..=3);
    shelf = shelf.reopened();
    shelf.fill([4]);
    assert_eq!(shelf.numbers(), [1, 2, 3, 4]);
    assert_eq!(shelf.remove(&Filter::default()), 4);
    assert_eq!(
        shelf.listing(),
        Listing {
            newest: 4,
            ..Listing::default()
        }
    );
    shelf = shelf.reopened();
    shelf.fill([5]);
    assert_eq!(shelf.letters(), [(5, "5".to_owned())]);
}

#[test]
fn letters_that_are_written_together_each_have_an_outcome() {
    let shelf = Shelf::new(MIB, None);
    let mut broken = letter("app", "2");
    let mut record = (*broken.record).clone();
    record.body = "{".into();
    broken.record = Arc::new(record);
    let letters = [
        letter("app", "1"),
        broken,
        letter("app", "3"),
        large("4", 1 << 20),
    ];
    let (outcomes, _) = shelf.store.append(&letters, NOW);
    assert!(matches!(outcomes[0], Ok(())));
    assert!(matches!(outcomes[1], Err(DeadLetterError::NotJson)));
    assert!(matches!(outcomes[2], Ok(())));
    assert!(matches!(outcomes[3], Err(DeadLetterError::Full { .. })));
    assert_eq!(shelf.letters(), [(1, "1".to_owned()), (2, "3".to_owned())]);
}

#[test]
fn a_full_store_takes_nothing_until_there_is_room() {
    let shelf = Shelf::new(MIB, None);
    let mut stored = 0;
    let full = loop {
        match shelf.add(large(&stored.to_string(), 50_000), NOW) {
            Ok(()) => stored += 1,
            Err(full) => break full.to_string(),
        }
    };
    assert_eq!(stored, 20, "as many as fit into a mebibyte");
    let words = "is full: dead letters would take more than 1048576 bytes \
                 (kete.dead-letters.max-bytes); make room with `kete dead-letters replay`";
    assert!(full.contains(words), "{full}");
    assert!(shelf.store.length() <= MIB);
    assert_eq!(shelf.remove(&Filter::numbers(1..=2)), 2);
    shelf.add(large("later", 50_000), NOW).unwrap();
    assert_eq!(shelf.numbers().len(), 19);
}

#[test]
fn files_are_rotated_by_size_and_by_day() {
    let shelf = Shelf::new(MIB, None);
    for id in 0..3 {
        shelf.add(large(&id.to_string(), 100_000), NOW).unwrap();
    }
    let expected = ["dead.ndjson", "dead.ndjson.1", "dead.ndjson.2"];
    assert_eq!(shelf.files(), names(expected));
    shelf.add(letter("app", "3"), NOW).unwrap();
    assert_eq!(shelf.files(), names(expected));
    shelf.add(letter("app", "4"), NOW + DAY).unwrap();
    shelf.add(letter("app", "5"), NOW + DAY).unwrap();
    let expected = [
        "dead.ndjson",
        "dead.ndjson.1",
        "dead.ndjson.2",
        "dead.ndjson.3",
    ];
    assert_eq!(shelf.files(), names(expected));
    assert_eq!(shelf.numbers(), [1, 2, 3, 4, 5, 6]);
    assert_eq!(shelf.reopened().numbers(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_file_of_which_a_name_is_taken_is_not_overwritten() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    let taken = shelf.folder.path().join("dead.ndjson.1");
    fs::write(&taken, "mine").unwrap();
    let refused = shelf.add(letter("app", "2"), NOW + DAY);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("dead.ndjson.1 is there already")
    );
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    fs::remove_file(&taken).unwrap();
    shelf.add(letter("app", "2"), NOW + DAY).unwrap();
    assert_eq!(shelf.numbers(), [1, 2]);
}

#[test]
fn what_somebody_moves_away_or_empties_does_not_swallow_letters() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    fs::rename(shelf.path(), shelf.folder.path().join("elsewhere")).unwrap();
    shelf.fill([2]);
    assert_eq!(shelf.letters(), [(2, "2".to_owned())]);
    fs::write(shelf.path(), "").unwrap();
    shelf.fill([3]);
    assert_eq!(shelf.letters(), [(3, "3".to_owned())]);
    fs::remove_dir_all(shelf.folder.path()).unwrap();
    assert!(matches!(
        shelf.add(letter("app", "4"), NOW),
        Err(DeadLetterError::Io { .. })
    ));
    fs::create_dir(shelf.folder.path()).unwrap();
    shelf.fill([4]);
    assert_eq!(shelf.letters(), [(4, "4".to_owned())]);
}

// === expiring ===

#[test]
fn files_whose_letters_are_all_too_old_are_deleted() {
    let shelf = Shelf::new(MIB, Some(10 * DAY));
    for day in 0..3 {
        shelf
            .add(letter("app", &day.to_string()), NOW + day * DAY)
            .unwrap();
    }
    assert_eq!(shelf.store.expire(NOW + 10 * DAY).unwrap(), []);
    let expired = shelf.store.expire(NOW + 11 * DAY + 1).unwrap();
    let letters: Vec<u64> = expired.iter().map(|expired| expired.letters).collect();
    assert_eq!(letters, [1, 1]);
    assert_eq!(shelf.letters(), [(3, "2".to_owned())]);
    let expired = shelf.store.expire(NOW + 13 * DAY).unwrap();
    assert_eq!(
        expired.len(),
        1,
        "the file that grows does not keep its letters for ever"
    );
    assert_eq!(shelf.letters(), []);
    assert_eq!(shelf.reopened().listing().newest, 3);
}

#[test]
fn what_is_too_old_makes_room_and_goes_before_anything_is_refused() {
    let shelf = Shelf::new(MIB, Some(10 * DAY));
    shelf.add(large("1", 600_000), NOW).unwrap();
    shelf.add(large("2", 400_000), NOW + 9 * DAY).unwrap();
    let full = shelf.add(large("3", 400_000), NOW + 10 * DAY);
    assert!(
        matches!(full, Err(DeadLetterError::Full { .. })),
        "{full:?}"
    );
    // Less than an hour later: it is not time to look for old letters, but for room.
    let (mut outcomes, expired) = shelf
        .store
        .append(&[large("3", 400_000)], NOW + 10 * DAY + 1);
    assert!(outcomes.pop().unwrap().is_ok());
    assert_eq!(expired.len(), 1);
    assert_eq!(shelf.numbers(), [2, 3]);
}

#[test]
fn without_a_bound_of_age_nothing_is_deleted() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    assert_eq!(shelf.store.expire(i64::MAX).unwrap(), []);
    assert_eq!(shelf.numbers(), [1]);
}

// === what crashes and people leave ===

#[test]
fn a_torn_line_is_closed_off_kept_and_reported() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1, 2]);
    let path = shelf.path();
    let text = fs::read_to_string(&path).unwrap();
    let Shelf { folder, store } = shelf;
    drop(store);
    let second = text.lines().next().unwrap().len() + 1;
    for cut in second..text.len() {
        fs::write(&path, &text[..cut]).unwrap();
        let store = Store::open(&path, MIB, None).unwrap();
        store
            .append(&[letter("app", "3")], NOW)
            .0
            .pop()
            .unwrap()
            .unwrap();
        let listing = store.list(&Filter::default(), 10).unwrap();
        let ids: Vec<&str> = listing.letters.iter().map(|one| &*one.event_id).collect();
        match text.len() - cut {
            1 => assert_eq!((ids, listing.others), (vec!["1", "2", "3"], vec![])),
            _ if cut == second => assert_eq!((ids, listing.others), (vec!["1", "3"], vec![])),
            _ => {
                assert_eq!(ids, ["1", "3"], "cut at {cut}");
                let lines = 1;
                let path = path.clone();
                assert_eq!(listing.others, [OtherLines { path, lines }]);
            }
        }
    }
    drop(folder);
}

#[test]
fn lines_that_are_no_letters_outlive_everything_else() {
    let shelf = Shelf::with("{\"json\":true}\na note\n\n");
    shelf.fill(1..=3);
    let removed = shelf.store.remove(&Filter::numbers([2])).unwrap();
    assert_eq!((removed.letters, removed.others[0].lines), (1, 2));
    assert_eq!(shelf.numbers(), [1, 3]);
    shelf.remove(&Filter::default());
    let text = fs::read_to_string(shelf.path()).unwrap();
    assert_eq!(text, "{\"json\":true}\na note\n");
    let path = shelf.path();
    fs::write(&path, "a note\n").unwrap();
    let _reopened = shelf.reopened();
    assert_eq!(fs::read_to_string(path).unwrap(), "a note\n");
}

#[test]
fn letters_without_a_number_have_that_of_their_place() {
    let old = |id: u64| {
        format!(
            "{{\"at\":{NOW},\"route\":\"app\",\"reason\":\"refused\",\"detail\":\"no\",\
             \"attempts\":3,\"source\":\"s\",\"acceptedAt\":1,\"eventId\":\"{id}\",\"event\":\
             {{\"id\":\"{id}\",\"type\":\"LOGIN\",\"realmId\":\"demo\",\"x\": 1}}}}\n"
        )
    };
    let mut shelf = Shelf::with(&[old(1), "torn {\n".to_owned(), old(2), old(3)].concat());
    shelf.fill([4]);
    assert_eq!(shelf.numbers(), [1, 2, 3, 4]);
    assert_eq!(
        shelf
            .store
            .slice(&Filter::numbers([3]), 2, 1, 1)
            .unwrap()
            .letters[0]
            .event_id,
        "3"
    );
    assert_eq!(shelf.remove(&Filter::numbers([2])), 1);
    assert_eq!(shelf.numbers(), [1, 3, 4]);
    let text = fs::read_to_string(shelf.path()).unwrap();
    assert!(text.starts_with("{\"number\":1,\"at\""), "{text}");
    assert!(text.contains("\ntorn {\n"), "{text}");
    assert!(text.contains("\"x\": 1}"), "the event is as it was: {text}");
    shelf = shelf.reopened();
    shelf.fill([5]);
    assert_eq!(shelf.numbers(), [1, 3, 4, 5]);
}

#[test]
fn an_old_file_alone_is_numbered_on_from() {
    let line = r#"{"at":1,"route":"app","reason":"refused","detail":"no","attempts":3,"source":"s","acceptedAt":1,"eventId":"a","event":{}}"#;
    let shelf = Shelf::with(&format!("{line}\n{line}\n"));
    shelf.fill([3]);
    assert_eq!(shelf.numbers(), [1, 2, 3]);
}

#[test]
fn what_an_interrupted_removal_left_is_cleared_away() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    for name in ["dead.ndjson.new", "dead.ndjson.7.new", "dead.ndjson.renew"] {
        fs::write(shelf.folder.path().join(name), "half").unwrap();
    }
    let shelf = shelf.reopened();
    assert_eq!(shelf.files(), names(["dead.ndjson", "dead.ndjson.renew"]));
    assert_eq!(shelf.numbers(), [1]);
}

// === choosing ===

/// The numbers that a filter chooses among a refused login of ann on route `app` and two admin
/// events on route `audit`: a too large one about bob, and a refused one about a client.
fn chosen(change: impl Fn(&mut Filter)) -> Vec<u64> {
    let shelf = Shelf::new(MIB, None);
    let (refused, too_large) = (FailureReason::Refused, FailureReason::TooLarge);
    for (at, route, reason, event) in [
        (0, "app", refused, r#""type":"LOGIN_ERROR","userId":"ann""#),
        (
            1,
            "audit",
            too_large,
            r#""operationType":"CREATE","resourceType":"USER","resourcePath":"users/bob/x""#,
        ),
        (
            2,
            "audit",
            refused,
            r#""operationType":"UPDATE","resourceType":"CLIENT","resourcePath":"clients/bob""#,
        ),
    ] {
        let json = format!(r#"{{"id":"{at}","realmId":"demo",{event}}}"#);
        shelf
            .add(letter_of(route, reason, &json), NOW + at)
            .unwrap();
    }
    let mut filter = Filter::default();
    change(&mut filter);
    let listing = shelf.store.list(&filter, 10).unwrap();
    assert_eq!(listing.total, listing.letters.len() as u64);
    listing.letters.iter().map(|letter| letter.number).collect()
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_filter_that_says_nothing_chooses_everything() {
    assert_eq!(chosen(|_| ()), [1, 2, 3]);
}

#[test]
fn letters_are_chosen_by_route_and_reason() {
    assert_eq!(chosen(|filter| filter.routes = texts(&["app"])), [1]);
    assert_eq!(
        chosen(|filter| filter.routes = texts(&["audit", "app"])),
        [1, 2, 3]
    );
    assert!(chosen(|filter| filter.routes = texts(&["ap"])).is_empty());
    assert_eq!(
        chosen(|filter| filter.reasons = texts(&["refused"])),
        [1, 3]
    );
}

#[test]
fn letters_are_chosen_by_what_their_events_are_about() {
    assert_eq!(
        chosen(|filter| filter.event_types = texts(&["login_error"])),
        [1]
    );
    let admin = texts(&["USER_CREATE", "CLIENT_UPDATE"]);
    assert_eq!(
        chosen(|filter| filter.event_types.clone_from(&admin)),
        [2, 3]
    );
    assert_eq!(chosen(|filter| filter.user_ids = texts(&["bob"])), [2]);
    assert_eq!(
        chosen(|filter| filter.user_ids = texts(&["ann", "bob"])),
        [1, 2]
    );
}

#[test]
fn letters_are_chosen_by_time_and_number() {
    assert_eq!(chosen(|filter| filter.from = Some(NOW + 1)), [2, 3]);
    assert_eq!(chosen(|filter| filter.to = Some(NOW)), [1]);
    assert_eq!(
        chosen(|filter| *filter = Filter::numbers([1, 2, 5])),
        [1, 2]
    );
}

#[test]
fn all_kinds_of_restriction_must_fit() {
    let both = chosen(|filter| {
        filter.routes = texts(&["audit"]);
        filter.reasons = texts(&["refused"]);
    });
    assert_eq!(both, [3]);
    let between = chosen(|filter| {
        filter.from = Some(NOW + 1);
        filter.to = Some(NOW + 1);
    });
    assert_eq!(between, [2]);
}

#[test]
fn numbers_in_a_row_are_one_range() {
    assert_eq!(
        Filter::numbers([1, 2, 3, 7, 9, 10]).numbers,
        [1..=3, 7..=7, 9..=10]
    );
}

#[test]
fn a_list_has_the_newest_and_says_how_many_there_are() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill(1..=5);
    let listing = shelf.store.list(&Filter::default(), 2).unwrap();
    let numbers: Vec<u64> = listing.letters.iter().map(|letter| letter.number).collect();
    assert_eq!((numbers, listing.total), (vec![4, 5], 5));
    assert_eq!(shelf.store.list(&Filter::default(), 0).unwrap().total, 5);
    let first = &listing.letters[0];
    assert_eq!(first.event_type.as_deref(), Some("LOGIN"));
    assert_eq!(first.user_id.as_deref(), Some("ann"));
}

#[test]
fn slices_go_through_everything_once_while_files_change() {
    let shelf = Shelf::new(MIB, None);
    for id in 0..6 {
        shelf
            .add(letter("app", &id.to_string()), NOW + id * DAY / 2)
            .unwrap();
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let slice = shelf
            .store
            .slice(&Filter::default(), after, 2, usize::MAX)
            .unwrap();
        seen.extend(slice.letters.iter().map(|letter| letter.number));
        shelf.remove(&Filter::numbers(
            slice.letters.iter().map(|letter| letter.number),
        ));
        let Some(next) = slice.next else { break };
        after = next;
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(shelf.files(), names(["dead.ndjson"]));
}

#[test]
fn a_slice_has_one_letter_however_large_it_is() {
    let shelf = Shelf::new(MIB, None);
    shelf.add(large("1", 1_000), NOW).unwrap();
    shelf.add(large("2", 1_000), NOW).unwrap();
    let slice = shelf.store.slice(&Filter::default(), 0, 100, 10).unwrap();
    assert_eq!((slice.letters.len(), slice.next), (1, Some(1)));
    let slice = shelf.store.slice(&Filter::default(), 1, 100, 10).unwrap();
    assert_eq!((slice.letters[0].number, slice.next), (2, None));
}

#[test]
fn a_letter_becomes_the_record_that_it_was() {
    let shelf = Shelf::new(MIB, None);
    let original = letter("app", "1");
    shelf.add(original.clone(), NOW).unwrap();
    let slice = shelf.store.slice(&Filter::default(), 0, 1, 1).unwrap();
    let record = slice.letters[0].record().unwrap();
    assert_eq!(record.body, original.record.body);
    let header = Header {
        id_derived: true,
        target: Target::Route(Arc::from("app")),
        ..original.record.header.clone()
    };
    assert_eq!(record.header, header);
}

#[test]
fn a_letter_survives_the_way_through_json() {
    let shelf = Shelf::new(MIB, None);
    shelf.fill([1]);
    let slice = shelf.store.slice(&Filter::default(), 0, 1, 1).unwrap();
    let text = serde_json::to_string(&slice.letters[0]).unwrap() + "\n";
    assert_eq!(text, fs::read_to_string(shelf.path()).unwrap());
    let read: StoredLetter = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap() + "\n", text);
}

// === at the same time ===

fn opened(path: &Path) -> DeadLetters {
    let place = Place::File(path.to_owned());
    let settings = DeadLetterSettings {
        place,
        max_bytes: MIB,
        max_age: None,
    };
    DeadLetters::open(&settings).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn letters_are_stored_while_others_are_taken_out() {
    let folder = tempfile::tempdir().unwrap();
    let letters = opened(&folder.path().join("dead.ndjson"));
    let mut tasks = tokio::task::JoinSet::new();
    for route in 0..4 {
        let letters = letters.clone();
        tasks.spawn(async move {
            for id in 0..100 {
                let route = format!("route-{route}");
                letters
                    .store(letter(&route, &id.to_string()))
                    .await
                    .unwrap();
            }
        });
    }
    let mut removed = 0;
    let even = Filter {
        routes: vec!["route-0".to_owned(), "route-2".to_owned()],
        ..Filter::default()
    };
    while !tasks.is_empty() {
        tokio::select! {
            joined = tasks.join_next() => joined.unwrap().unwrap(),
            gone = letters.remove(even.clone()) => removed += gone.unwrap().letters,
        }
    }
    removed += letters.remove(even).await.unwrap().letters;
    let listing = letters.list(Filter::default(), 1000).await.unwrap();
    // A removal that lost its race went on in the background, and was not counted.
    assert!(removed <= 200);
    assert_eq!((listing.total, listing.newest), (200, 400));
    let numbers: BTreeSet<u64> = listing.letters.iter().map(|one| one.number).collect();
    assert_eq!(numbers.len(), 200);
    for route in ["route-1", "route-3"] {
        let of_route = listing.letters.iter().filter(|one| one.route == route);
        let ids: Vec<u64> = of_route.map(|one| one.event_id.parse().unwrap()).collect();
        assert_eq!(
            ids,
            (0..100).collect::<Vec<_>>(),
            "in order, and none is missing"
        );
    }
}

#[tokio::test]
async fn a_letter_that_nobody_waits_for_any_more_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let letters = opened(&folder.path().join("dead.ndjson"));
    let shared = letters.shared.clone().unwrap();
    let turn = shared.writing.lock().await;
    let mut given_up = Box::pin(letters.store(letter("app", "1")));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    drop(turn);
    letters.store(letter("app", "2")).await.unwrap();
    let listing = letters.list(Filter::default(), 10).await.unwrap();
    assert_eq!(listing.letters[0].event_id, "2");
    assert_eq!(listing.total, 1);
    assert!(letters.bytes().get() > 0);
}

#[tokio::test]
async fn one_letter_is_found_by_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let letters = opened(&folder.path().join("dead.ndjson"));
    for id in ["a", "b"] {
        letters.store(letter("app", id)).await.unwrap();
    }
    assert_eq!(letters.get(2).await.unwrap().unwrap().event_id, "b");
    assert!(letters.get(3).await.unwrap().is_none());
}
