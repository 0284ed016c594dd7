//! Todos: their pages, streams, forms, queries and commands.

mod commands;
mod forms;
mod history;
mod limits;
mod live;
mod notices;
mod page;
mod presence;
pub(super) mod queries;
mod refused_requests;
mod sessions;
mod start_page;
