//! The real binary: real SQLite, real Zenoh, real HTTP.

mod attacks;
mod chromium;
mod concurrency;
mod config;
mod damage;
mod kill;
mod limits;
mod output;
mod path;
mod process;
mod processes;
mod projections;
mod refusal;
mod shutdown;
