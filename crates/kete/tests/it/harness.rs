//! Starts the binary and talks to it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than anything takes, so that a mistake fails instead of hanging.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a command that ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<String>>,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// The binary with an empty environment, so that the developer's own does not matter.
pub(crate) fn kete() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kete"));
    command.env_clear();
    command
}

/// The directory of this crate.
pub(crate) fn crate_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file or directory of the project with this relative path.
pub(crate) fn project(path: &str) -> PathBuf {
    crate_directory().join("../..").join(path)
}

/// A directory that lasts as long as the value, with one file in it.
pub(crate) fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

/// `check`, `run` or `explain` with these settings on the command line.
pub(crate) fn with_settings(subcommand: &str, settings: &[&str]) -> Command {
    let mut command = kete();
    command.arg(subcommand);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

/// Runs a command to its end, with this on its standard input.
pub(crate) fn run_to_end(command: &mut Command, input: &[u8]) -> Ended {
    let mut running = start(command);
    running.send(input);
    running.finish()
}

/// Starts a command and collects its standard output.
pub(crate) fn start(command: &mut Command) -> Running {
    start_onto(command, Stdio::piped())
}

/// Starts a command with this as its standard output.
pub(crate) fn start_onto(command: &mut Command, stdout: Stdio) -> Running {
    command
        .stdin(Stdio::piped())
        .stdout(stdout)
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let collect = |mut stdout: ChildStdout| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        })
    };
    let stdout = child.stdout.take().map(collect);
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in stderr.lines() {
            let _nobody_listens_any_more = sender.send(line.unwrap());
        }
    });
    Running {
        stdin: child.stdin.take(),
        child,
        stdout,
        lines,
        seen: Vec::new(),
    }
}

impl Running {
    /// Writes to standard input. That the command has ended meanwhile is no failure of the test.
    pub(crate) fn send(&mut self, input: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        let _may_be_closed = stdin.write_all(input).and_then(|()| stdin.flush());
    }

    /// Waits for a line on standard error that contains this text.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => {
                    let _ = self.child.kill();
                    panic!("no line with {text:?} came, only {:#?}", self.seen);
                }
            }
        }
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Closes standard input and waits for the end.
    pub(crate) fn finish(mut self) -> Ended {
        drop(self.stdin.take());
        self.end()
    }

    /// Waits for the end with standard input left open.
    pub(crate) fn end(mut self) -> Ended {
        // Standard error is closed when the command ends, and not before.
        let until = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    panic!("it does not end; so far it said {:#?}", self.seen);
                }
            }
        }
        let status: ExitStatus = self.child.wait().unwrap();
        let stdout = self
            .stdout
            .map(|stdout| stdout.join().unwrap())
            .unwrap_or_default();
        let stderr = self.seen.iter().map(|line| format!("{line}\n")).collect();
        Ended {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

/// The answer to an HTTP request: its status, its head and its body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks for a path.
pub(crate) fn http(method: &str, address: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: kete\r\nConnection: close\r\n");
    write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Compares with a stored text, or stores it where the environment says `UPDATE=1`.
pub(crate) fn assert_same_as_file(found: &str, path: &Path) {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        found,
        expected,
        "differs from {} (UPDATE=1 rewrites it)",
        path.display()
    );
}
