//! The developer tasks of ironstar: `cargo xtask --help`.

mod bench;
mod browser;
mod cargo;
mod e2e;
mod engine;
mod migrate;
mod mutants;
mod output;
mod postgres;
mod programs;
mod torture;
mod upgrade;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

/// The developer tasks of ironstar.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring the schema of a database up to date, or list its migrations
    Migrate(migrate::Arguments),
    /// Start a PostgreSQL server with an empty database, until Ctrl+C (needs PostgreSQL)
    Postgres(postgres::Arguments),
    /// Run the browser tests against the real server (needs Chromium and npm)
    E2e(e2e::Arguments),
    /// Measure ironstar beside its peers and the ceiling (release builds)
    Bench(bench::Arguments),
    /// Kill the server, cut the power, make disks fail, and check that nothing is lost
    Torture(torture::Arguments),
    /// Delete the todo application from a copy, and check that the engine works without it
    Engine(engine::Arguments),
    /// Change the code in small places, and check that a test fails each time
    Mutants(mutants::Arguments),
    /// Replace servers of an older version with servers of this one while they serve visitors
    Upgrade(upgrade::Arguments),
}

fn main() -> ExitCode {
    let outcome = match parse() {
        Ok(arguments) => run(&arguments.task).map(|()| ExitCode::SUCCESS),
        Err(error) => refuse(&error),
    };
    outcome.unwrap_or_else(|error| {
        if output::reader_has_gone(&error) {
            return ExitCode::SUCCESS;
        }
        output::complain(format_args!("xtask: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Parses the command line. A variable without a value counts as not set, as in the server.
fn parse() -> Result<Arguments, clap::Error> {
    let mut command = without_blank_variables(Arguments::command());
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    matches
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| without_password(error).format(&mut command))
}

/// Removes a refused database URL from an error, because it may contain a password.
fn without_password(mut error: clap::Error) -> clap::Error {
    let is_url = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(option)) if option.starts_with("--database-url")
    );
    if is_url {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}

fn without_blank_variables(command: Command) -> Command {
    let is_blank = |option: &Arg| {
        let value = option.get_env().and_then(std::env::var_os);
        value.is_some_and(|value| value.to_str().is_some_and(|value| value.trim().is_empty()))
    };
    command
        .mut_args(|option| {
            if is_blank(&option) {
                option.env(None::<&'static str>)
            } else {
                option
            }
        })
        .mut_subcommands(without_blank_variables)
}

/// Shows the requested help, or the reason why the command line is invalid.
fn refuse(error: &clap::Error) -> anyhow::Result<ExitCode> {
    output::show(error)?;
    Ok(u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Migrate(arguments) => migrate::run(arguments),
        Task::Postgres(arguments) => postgres::run(arguments),
        Task::E2e(arguments) => e2e::run(arguments),
        Task::Bench(arguments) => bench::run(arguments),
        Task::Torture(arguments) => torture::run(arguments),
        Task::Engine(arguments) => engine::run(arguments),
        Task::Mutants(arguments) => mutants::run(arguments),
        Task::Upgrade(arguments) => upgrade::run(arguments),
    }
}
