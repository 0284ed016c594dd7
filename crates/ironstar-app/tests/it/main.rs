//! The use cases, on adapters in memory and on faulty adapters.

mod access;
mod audiences;
mod builds;
mod command;
mod contention;
mod damaged;
mod documents;
mod features;
mod feed;
mod hints;
mod history;
mod keys;
mod many;
mod nodes;
mod owned;
mod processes;
mod projections;
mod refusals;
mod restored;
mod snapshots;
mod stuck;
mod support;
mod users;
mod versions;
