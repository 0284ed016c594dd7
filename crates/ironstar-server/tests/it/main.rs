//! The real server as a process: real SQLite, real Zenoh, real HTTP. Its application is that of
//! `examples/notes.rs`, except in `features`.

mod apart;
mod attacks;
mod backup;
mod bus;
mod clock;
mod concurrency;
mod config;
mod contention;
mod damage;
mod dump;
mod features;
mod files;
mod kill;
mod limits;
mod moving;
mod nodes;
mod output;
mod path;
mod postgres;
mod process;
mod processes;
mod programs;
mod projections;
mod refusal;
mod restored;
mod shutdown;
mod spelling;
#[cfg(target_os = "linux")]
mod storage;
mod upgrade;
