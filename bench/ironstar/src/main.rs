//! Measures ironstar, and plain SQLite and a bare web server beside it, one
//! thing a run. What was measured is standard output: a figure a line, its name
//! and a plain number.

mod ceiling;
mod client;
mod commands;
mod fanout;
mod frames;
mod growth;
mod http;
mod lag;
mod read_models;
mod rebuild;
mod replay;
mod server;
mod soak;
mod streams;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::server::Server;

/// What was measured: names and figures.
type Figures = Vec<(&'static str, f64)>;

/// Measures one thing, in a folder of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to put databases; all measurements share a file system
    #[arg(long)]
    folder: PathBuf,

    /// For how long to measure
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

    /// The server to measure, instead of a bare one
    #[arg(long, value_name = "PROGRAM")]
    server: Option<PathBuf>,

    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Durable commands a second, by this many clients at once
    Commands {
        #[arg(long)]
        clients: usize,
    },
    /// Rows a second that plain SQLite inserts, this many in a transaction
    Ceiling {
        #[arg(long)]
        batch: usize,
    },
    /// Events a second from the store to folded states
    Replay {
        #[arg(long)]
        events: u64,
    },
    /// Rows a second that plain SQLite reads, with the same decoding
    Scan {
        #[arg(long)]
        events: u64,
    },
    /// Events a second of a rebuild, while nothing else happens
    Rebuild {
        #[arg(long)]
        events: u64,
    },
    /// Commands a second while read models are kept up to date, on a log that
    /// holds so many events already; and while rebuilds run one after the other
    Busy {
        #[arg(long)]
        events: u64,
        #[arg(long)]
        rebuilds: bool,
    },
    /// From a command's answer to the read model that shows it, at half the
    /// maximum rate
    Lag,
    /// Commands a second on one stream of this length, one at a time
    Stream {
        #[arg(long)]
        length: u64,
    },
    /// The first command of a process, on a stream of this length
    Cold {
        #[arg(long)]
        length: u64,
    },
    /// Appends a second to a log of this length, which is kept for the next run
    Append {
        #[arg(long)]
        events: u64,
    },
    /// Commands a second over HTTP, and how long they take
    Http {
        #[arg(long)]
        connections: usize,
    },
    /// From a command to its frame at another client, one at a time
    Frames,
    /// What this many clients get of one page, how soon, and what they cost;
    /// and the same with a bare server
    Fanout {
        #[arg(long)]
        clients: usize,
    },
    /// What a change costs, by how many watch how many views
    Views {
        #[arg(long)]
        clients: usize,
    },
    /// What this many clients cost that do not read, and whether they catch up;
    /// and the same with a bare server
    Slow {
        #[arg(long)]
        clients: usize,
        #[arg(long)]
        commands: usize,
    },
    /// The server's memory under full load, in the first minute and at the end
    Soak,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let path = folder.path().join("bench.db");
    let time = Duration::from_secs_f64(arguments.seconds);
    let runtime = Runtime::new()?;
    let figures = match arguments.what {
        What::Commands { clients } => {
            rate(runtime.block_on(commands::measure(&path, clients, time))?)
        }
        What::Ceiling { batch } => rate(ceiling::measure(&path, batch, time, &runtime)?),
        What::Replay { events } => rate(runtime.block_on(replay::measure(&path, events))?),
        What::Scan { events } => rate(replay::scan(&path, events, &runtime)?),
        What::Rebuild { events } => rate(runtime.block_on(rebuild::measure(&path, events))?),
        What::Busy { events, rebuilds } => {
            runtime.block_on(rebuild::measure_busy(&path, events, rebuilds, time))?
        }
        What::Lag => runtime.block_on(lag::measure(&path, time))?,
        What::Stream { length } => rate(runtime.block_on(streams::measure(&path, length, time))?),
        What::Cold { length } => runtime.block_on(streams::measure_cold(&path, length))?,
        What::Append { events } => {
            let log = growth::Log::new(&arguments.folder, &path, events);
            rate(runtime.block_on(log.measure(time))?)
        }
        What::Http { connections } => over_http(&arguments, &path, async |server| {
            http::measure(server.address, connections, time).await
        })?,
        What::Frames => over_http(&arguments, &path, async |server| {
            frames::measure(server.address, time).await
        })?,
        What::Fanout { clients } => fanout::measure(arguments.program()?, &path, clients, time)?,
        What::Views { clients } => {
            fanout::measure_views(arguments.program()?, &path, clients, time)?
        }
        What::Slow { clients, commands } => {
            fanout::measure_slow(arguments.program()?, &path, clients, commands)?
        }
        What::Soak => over_http(&arguments, &path, async |server| {
            soak::measure(server, &path, time).await
        })?,
    };
    for (name, figure) in figures {
        println!("{name} {figure:.4}");
    }
    Ok(())
}

impl Arguments {
    /// The server that is measured.
    fn program(&self) -> anyhow::Result<&Path> {
        self.server.as_deref().context("it takes a --server")
    }
}

fn rate(rate: f64) -> Figures {
    vec![("rate", rate)]
}

/// Measures a server in a process of its own. One thread is enough to keep it
/// busy, and leaves it the rest of the machine.
fn over_http(
    arguments: &Arguments,
    path: &Path,
    measure: impl AsyncFnOnce(&Server) -> anyhow::Result<Figures>,
) -> anyhow::Result<Figures> {
    let server = match &arguments.server {
        Some(program) => Server::ironstar(program, path)?,
        None => Server::bare()?,
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&server))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
