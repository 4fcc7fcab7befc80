//! The command line: what can be asked for, and in which words.
//!
//! Everything a user can do without reading a manual is said here. What is wrong with the command
//! line itself ends the process with 2; `clap` prints it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kete_credentials::keycloak::DEFAULT_OAUTH_CLIENT;

use crate::dead_letters::{self, DeadLettersCommand};
use crate::when::{self, When};

const LONG_ABOUT: &str = "\
Takes user events and admin events from Keycloak and forwards each one to Socket.IO servers.

Sources say where events come from (kete.sources.<name>.kind). Routes say which of them go where
(kete.routes.<name>.…, the same keys as the KETE extension for Keycloak). Settings come from
properties files, then from the environment (KETE__ROUTES__A__DESTINATION__URL sets
kete.routes.a.destination.url), then from --set; the later one wins.";

const RUN: &str = "\
Forwards events until it is told to stop, or until its input ends.

SIGTERM or SIGINT stops it: sources take nothing more, and what was taken is delivered within
kete.shutdown.grace. With kete.data-dir only what is under way is waited for; the rest stays on
disk and goes out after the next start. A second signal ends it at once. When every source is
finite, as standard input is, the end of the input ends it too.

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

const PREPARE: &str = "\
Makes sure that Keycloak has what kete needs, and prints the lines to write into the configuration.

--oauth-client prepares the client that destinations with oauth.mode=internal get their tokens
with. If it is not there, it is created, with a secret that nobody can guess and with nothing
switched on but its service account. If it is there, its secret is taken over and nothing of it is
changed. Running this again is harmless.

Where Keycloak is stands in kete.keycloak.url and kete.keycloak.tls.*. Whoever logs in needs the
role manage-clients for the realm: an administrator (--admin-user), or without one the client of
kete.keycloak.registration.*. The password of the administrator is never part of the command line.

The lines go to standard output, with the secret, and can be appended to a properties file.";

const PREPARE_EXAMPLES: &str = "\
Examples:
  kete keycloak prepare --oauth-client --realm shop --url https://keycloak.example.com \\
      --admin-user admin --admin-password-file /run/secrets/admin >> kete.properties
      Prepares the client kete-oauth-client, and appends what a route needs to use it.
  kete keycloak prepare --oauth-client kete-tokens --realm shop --config kete.properties \\
      --admin-user admin --admin-password-file - --secret-file secrets/kete-tokens
      Reads the password from standard input, and writes the secret into a file of its own.

Exit codes: 0 prepared, 1 failed, 2 wrong usage or configuration.";

const QUEUE: &str = "\
Looks after the queue on disk (kete.data-dir), whether kete runs or not.

A kete that runs is asked over its control socket. If none runs, the data directory is opened
itself, and none can start meanwhile. The configuration says where both are; --data-dir says it
without one.";

const STATUS: &str = "\
Says for each route how many events wait for it and since when, and how full the queue is.

A route that was taken out of the configuration, or switched off, keeps its place until it is
forgotten: when it comes back, it goes on there. At a bound of the queue it loses its oldest events
rather than hold up the others.";

const FORGET: &str = "\
Drops the place of a route that is not coming back, and what only waits for it.

The count of what goes is said first, and nothing goes without --yes, unless nothing waits. The
place of a route that is configured and switched on cannot be forgotten.";

const REPLAY: &str = "\
Sends a route again what was taken within a span of time.

For an application that has lost what it had been told. The route gets, in their order, the events
of the span that are still stored and that its matchers want; other routes get nothing. What was
delivered is stored as long as kete.queue.retain says. The span is that of the times at which kete
took the events; both ends belong to it.

If kete does not run, the events wait in the queue until it does.";

const QUEUE_EXAMPLES: &str = "\
Examples:
  kete queue status --config kete.properties
      Shows each route, what waits for it and since when.
  kete queue forget old-dashboard --config kete.properties --yes
      Gives up the events that wait for a route that was removed.
  kete queue replay --route shop --from 2h --to 1h --config kete.properties
      Sends the route shop again what was taken between two hours and one hour ago.

Exit codes: 0 done, 1 failed or refused, 2 wrong usage or configuration.";

