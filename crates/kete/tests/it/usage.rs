//! The command line itself: what it says about itself, and how it ends.

use super::harness::{kete, run_to_end};

#[test]
fn version_names_the_program_and_a_version() {
    let ended = run_to_end(kete().arg("--version"), b"");
    assert_eq!(ended.code, Some(0));
    assert_eq!(
        ended.stdout,
        concat!("kete ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn help_names_commands_examples_and_exit_codes() {
    let ended = run_to_end(kete().arg("--help"), b"");
    assert_eq!(ended.code, Some(0));
    for part in [
        "  run ",
        "  check ",
        "  explain ",
        "  queue ",
        "Examples:",
        "Exit codes: 0 fine",
    ] {
        assert!(
            ended.stdout.contains(part),
            "{part:?} is not in\n{}",
            ended.stdout
        );
    }
    assert!(
        ended.stdout.lines().all(|line| line.chars().count() <= 100),
        "{}",
        ended.stdout
    );
}

#[test]
fn help_of_check_says_that_no_network_is_touched() {
    let ended = run_to_end(kete().args(["check", "--help"]), b"");
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.stdout.contains("No port is opened"),
        "{}",
        ended.stdout
    );
    for option in ["--config <FILE>", "--set <KEY=VALUE>", "--format <FORMAT>"] {
        assert!(
            ended.stdout.contains(option),
            "{option:?} is not in\n{}",
            ended.stdout
        );
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &[][..],
        &["fly"],
        &["run", "--fast"],
        &["check", "--format", "xml"],
    ] {
        let ended = run_to_end(kete().args(arguments), b"");
        assert_eq!(ended.code, Some(2), "{arguments:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
        assert!(
            ended.stderr.contains("--help"),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn without_any_configuration_the_lines_of_a_small_one_are_shown() {
    for subcommand in ["run", "explain"] {
        let ended = run_to_end(kete().arg(subcommand), b"");
        assert_eq!(ended.code, Some(2), "{subcommand}");
        assert_eq!(ended.stdout, "", "{subcommand}");
        assert!(
            ended.stderr.starts_with("error[no-configuration]: "),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("  kete.sources.input.kind=webhook\n"),
            "{}",
            ended.stderr
        );
        assert!(
            ended
                .stderr
                .contains("  kete.routes.events.destination.url="),
            "{}",
            ended.stderr
        );
    }
}

#[test]
fn the_lines_that_are_shown_are_a_configuration_that_passes() {
    let shown = run_to_end(kete().arg("check"), b"");
    assert_eq!(shown.code, Some(2));
    let mut check = kete();
    check.arg("check");
    for line in shown
        .stdout
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("kete."))
    {
        check.args(["--set", line]);
    }
    let ended = run_to_end(&mut check, b"");
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}
