//! The real binary: real SQLite, real Zenoh, real HTTP.

mod attacks;
mod backup;
mod chromium;
mod clock;
mod concurrency;
mod config;
mod contention;
mod damage;
mod dump;
mod files;
mod kill;
mod limits;
mod output;
mod path;
mod previous_release;
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
