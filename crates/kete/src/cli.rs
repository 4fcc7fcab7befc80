//! The command line: what can be asked for, and in which words.
//!
//! Everything a user can do without reading a manual is said here. What is wrong with the command
//! line itself ends the process with 2; `clap` prints it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const LONG_ABOUT: &str = "\
Takes user events and admin events from Keycloak and forwards each one to Socket.IO servers.

Sources say where events come from (kete.sources.<name>.kind). Routes say which of them go where
(kete.routes.<name>.…, the same keys as the KETE extension for Keycloak). Settings come from
properties files, then from the environment (KETE__ROUTES__A__DESTINATION__URL sets
kete.routes.a.destination.url), then from --set; the later one wins.";

const RUN: &str = "\
Forwards events until it is told to stop, or until its input ends.

SIGTERM or SIGINT stops it: sources take nothing more, and what was taken is delivered within
kete.shutdown.grace. A second signal ends it at once. When every source is finite, as standard
input is, the end of the input ends it too.

Logs go to standard error. Exit code 1 means that something was not delivered: the last log lines
say what.";

const CHECK: &str = "\
Reports every mistake in the configuration, and connects to nothing.

Reads the configuration as `run` would and prints what is wrong with it, each mistake with its
place and the way out. If there is none, prints what would run. No port is opened, no name looked
up and no server asked, so it can run anywhere.";

const EXPLAIN: &str = "\
Shows what would happen to events from standard input, and sends nothing.

Events come one per line, or as several JSON objects or arrays. For each event and each route it
says whether the route takes it, which matcher decided, and the event name it would get. It needs
routes, but no sources.

A source can name the realms of events that come without one (realm, realm-names.<id>). If only one
source does, its names count here too; --source chooses among several.";

const EXAMPLES: &str = "\
Examples:
  kete check --config kete.properties
      Reports every mistake in the configuration at once.
  kete explain --config kete.properties < events.ndjson
      Shows for each event which routes take it, why, and under which event name.
  kete run --config kete.properties
      Forwards events until it is told to stop.
  kete run --set kete.sources.input.kind=stdin --set kete.routes.all.destination.kind=stdout
      Prints each event of standard input as it would be sent; needs no server.

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration.";

/// Forwards Keycloak events to Socket.IO servers.
#[derive(Debug, Parser)]
#[command(name = "kete", version, long_about = LONG_ABOUT, after_help = EXAMPLES)]
#[command(arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Forwards events until it is told to stop, or until its input ends.
    #[command(long_about = RUN)]
    Run(Options),
    /// Reports every mistake in the configuration, and connects to nothing.
    #[command(long_about = CHECK)]
    Check(Options),
    /// Shows what would happen to events from standard input, and sends nothing.
    #[command(long_about = EXPLAIN)]
    Explain(ExplainOptions),
}

/// What all commands have in common.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// A properties file; can be given several times, and later files win.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// Sets one key, and wins over files and environment; can be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// How the answer is written: for people, or as JSON for programs.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Human)]
    pub(crate) format: Format,
}

/// What `explain` has beside them.
#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    #[command(flatten)]
    pub(crate) options: Options,
    /// The source that the events would come from, whose names of realms count.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Human,
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn options_can_be_repeated_and_keep_their_order() {
        let line = "kete run --config a --set k=1 --config b --set k=2";
        let parsed = CommandLine::try_parse_from(line.split(' ')).unwrap();
        let Command::Run(options) = parsed.command else {
            panic!("not run")
        };
        assert_eq!(options.config, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(options.set, ["k=1", "k=2"]);
        assert_eq!(options.format, Format::Human);
    }
}
