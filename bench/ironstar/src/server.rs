//! Servers to measure, each in its own process, which ends when the handle is dropped.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts the application, on its own database.
    pub(crate) fn ironstar(program: &Path, database: &Path) -> anyhow::Result<Self> {
        Self::on(program, &format!("sqlite:{}", database.display()))
    }

    /// Starts the application on a database.
    pub(crate) fn on(program: &Path, database_url: &str) -> anyhow::Result<Self> {
        Self::start(
            Command::new(program)
                .args(["--listen", "127.0.0.1:0", "--database-url", database_url])
                .env_remove("RUST_LOG")
                // All requests of a benchmark come from one address, so the limits are off.
                .env("IRONSTAR_COMMAND_RATE", "0")
                .env("IRONSTAR_STREAMS_PER_VISITOR", "0"),
        )
    }

    /// Tells the server to stop, and waits for its end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the bare server (`bin/bare-server.rs`).
    pub(crate) fn bare() -> anyhow::Result<Self> {
        let program = env::current_exe()?.with_file_name("bare-server");
        Self::start(&mut Command::new(program))
    }

    /// The resident memory of the server
    /// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
    pub(crate) fn resident_kib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next())
            .context("the server has ended")?;
        Ok(kib.parse()?)
    }

    /// The processor time of the server, including the kernel
    /// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is the name of the program, in parentheses.
        let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
        let ticks: Vec<u64> = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let ticks: u64 = ticks.iter().sum();
        let a_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
    }

    /// Starts a program that prints its address in its first line.
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
        .with_context(|| format!("the server prints no address, but {line:?}"))
}

fn end(child: &mut Child) {
    // These fail only if the process has already ended.
    let _ = child.kill();
    let _ = child.wait();
}
