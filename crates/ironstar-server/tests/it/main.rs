//! The real binary: real SQLite, real Zenoh, real HTTP.

mod chromium;
mod concurrency;
mod config;
mod damage;
mod kill;
mod limits;
mod path;
mod process;
mod processes;
mod projections;
mod refusal;
mod restored;
mod shutdown;
