//! Where things are: what `tests/run` has set up, else the places where it sets them up.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};

/// Whether every round and scenario is asked for (`tests/run --full`).
#[must_use]
pub fn full() -> bool {
    std::env::var_os("KETE_TEST_FULL").is_some_and(|value| value == "1")
}

/// A file or directory of the project.
#[must_use]
pub fn project(path: &str) -> PathBuf {
    let suites = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = suites.ancestors().nth(2).unwrap_or(suites);
    root.join(path)
}

/// The kete under test: `KETE_BIN`, else one that is built now, once for all tests.
pub(crate) fn kete_binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let binary = BINARY.get_or_init(|| match std::env::var_os("KETE_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build().map_err(|error| format!("{error:#}")),
    });
    match binary {
        Ok(path) => {
            ensure!(path.is_file(), "there is no kete at {}", path.display());
            Ok(path.clone())
        }
        Err(problem) => bail!("{problem}"),
    }
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = project("target");
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--package", "kete", "--target-dir"])
        .arg(&target)
        .current_dir(project(""))
        .output()
        .context("cargo does not run")?;
    let errors = String::from_utf8_lossy(&built.stderr);
    ensure!(built.status.success(), "kete cannot be built:\n{errors}");
    Ok(target.join("debug/kete"))
}

/// One of the test peers.
pub(crate) fn peer(name: &str) -> Result<PathBuf> {
    let directory = or("KETE_TEST_PEERS", "tests/peers/target/release");
    installed(directory.join(name))
}

/// The recorder for Node.
pub(crate) fn node_server() -> Result<PathBuf> {
    installed(project("tests/servers/node/node_modules/socket.io"))?;
    installed(or("KETE_TEST_NODE_SERVER", "tests/servers/node/server.mjs"))
}

/// The Python with python-socketio, and the recorder for it.
pub(crate) fn python_server() -> Result<(PathBuf, PathBuf)> {
    let python = installed(or("KETE_TEST_PYTHON", "tests/.cache/venv/bin/python"))?;
    let server = installed(or(
        "KETE_TEST_PYTHON_SERVER",
        "tests/servers/python/server.py",
    ))?;
    Ok((python, server))
}

/// The library that sets the clock of a process. The command of that name knows where it is; it is
/// not used itself, because it would stand between a process and its signals.
pub(crate) fn faketime_library() -> Result<String> {
    let told = Command::new("faketime")
        .args(["-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
        .context("faketime is missing; install it")?;
    let library = String::from_utf8(told.stdout)?.trim().to_owned();
    ensure!(!library.is_empty(), "faketime names no library");
    Ok(library)
}

/// One of the scripts that start and stop Keycloak.
pub(crate) fn keycloak_script(name: &str) -> Result<PathBuf> {
    installed(or("KETE_TEST_KEYCLOAK", "tests/keycloak").join(name))
}

fn or(variable: &str, usual: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| project(usual), PathBuf::from)
}

fn installed(path: PathBuf) -> Result<PathBuf> {
    ensure!(
        path.exists(),
        "{} is missing; tests/run installs it",
        path.display()
    );
    Ok(path)
}
