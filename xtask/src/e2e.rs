//! `cargo xtask e2e`: Playwright drives Chromium against the real server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use cargo_metadata::MetadataCommand;
use clap::Args;
use ironstar_cluster::Cluster;
use tokio::runtime::Runtime;

use crate::browser;
use crate::programs::Programs;

/// The options of the browser tests.
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Also take the screenshots in docs/screenshots again
    #[arg(long)]
    screenshots: bool,

    /// Arguments for `playwright test`, such as a file or `--headed`
    #[arg(last = true)]
    playwright: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let chromium = browser::find()?;
    let root = workspace_root()?;
    let programs = Programs::build("dev")?;
    let e2e = root.join("e2e");
    install(&e2e)?;
    let mut playwright = Command::new("npx");
    playwright
        .args(["--no-install", "playwright", "test"])
        .args(&arguments.playwright)
        .current_dir(&e2e)
        .env("CHROMIUM", chromium)
        .env("IRONSTAR_SERVER", programs.path("ironstar-server")?)
        .env("IRONSTAR_GITHUB", programs.path("ironstar-github")?)
        .env("IRONSTAR_LIBRARY", programs.path("library")?);
    // One test has several servers, which share a database.
    let cluster = Cluster::shared("cargo xtask e2e");
    if let Some(cluster) = cluster {
        let database = Runtime::new()?.block_on(cluster.database())?;
        playwright.env("IRONSTAR_POSTGRES", database);
    }
    if arguments.screenshots {
        playwright.env("IRONSTAR_SCREENSHOTS", root.join("docs/screenshots"));
    }
    succeed(&mut playwright)
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let metadata = MetadataCommand::new().no_deps().exec()?;
    Ok(metadata.workspace_root.into())
}

/// Installs the packages in the lock file, unless they are already installed.
fn install(e2e: &Path) -> anyhow::Result<()> {
    let modified = |path: &Path| {
        path.metadata()
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let installed = modified(&e2e.join("node_modules/.package-lock.json"));
    if installed.is_some() && installed >= modified(&e2e.join("package-lock.json")) {
        return Ok(());
    }
    succeed(
        Command::new("npm")
            .args(["ci", "--no-fund", "--no-audit"])
            .current_dir(e2e),
    )
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {program}; is it installed?"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}
