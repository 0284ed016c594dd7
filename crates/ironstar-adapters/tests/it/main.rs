//! Tests of the adapters: the contracts of their ports, and the special properties of each.

mod clock;
mod contract;
mod github;
mod memory;
mod mutants;
mod postgres;
mod sqlite;
mod zenoh;
