//! A corpus of wrong configurations, each with exactly what `kete check` says about it.
//!
//! `tests/wrong/NAME.properties` is the configuration and says in its first line what is wrong,
//! `NAME.expected` is the answer. `UPDATE=1 cargo test -p kete` rewrites the answers; read the
//! difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::{assert_same_as_file, crate_directory, kete, run_to_end};

fn directory() -> PathBuf {
    crate_directory().join("tests/wrong")
}

fn names() -> Vec<String> {
    let files = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let configurations = files.filter(|path| path.extension().is_some_and(|is| is == "properties"));
    let name = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut names: Vec<String> = configurations.map(name).collect();
    names.sort();
    names
}

#[test]
fn every_wrong_configuration_gets_exactly_its_diagnostics() {
    let names = names();
    assert!(
        names.len() >= 40,
        "the corpus has shrunk to {}",
        names.len()
    );
    for name in names {
        let mut check = kete();
        check
            .current_dir(directory())
            .args(["check", "--config", &format!("{name}.properties")]);
        let ended = run_to_end(&mut check, b"");
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stdout);
        assert_eq!(ended.stderr, "", "{name}");
        assert_same_as_file(&ended.stdout, &directory().join(format!("{name}.expected")));
    }
}

#[test]
fn no_answer_shows_a_secret_and_every_answer_has_a_configuration() {
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|is| is == "expected") {
            let answer = fs::read_to_string(&path).unwrap();
            assert!(!answer.contains("very-secret"), "{}", path.display());
            assert!(
                Path::new(&path).with_extension("properties").exists(),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn run_refuses_a_wrong_configuration_with_the_same_words() {
    let config = ["--config", "many-at-once.properties"];
    let check = run_to_end(
        kete().current_dir(directory()).arg("check").args(config),
        b"",
    );
    let run = run_to_end(kete().current_dir(directory()).arg("run").args(config), b"");
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stdout, "");
    let diagnostics = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        lines[..lines.len() - 1].join("\n")
    };
    assert_eq!(diagnostics(&run.stderr), diagnostics(&check.stdout));
    assert!(run.stderr.contains("error[bad-value]"), "{}", run.stderr);
}
