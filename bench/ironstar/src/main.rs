//! Measures ironstar, and for comparison plain SQLite and a bare web server, one measurement
//! in each run. Standard output has one figure in each line: its name and a plain number.

mod ceiling;
mod client;
mod commands;
mod fanout;
mod frames;
mod growth;
mod http;
mod lag;
mod nodes;
mod pace;
mod postgres;
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

/// Measured figures with their names.
type Figures = Vec<(&'static str, f64)>;

/// Measures one thing, in its own folder.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder for databases; all measurements share a file system
    #[arg(long)]
    folder: PathBuf,

    /// Duration of the measurement
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
    /// Durable commands per second, from this many concurrent clients
    Commands {
        #[arg(long)]
        clients: usize,
    },
    /// Durable commands per second on PostgreSQL, from this many concurrent clients of some nodes
    Postgres {
        #[arg(long, default_value_t = 1)]
        nodes: usize,
        #[arg(long)]
        clients: usize,
    },
    /// Time from a command's answer until its event is at another node, at half the maximum rate
    NodesEvent,
    /// Time until the leases of a killed server are taken over, and how evenly they were spread
    NodesTakeOver,
    /// Rows per second of a plain loop on PostgreSQL, with this many in a statement: with the
    /// lock and the checks of an append, or without
    PostgresCeiling {
        #[arg(long)]
        batch: usize,
        #[arg(long)]
        plain: bool,
    },
    /// Rows per second that plain SQLite inserts, with this many in a transaction
    Ceiling {
        #[arg(long)]
        batch: usize,
    },
    /// Events per second from the store to folded states
    Replay {
        #[arg(long)]
        events: u64,
    },
    /// Rows per second that plain SQLite reads, with the same decoding
    Scan {
        #[arg(long)]
        events: u64,
    },
    /// Events per second of a rebuild, without other load
    Rebuild {
        #[arg(long)]
        events: u64,
    },
    /// Commands per second while read models are kept up to date, on a log with this many
    /// events; with or without rebuilds one after the other
    Busy {
        #[arg(long)]
        events: u64,
        #[arg(long)]
        rebuilds: bool,
    },
    /// Time from a command's answer to the read model that shows it, at half the maximum rate
    Lag,
    /// Commands per second on one stream of this length, one at a time
    Stream {
        #[arg(long)]
        length: u64,
    },
    /// Time of a process's first command, on a stream of this length
    Cold {
        #[arg(long)]
        length: u64,
    },
    /// Appends per second to a log of this length, which is kept for the next run
    Append {
        #[arg(long)]
        events: u64,
    },
    /// Commands per second over HTTP, and their times
    Http {
        #[arg(long)]
        connections: usize,
    },
    /// Time from a command to its frame at another client, one at a time
    Frames,
    /// Frames of this many clients of one page, their times and costs; and the same with a
    /// bare server
    Fanout {
        #[arg(long)]
        clients: usize,
    },
    /// Cost of a change, by the number of clients and of views
    Views {
        #[arg(long)]
        clients: usize,
    },
    /// Cost of this many clients that do not read, and the time until they catch up; and the
    /// same with a bare server
    Slow {
        #[arg(long)]
        clients: usize,
        #[arg(long)]
        commands: usize,
    },
    /// Memory of the server under full load, in the first minute and at the end
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
        What::Postgres { nodes, clients } => {
            rate(runtime.block_on(postgres::measure(nodes, clients, time))?)
        }
        What::NodesEvent => runtime.block_on(nodes::event(time))?,
        What::NodesTakeOver => runtime.block_on(nodes::take_over(arguments.program()?))?,
        What::PostgresCeiling { batch, plain } => {
            // One thread, so that no thread has to wake another.
            let runtime = Builder::new_current_thread().enable_all().build()?;
            rate(runtime.block_on(postgres::ceiling(batch, plain, time))?)
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
    /// Returns the server to measure.
    fn program(&self) -> anyhow::Result<&Path> {
        self.server
            .as_deref()
            .context("name the server to measure with --server")
    }
}

fn rate(rate: f64) -> Figures {
    vec![("rate", rate)]
}

/// Measures a server in its own process. One client thread is enough to keep the server busy,
/// and leaves it the rest of the machine.
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
