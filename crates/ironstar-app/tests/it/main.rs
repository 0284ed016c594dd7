//! The use cases, on adapters in memory and on faulty adapters.

mod access;
mod builds;
mod command;
mod contention;
mod damaged;
mod documents;
mod feed;
mod first_aggregate;
mod guards;
mod history;
mod keys;
mod lists;
mod many;
mod owned;
mod processes;
mod projections;
mod refusals;
mod restored;
mod snapshots;
mod stuck;
mod support;
mod users;
