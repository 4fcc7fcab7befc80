//! `kete`: takes Keycloak events in and forwards them to Socket.IO servers.
//!
//! This crate is the wiring: it turns settings into sources, routes and a pipeline, runs them and
//! says what happened. It knows no protocol; which sources and destinations there are, it learns
//! from the tables of their crates.

mod admin;
mod assemble;
mod check;
mod cli;
mod control;
mod dead_letters;
mod exit;
mod explain;
mod keycloak;
mod listener;
mod logging;
mod output;
mod place;
mod queue;
mod run;
mod settings;
mod when;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Command, CommandLine, KeycloakCommand};

fn main() -> ExitCode {
    let exit = match CommandLine::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Explain(options) => explain::explain(&options),
        Command::Queue(command) => queue::queue(&command),
        Command::DeadLetters(command) => dead_letters::dead_letters(&command),
        Command::Keycloak(KeycloakCommand::Prepare(options)) => keycloak::prepare(&options),
    };
    exit.into()
}
