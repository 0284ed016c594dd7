//! The workspace's programs, built together: then they have what they are made of in
//! common, whichever is asked for, and it is built once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use cargo_metadata::Message;

/// Where the programs are, by their names.
#[derive(Debug)]
pub(crate) struct Programs(HashMap<String, PathBuf>);

impl Programs {
    /// Builds all of them, as a profile says.
    pub(crate) fn build(profile: &str) -> anyhow::Result<Self> {
        let output = Command::new(env!("CARGO"))
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

    /// Where a program is.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<&Path> {
        let path = self.0.get(name).map(PathBuf::as_path);
        path.with_context(|| format!("cargo did not say where {name} is"))
    }
}
