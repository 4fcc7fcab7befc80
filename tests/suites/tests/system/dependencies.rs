//! What may depend on what, and on what the whole may depend. It reads `cargo metadata`, so that
//! nobody needs `cargo-deny`; `deny.toml` says the same for those who have it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use kete_suites::project;

/// Which of our crates may use which of our crates. What is not here may use none.
const ALLOWED: &[(&str, &[&str])] = &[
    ("kete-event", &[]),
    ("kete-config", &[]),
    ("kete-socketio", &[]),
    ("kete-queue", &["event"]),
    ("kete-routes", &["event", "config"]),
    ("kete-credentials", &["config"]),
    ("kete-pipeline", &["event", "config", "queue", "routes"]),
    (
        "kete-sources",
        &["pipeline", "event", "config", "credentials"],
    ),
    (
        "kete-destinations",
        &[
            "pipeline",
            "event",
            "config",
            "routes",
            "credentials",
            "socketio",
        ],
    ),
    (
        "kete",
        &[
            "event",
            "config",
            "socketio",
            "queue",
            "routes",
            "credentials",
            "pipeline",
            "sources",
            "destinations",
        ],
    ),
    // It looks from outside.
    ("kete-suites", &[]),
];

/// Other TLS stacks, what is archived, and what only the benchmarks and test peers may have.
const REFUSED: &[&str] = &[
    "aws-lc-rs",
    "aws-lc-sys",
    "engineioxide",
    "native-tls",
    "openssl",
    "openssl-sys",
    "rust_engineio",
    "rust_socketio",
    "rustls-pemfile",
    "socketioxide",
];

/// Two of one of these would be two runtimes, two TLS stacks, or types that do not fit together.
const ONCE: &[&str] = &[
    "axum",
    "http",
    "hyper",
    "regex",
    "reqwest",
    "ring",
    "rustls",
    "serde",
    "serde_json",
    "tera",
    "tokio",
    "tokio-rustls",
    "tokio-tungstenite",
    "tracing",
    "tungstenite",
    "url",
];

const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn our_crates_depend_on_each_other_as_the_design_says() -> Result<()> {
    let metadata = metadata()?;
    let ours: Vec<&Package> = metadata.workspace_packages();
    for package in &ours {
        let entry = ALLOWED
            .iter()
            .find(|(name, _)| *name == package.name.as_str());
        let (_, allowed) =
            entry.with_context(|| format!("{} is not in the table", package.name))?;
        // What only the tests of a crate use is not part of what it knows.
        let uses = package.dependencies.iter().filter(|uses| {
            uses.kind != DependencyKind::Development
                && ours.iter().any(|ours| ours.name.as_str() == uses.name)
        });
        for uses in uses {
            let short = uses.name.trim_start_matches("kete-");
            ensure!(
                allowed.contains(&short),
                "{} must not use {}",
                package.name,
                uses.name
            );
        }
    }
    for (name, _) in ALLOWED {
        ensure!(
            ours.iter().any(|ours| ours.name.as_str() == *name),
            "there is no crate {name}"
        );
    }
    Ok(())
}

#[test]
fn nothing_refused_gets_in_and_the_large_ones_are_there_once() -> Result<()> {
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    for package in metadata()?.packages {
        versions
            .entry(package.name.to_string())
            .or_default()
            .push(package.version.to_string());
    }
    for refused in REFUSED {
        ensure!(
            !versions.contains_key(*refused),
            "{refused} is in the lock file"
        );
    }
    for once in ONCE {
        let found = versions.get(*once).map(Vec::as_slice).unwrap_or_default();
        ensure!(
            found.len() == 1,
            "{once} is there in these versions: {found:?}"
        );
    }
    Ok(())
}

#[test]
fn the_test_peers_are_no_part_of_the_workspace() -> Result<()> {
    let peers = project("tests/peers");
    for package in metadata()?.packages {
        let inside = package.manifest_path.as_std_path().starts_with(&peers);
        ensure!(!inside, "{} comes from tests/peers", package.name);
    }
    Ok(())
}

#[test]
fn every_licence_is_one_that_we_accept() -> Result<()> {
    for package in metadata()?.packages {
        let licence = package.license.as_deref().unwrap_or("none");
        ensure!(
            is_accepted(licence),
            "{} has the licence {licence}",
            package.name
        );
    }
    Ok(())
}

#[test]
fn licence_expressions_are_understood() {
    for accepted in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-3.0 OR MIT",
        "(MIT OR GPL-3.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        "MIT AND (GPL-3.0 OR ISC)",
    ] {
        assert!(is_accepted(accepted), "{accepted}");
    }
    for refused in [
        "none",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(MIT OR ISC) AND GPL-3.0",
        "",
    ] {
        assert!(!is_accepted(refused), "{refused}");
    }
}

fn metadata() -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    command
        .manifest_path(project("Cargo.toml"))
        .other_options(["--locked".to_owned()]);
    Ok(command.exec()?)
}

/// Whether an SPDX expression can be satisfied: `OR` of `AND` of names and parentheses. A slash is
/// how `OR` was written before.
fn is_accepted(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    any_of(&expression, " OR ").any(|part| {
        any_of(part, " AND ").all(|part| {
            let part = part.trim();
            let inner = part
                .strip_prefix('(')
                .and_then(|part| part.strip_suffix(')'));
            inner.map_or_else(|| LICENCES.contains(&part), is_accepted)
        })
    })
}

/// The parts between the separators that are in no parentheses.
fn any_of<'e>(expression: &'e str, separator: &str) -> impl Iterator<Item = &'e str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0);
    for (at, character) in expression.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= start && expression[at..].starts_with(separator) => {
                parts.push(&expression[start..at]);
                start = at + separator.len();
            }
            _ => {}
        }
    }
    parts.push(&expression[start..]);
    parts.into_iter()
}
