//! Servers to measure, each in a process of its own that ends with its handle.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// The application, on a database of its own.
    pub(crate) fn ironstar(program: &Path, database: &Path) -> anyhow::Result<Self> {
        Self::start(
            Command::new(program)
                .args(["--listen", "127.0.0.1:0", "--database-url"])
                .arg(format!("sqlite:{}", database.display()))
                .envs([("IRONSTAR_COMMAND_RATE", "0"), ("IRONSTAR_STREAMS_PER_VISITOR", "0")])
                .env_remove("RUST_LOG"),
        )
    }

    /// The one that only answers (`bin/bare-server.rs`).
    pub(crate) fn bare() -> anyhow::Result<Self> {
        let program = env::current_exe()?.with_file_name("bare-server");
        Self::start(&mut Command::new(program))
    }

    /// The process that serves.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Starts a program that says on its first line where it can be reached.
    fn start(command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        match read_address(&mut child) {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn read_address(child: &mut Child) -> anyhow::Result<SocketAddr> {
    let output = child.stdout.take().context("no standard output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    line.split_once("http://")
        .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("the server does not say where it is, but {line:?}"))
}

fn end(child: &mut Child) {
    // Neither fails but for a process that has ended already.
    let _ = child.kill();
    let _ = child.wait();
}
