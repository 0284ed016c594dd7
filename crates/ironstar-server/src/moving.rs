//! Moves a log to another database, through a file that anyone can read and check.

mod chain;
mod export;
mod import;

use ironstar_adapters::archive::{ArchivedEvent, Belonging};
use serde::{Deserialize, Serialize};

pub(crate) use export::{export, reopen};
pub(crate) use import::import;

/// The name of the format, and its version.
const FORMAT: &str = "ironstar-log";
const VERSION: u32 = 1;

/// The number of events that are read or stored at a time.
const PAGE: u32 = 4_096;

/// A line of the file, without its hash.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first line.
    Start { format: String, version: u32 },
    /// The events follow, in the order of their positions.
    Event(Box<ArchivedEvent>),
    /// Then, if the log was closed, all else that cannot be made again.
    Belonging(Belonging),
    /// The last line of a file that is complete.
    End { position: u64, is_closed: bool },
}
