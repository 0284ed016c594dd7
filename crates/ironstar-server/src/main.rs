//! The ironstar server. This crate only puts the other crates together: configuration,
//! telemetry, wiring, and an orderly end. It also holds the operator's commands on read
//! models.

mod config;
mod output;
mod projections;
mod serve;
mod server;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use crate::config::{Config, Task};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Config::from_command_line() {
        Ok(config) => run(&config).await.map(|()| ExitCode::SUCCESS),
        Err(refused) => refused.explain(),
    };
    outcome.unwrap_or_else(|error| {
        if output::reader_has_gone(&error) {
            return ExitCode::SUCCESS;
        }
        explain(&error);
        ExitCode::FAILURE
    })
}

async fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::init(config.log_format)?;
    match &config.task {
        None => server::run(config).await,
        Some(Task::Projections(task)) => projections::run(config, task).await,
    }
}

/// Reports in one line why the server ends: the error and its causes. A cause that the line
/// already ends with is not repeated.
fn explain(error: &anyhow::Error) {
    let mut line = String::from("ironstar");
    for cause in error.chain().map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    output::complain(&line);
}
