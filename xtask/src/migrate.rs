//! `cargo xtask migrate`: the schema of a database, without a server.

use anyhow::Context;
use clap::{Args, Subcommand};
use ironstar_adapters::sqlite::{DatabaseFile, Migration, SqliteUrl, migrate, migration_status};

use crate::output::say;

/// The database, and the action on it.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The database: a SQLite file
    #[arg(
        long,
        env = "DATABASE_URL",
        default_value = "sqlite:ironstar.db",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    database_url: SqliteUrl,

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
    let file = DatabaseFile::find(url)?;
    let is_new = !file.exists();
    let runtime = tokio::runtime::Runtime::new().context("cannot start a runtime")?;
    let migrations = runtime.block_on(async {
        match arguments.action {
            None => migrate(url).await,
            Some(Action::Status) => migration_status(url).await,
        }
    })?;
    let note = match (is_new, arguments.action) {
        (false, _) => "",
        (true, None) => " (created)",
        (true, Some(Action::Status)) => " (there is no such file)",
    };
    say(format_args!("{}{note}", file.path().display()))?;
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
