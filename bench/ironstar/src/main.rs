//! Measures ironstar, and plain SQLite as the ceiling, one figure a run. The
//! figure is the last line of standard output, a plain number.

mod ceiling;
mod commands;
mod replay;
mod streams;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures one thing, in a folder of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to put databases; all measurements share a file system
    #[arg(long)]
    folder: PathBuf,

    /// For how long to measure
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,

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
    /// Commands a second on one stream of this length, one at a time
    Stream {
        #[arg(long)]
        length: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let path = folder.path().join("bench.db");
    let time = Duration::from_secs_f64(arguments.seconds);
    let runtime = tokio::runtime::Runtime::new()?;
    let figure = match arguments.what {
        What::Commands { clients } => runtime.block_on(commands::measure(&path, clients, time))?,
        What::Ceiling { batch } => ceiling::measure(&path, batch, time, &runtime)?,
        What::Replay { events } => runtime.block_on(replay::measure(&path, events))?,
        What::Scan { events } => replay::scan(&path, events, &runtime)?,
        What::Stream { length } => runtime.block_on(streams::measure(&path, length, time))?,
    };
    println!("{figure:.1}");
    Ok(())
}
