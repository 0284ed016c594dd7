//! The programs of the workspace. They are built together, so that shared dependencies are
//! built once, with the same features for any program.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail};
use cargo_metadata::Message;

use crate::cargo;

/// The paths of the programs, by name.
#[derive(Debug)]
pub(crate) struct Programs(HashMap<String, PathBuf>);

impl Programs {
    /// Builds all programs with a profile.
    pub(crate) fn build(profile: &str) -> anyhow::Result<Self> {
        let output = cargo::command()
            .args(["build", "--locked", "--workspace", "--bins"])
            .args(["--profile", profile])
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("the workspace does not build");
        }
        let messages = Message::parse_stream(&output.stdout[..]);
        let programs = messages.filter_map(|message| {
            let Ok(Message::CompilerArtifact(artifact)) = message else {
                return None;
            };
            Some((artifact.target.name, artifact.executable?.into()))
        });
        Ok(Self(programs.collect()))
    }

    /// The path of a program.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<&Path> {
        let path = self.0.get(name).map(PathBuf::as_path);
        path.with_context(|| format!("cargo has reported no path for {name}"))
    }
}
