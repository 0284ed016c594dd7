//! The adapters, against the contracts of their ports and against what is
//! special about each.

mod clock;
mod contract;
mod github;
mod memory;
mod mutants;
mod sqlite;
mod zenoh;
