//! `cargo xtask migrate`: the schema of a database, without a server.

use anyhow::Context;
use clap::{Args, Subcommand};
use ironstar_adapters::database::DatabaseUrl;
use ironstar_adapters::migration::Migration;

use crate::output::say;

/// The database, and the action on it.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The database: a SQLite file, or a PostgreSQL database such as postgres://user@host/database
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:ironstar.db",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    database_url: DatabaseUrl,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// List applied and pending migrations. Changes nothing and creates no file
    Status,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let url = &arguments.database_url;
    let (name, is_new) = (url.name()?, !url.may_exist()?);
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    let migrations = runtime.block_on(async {
        match arguments.action {
            None => url.migrate().await,
            Some(Action::Status) => url.migration_status().await,
        }
    })?;
    let note = match (is_new, arguments.action) {
        (false, _) => "",
        (true, None) => " (created)",
        (true, Some(Action::Status)) => " (there is no such file)",
    };
    say(format_args!("{name}{note}"))?;
    for migration in &migrations {
        say(line(migration))?;
    }
    Ok(())
}

fn line(migration: &Migration) -> String {
    let state = if migration.applied {
        "applied"
    } else {
        "pending"
    };
    format!(
        "  {:04} {:<32} {state}",
        migration.version, migration.description
    )
}
