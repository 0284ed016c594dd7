//! The use cases, on adapters in memory, and on ones that misbehave.

mod command;
mod feed;
mod snapshots;
mod support;