const EXAMPLES: &str = "\
Examples:
  kete check --config kete.properties
      Reports every mistake in the configuration at once.
  kete explain --config kete.properties < events.ndjson
      Shows for each event which routes take it, why, and under which event name.
  kete run --config kete.properties
      Forwards events until it is told to stop.
  kete queue status --config kete.properties
      Shows what waits in the queue on disk, route by route.
  kete dead-letters list --config kete.properties
      Shows the events that could not be delivered; they can be sent again.
  kete keycloak prepare --oauth-client --realm shop --config kete.properties --admin-user admin
      Creates the client that tokens are fetched with, and prints what to configure.
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
    /// Looks after the queue on disk: what waits, what can go, what is sent again.
    #[command(subcommand, long_about = QUEUE, after_help = QUEUE_EXAMPLES)]
    Queue(QueueCommand),
    /// Looks after events that could not be delivered.
    #[command(subcommand, long_about = dead_letters::ABOUT, after_help = dead_letters::EXAMPLES)]
    DeadLetters(DeadLettersCommand),
    /// Prepares Keycloak for kete.
    #[command(subcommand)]
    Keycloak(KeycloakCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Says for each route how many events wait for it and since when.
    #[command(long_about = STATUS)]
    Status(DataOptions),
    /// Drops the place of a route that is not coming back, and what only waits for it.
    #[command(long_about = FORGET)]
    Forget(ForgetOptions),
    /// Sends a route again what was taken within a span of time.
    #[command(long_about = REPLAY)]
    Replay(ReplayOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeycloakCommand {
    /// Makes sure that Keycloak has what kete needs, and prints the lines to configure.
    #[command(long_about = PREPARE, after_help = PREPARE_EXAMPLES)]
    Prepare(PrepareOptions),
}

/// What all commands have in common.
#[derive(Debug, Clone, Args)]
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

/// What all commands about stored events have in common.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataOptions {
    #[command(flatten)]
    pub(crate) options: Options,
    /// The data directory; without it, kete.data-dir of the configuration.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// What `queue forget` has beside them.
#[derive(Debug, Args)]
pub(crate) struct ForgetOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    /// The route, as it was called.
    #[arg(value_name = "ROUTE", value_parser = route_name)]
    pub(crate) route: String,
    /// Lets the events go that wait for it.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What `queue replay` has beside them.
#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    #[command(flatten)]
    pub(crate) data: DataOptions,
    /// The route that gets them.
    #[arg(long, value_name = "ROUTE", value_parser = route_name)]
    pub(crate) route: String,
    /// The earliest time: 2026-01-31T08:00:00Z, milliseconds since 1970, or a while ago such as 1h.
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    pub(crate) from: When,
    /// The latest time.
    #[arg(long, value_name = "TIME", default_value = "now", value_parser = when::parse)]
    pub(crate) to: When,
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

/// What `keycloak prepare` has beside them.
#[derive(Debug, Args)]
pub(crate) struct PrepareOptions {
    #[command(flatten)]
    pub(crate) options: Options,
    /// Prepares the client of this id for getting tokens [without ID: kete-oauth-client].
    #[arg(long, value_name = "ID", num_args = 0..=1, required = true)]
    #[arg(default_missing_value = DEFAULT_OAUTH_CLIENT, value_parser = name)]
    pub(crate) oauth_client: String,
    /// The realm of the client.
    #[arg(long, value_name = "REALM", value_parser = name)]
    pub(crate) realm: String,
    /// Where Keycloak is; the same as --set kete.keycloak.url=URL.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// An administrator who logs in with a password.
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) admin_user: Option<String>,
    /// The realm of the administrator.
    #[arg(
        long,
        value_name = "REALM",
        default_value = "master",
        requires = "admin_user"
    )]
    pub(crate) admin_realm: String,
    /// The file with the password, - for standard input.
    ///
    /// Without it, the environment variable KETE_ADMIN_PASSWORD has the password.
    #[arg(long, value_name = "FILE", requires = "admin_user")]
    pub(crate) admin_password_file: Option<PathBuf>,
    /// Writes the secret into this file, and prints the name of the file instead.
    ///
    /// Only the owner of the file can read it. A file with something else in it is left alone.
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A route to print the lines for; can be given several times.
    ///
    /// Without it, those of the configuration that use this client, else a new one.
    #[arg(long, value_name = "NAME", value_parser = route_name)]
    pub(crate) route: Vec<String>,
}

/// A name as the values of keys have it: not blank, and without white space around it.
fn name(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("it is blank"),
        name => Ok(name.to_owned()),
    }
}

/// A name as it can stand in `kete.routes.<name>`.
fn route_name(text: &str) -> Result<String, &'static str> {
    match name(text)? {
        name if name.contains('.') => Err("the name of a route has no dots"),
        name => Ok(name),
    }
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

    #[test]
    fn a_replay_takes_a_route_and_both_ends_of_a_span() {
        let replay = |rest: &str| {
            let line = format!("kete queue replay {rest}");
            CommandLine::try_parse_from(line.split_whitespace()).map(|parsed| {
                match parsed.command {
                    Command::Queue(QueueCommand::Replay(options)) => options,
                    other => panic!("{other:?}"),
                }
            })
        };
        let options = replay("--route shop --from 1795223730447 --to now").unwrap();
        assert_eq!(options.from, When::At(1_795_223_730_447));
        assert_eq!(options.to.millis(7), 7);
        let options = replay("--route shop --from 1h").unwrap();
        assert_eq!(options.to.millis(7), 7);
        assert!(replay("--route shop --to 1h").is_err());
        assert!(replay("--from 2h --to 1h").is_err());
        assert!(replay("--route a.b --from 2h --to 1h").is_err());
        assert!(replay("--route shop --from yesterday --to now").is_err());
    }

    #[test]
    fn the_client_to_prepare_has_a_default_name_and_must_be_asked_for() {
        let prepare = |rest: &str| {
            let line = format!("kete keycloak prepare --realm shop {rest}");
            CommandLine::try_parse_from(line.split_whitespace()).map(|parsed| {
                match parsed.command {
                    Command::Keycloak(KeycloakCommand::Prepare(options)) => options,
                    other => panic!("{other:?}"),
                }
            })
        };
        assert!(prepare("").is_err());
        assert_eq!(
            prepare("--oauth-client").unwrap().oauth_client,
            "kete-oauth-client"
        );
        let named = prepare("--oauth-client x --route a --route b").unwrap();
        assert_eq!(
            (named.oauth_client.as_str(), named.admin_realm.as_str()),
            ("x", "master")
        );
        assert_eq!(named.route, ["a", "b"]);
        assert!(prepare("--oauth-client --route a.b").is_err());
        assert!(prepare("--oauth-client= --route a").is_err());
        assert!(prepare("--oauth-client --admin-realm x").is_err());
        assert!(prepare("--oauth-client --admin-password-file x").is_err());
    }
}
