//! ironstar's developer tasks: `cargo xtask --help`.

mod bench;
mod browser;
mod e2e;
mod migrate;
mod mutants;
mod programs;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// ironstar's developer tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring a database's schema up to date, or show how far it has got
    Migrate(migrate::Arguments),
    /// Run the browser tests against the real server (needs Chromium and npm)
    E2e(e2e::Arguments),
    /// Measure ironstar beside its peers and the ceiling (release builds)
    Bench(bench::Arguments),
    /// Kill, cut off and starve ironstar, and check that nothing is lost
    Torture(torture::Arguments),
    /// Change the code in small places, and check that a test fails each time
    Mutants(mutants::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Migrate(arguments) => migrate::run(&arguments),
        Task::E2e(arguments) => e2e::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Torture(arguments) => torture::run(&arguments),
        Task::Mutants(arguments) => mutants::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            explain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is what the developer sees")]
fn explain(error: &anyhow::Error) {
    eprintln!("xtask: {error:#}");
}
