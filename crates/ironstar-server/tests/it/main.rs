//! The real binary: real SQLite, real Zenoh, real HTTP.

mod chromium;
mod clock;
mod concurrency;
mod config;
mod contention;
mod damage;
mod kill;
mod limits;
mod path;
mod process;
mod processes;
mod projections;
mod refusal;
mod shutdown;
