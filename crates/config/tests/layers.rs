//! Files, environment and command line on top of each other, and what is wrong with each.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use kete_config::{Diagnostics, Loader, MAX_FILE_BYTES, Origin, Settings};
use tempfile::TempDir;

fn write(directory: &TempDir, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// What is printed, with the path of the directory left out.
fn printed(diagnostics: &Diagnostics, directory: &TempDir) -> String {
    diagnostics
        .to_string()
        .replace(&format!("{}/", directory.path().display()), "")
}

fn value(settings: &Settings, key: &str) -> Option<(String, String)> {
    let diagnostics = Diagnostics::new();
    let (text, origin) = settings.scope("", &diagnostics).raw(key)?;
    let place = match origin {
        Origin::File { path, line } => {
            format!("{}:{line}", path.file_name().unwrap().to_str().unwrap())
        }
        other => other.to_string(),
    };
    Some((text, place))
}

#[test]
fn the_later_layer_wins_key_by_key_and_its_origin_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let first = write(
        &directory,
        "first.properties",
        "app.a=1\napp.b=1\napp.c=1\napp.d=1\n",
    );
    let second = write(
        &directory,
        "second.properties",
        "# over it\napp.b=2\napp.c=2\napp.d=2\n",
    );
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .set("app.d=4")
        .environment([("app.c", "3"), ("APP__D", "3"), ("HOME", "/")])
        .file(first)
        .file(second)
        .load(&diagnostics);
    assert!(diagnostics.is_empty());
    for (key, text, place) in [
        ("app.a", "1", "first.properties:1"),
        ("app.b", "2", "second.properties:2"),
        ("app.c", "3", "environment variable app.c"),
        ("app.d", "4", "--set"),
    ] {
        assert_eq!(
            value(&settings, key),
            Some((text.to_owned(), place.to_owned()))
        );
    }
    assert_eq!(settings.keys().count(), 4);
}

#[test]
fn the_order_in_which_the_layers_are_named_does_not_matter_but_that_of_files_does() {
    let directory = tempfile::tempdir().unwrap();
    let first = write(&directory, "1", "app.a=1");
    let second = write(&directory, "2", "app.a=2");
    for (paths, winner) in [([&first, &second], "2"), ([&second, &first], "1")] {
        let loader = paths
            .into_iter()
            .fold(Loader::new("app"), |loader, path| loader.file(path));
        let settings = loader.load(&Diagnostics::new());
        assert_eq!(value(&settings, "app.a").unwrap().0, winner);
    }
    let settings = Loader::new("app")
        .set("app.a=1")
        .set("app.a=2")
        .load(&Diagnostics::new());
    assert_eq!(value(&settings, "app.a").unwrap().0, "2");
}

#[test]
fn keys_and_values_are_trimmed_as_java_trims() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &directory,
        "f",
        "\\ app.a\\t = \\u0001 x y \\n\\u00a0 \\t\n",
    );
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .file(path)
        .environment([("app.b ", " y\n")])
        .set(" app.c = z=1 ")
        .load(&diagnostics);
    assert!(diagnostics.is_empty());
    assert_eq!(value(&settings, "app.a").unwrap().0, "x y \n\u{a0}");
    assert_eq!(value(&settings, "app.b").unwrap().0, "y");
    assert_eq!(value(&settings, "app.c").unwrap().0, "z=1");
}

#[test]
fn the_shell_form_is_lower_cased_and_the_literal_form_is_not() {
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .environment([
            ("APP__ROUTES__MY_SHOP__TARGET__EVENT_NAME", "x"),
            ("app.routes.Shop.headers.X-API_Key", "y"),
            ("APP__ROUTES__SHOP__HEADERS__X_API_KEY", "z"),
            ("APP_SERVICE_HOST", "10.0.0.1"),
            ("APP", "1"),
            ("app", "1"),
            ("application.x", "1"),
        ])
        .load(&diagnostics);
    let keys: Vec<_> = settings.keys().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        [
            "app.routes.Shop.headers.X-API_Key",
            "app.routes.my-shop.target.event-name",
            "app.routes.shop.headers.x-api-key",
        ]
    );
    assert!(diagnostics.is_empty());
}

