//! The server of an application made with ironstar. This crate only puts the other crates
//! together: configuration, telemetry, wiring, and an orderly end. It also holds the operator's
//! commands on read models.
//!
//! An application implements [`Application`], and its `main` calls [`run`].

mod application;
mod config;
mod moving;
mod nodes;
mod output;
mod progress;
mod projections;
mod serve;
mod server;
mod shutdown;
mod telemetry;

use std::process::ExitCode;

use ironstar_web::SiteName;

pub use crate::application::Application;

use crate::config::{CommandLine, Task};

/// Carries out the command line: serves the application until a signal stops it, or does a task
/// of the operator. Errors go to standard error.
pub async fn run<A: Application>() -> ExitCode {
    let outcome = match CommandLine::<A>::parse_here() {
        Ok(line) => carry_out(&line).await.map(|()| ExitCode::SUCCESS),
        Err(refused) => refused.explain::<A>(),
    };
    outcome.unwrap_or_else(|error| {
        if output::reader_has_gone(&error) {
            return ExitCode::SUCCESS;
        }
        explain(A::SITE, &error);
        ExitCode::FAILURE
    })
}

async fn carry_out<A: Application>(line: &CommandLine<A>) -> anyhow::Result<()> {
    let CommandLine {
        task,
        config,
        application,
    } = line;
    telemetry::init(config.log_format)?;
    match task {
        None => server::run(config, application).await,
        Some(Task::Export { file, close }) => moving::export(config, file, *close).await,
        Some(Task::Import { file }) => moving::import(config, file).await,
        Some(Task::Reopen) => moving::reopen(config).await,
        Some(Task::Nodes) => nodes::run(config).await,
        Some(Task::Projections(task)) => projections::run(config, A::FEATURES, task).await,
    }
}

/// Reports in one line why the server ends: the error and its causes. A cause that the line
/// already ends with is not repeated.
fn explain(site: SiteName, error: &anyhow::Error) {
    let mut line = site.to_string();
    for cause in error.chain().map(ToString::to_string) {
        if !line.ends_with(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    output::complain(&line);
}
