//! `cargo xtask postgres`: a PostgreSQL server to try things with.

use anyhow::Context;
use clap::Args;
use ironstar_cluster::Cluster;
use tokio::runtime::Runtime;

use crate::output::{complain, say};

const DATABASE: &str = "ironstar";

/// The task has no options.
#[derive(Args, Debug)]
pub(crate) struct Arguments {}

/// Runs the task, until it is interrupted.
pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    Runtime::new()?.block_on(async {
        let create = format!("CREATE DATABASE {DATABASE}");
        cluster.execute("postgres", &create).await?;
        say(format_args!(
            "export DATABASE_URL={}",
            cluster.url(DATABASE)
        ))?;
        complain("PostgreSQL runs until you press Ctrl+C. Then its data is deleted.");
        let interrupted = tokio::signal::ctrl_c().await;
        interrupted.context("cannot wait for Ctrl+C")
    })
}