#[test]
fn what_is_not_utf8_is_an_error_for_variables_of_ours_only() {
    let broken = || OsString::from_vec(b"\xFF".to_vec());
    let name = OsString::from_vec(b"app.\xFFx".to_vec());
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .environment([
            (OsString::from("app.token"), broken()),
            (OsString::from("APP__PORT"), broken()),
            (name, OsString::from("geheim")),
            (OsString::from("OTHER"), broken()),
            (broken(), broken()),
        ])
        .load(&diagnostics);
    assert_eq!(
        diagnostics.to_string(),
        "error[bad-environment]: environment variable APP__PORT\n  \
         the value of this variable is not UTF-8\n\
         error[bad-environment]: environment variable app.token\n  \
         the value of this variable is not UTF-8\n\
         error[bad-environment]: environment variable app.\u{FFFD}x\n  \
         the name of this variable is not UTF-8\n"
    );
    assert_eq!(settings.keys().count(), 0);
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_read() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    let large = directory.path().join("large");
    File::create(&large)
        .unwrap()
        .set_len(MAX_FILE_BYTES + 1)
        .unwrap();
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .file(directory.path().join("absent.properties"))
        .file(directory.path().join("conf.d"))
        .file(large)
        .file(write(&directory, "good", "app.a=1"))
        .file(directory.path().join("good/not-a-directory"))
        .load(&diagnostics);
    assert_eq!(
        printed(&diagnostics, &directory),
        "error[unreadable-file]: absent.properties\n  there is no such file\n  check the path\n\
         error[unreadable-file]: conf.d\n  this is a directory\n  \
         name a .properties file in it\n\
         error[unreadable-file]: good/not-a-directory\n  \
         the file cannot be read: Not a directory (os error 20)\n\
         error[unreadable-file]: large\n  \
         the file is larger than 16 MiB, so it is hardly a configuration\n"
    );
    assert_eq!(value(&settings, "app.a").unwrap().0, "1");
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut text = b"app.a=1\n#".to_vec();
    text.resize(usize::try_from(MAX_FILE_BYTES).unwrap(), b'x');
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .file(write(&directory, "f", text))
        .load(&diagnostics);
    assert!(diagnostics.is_empty());
    assert_eq!(value(&settings, "app.a").unwrap().0, "1");
}

#[test]
fn a_file_that_is_not_utf8_names_line_and_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &directory,
        "latin1",
        b"app.a=1\napp.b=caf\xE9\napp.c=\\u00e9\n",
    );
    let diagnostics = Diagnostics::new();
    Loader::new("app").file(path).load(&diagnostics);
    assert_eq!(
        printed(&diagnostics, &directory),
        "error[bad-file]: latin1:2\n  byte 10 of the line, 0xE9, is not UTF-8\n  \
         save the file as UTF-8, or write such characters as \\u00E9\n"
    );
}

#[test]
fn the_first_of_two_entries_counts_and_every_repeat_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &directory,
        "f",
        "app.a=1\napp.a=2\napp.b=1\napp.a \\\n = 3\n",
    );
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app").file(path).load(&diagnostics);
    assert_eq!(
        printed(&diagnostics, &directory),
        "error[duplicate-key]: f:2: app.a\n  this key was given on line 1 already\n  \
         keep one of the two\n\
         error[duplicate-key]: f:4: app.a\n  this key was given on line 1 already\n  \
         keep one of the two\n"
    );
    assert_eq!(
        value(&settings, "app.a"),
        Some(("1".to_owned(), "f:1".to_owned()))
    );
}

#[test]
fn names_below_are_those_of_sections() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        &directory,
        "f",
        "app.routes.b.x=1\napp.routes.a.x=1\napp.routes.a.y.z=1\napp.routes.c=1\n\
         app.routes=1\napp.routesx.d.e=1\nother.routes.f.x=1\n",
    );
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app").file(path).load(&diagnostics);
    assert_eq!(settings.names_below("app.routes"), ["a", "b"]);
    assert_eq!(settings.names_below(""), ["app", "other"]);
    assert_eq!(settings.names_below("app.routes.c"), Vec::<String>::new());
    assert_eq!(
        settings
            .scope("app", &diagnostics)
            .child("routes")
            .children(),
        ["a", "b"]
    );
}

#[test]
fn values_are_not_in_what_debug_prints() {
    let diagnostics = Diagnostics::new();
    let settings = Loader::new("app")
        .set("app.token=geheim")
        .load(&diagnostics);
    let scope = settings.scope("app", &diagnostics);
    assert_eq!(format!("{settings:?}"), "[\"app.token\"]");
    assert!(!format!("{scope:?}").contains("geheim"));
}

#[test]
fn a_path_is_shown_as_it_was_given() {
    let diagnostics = Diagnostics::new();
    Loader::new("app")
        .file("./no/such.properties")
        .load(&diagnostics);
    let expected = Origin::File {
        path: Path::new("./no/such.properties").into(),
        line: 0,
    };
    assert_eq!(diagnostics.into_vec()[0].origin, Some(expected));
}
