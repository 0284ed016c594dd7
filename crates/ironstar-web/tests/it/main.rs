//! The web layer, on adapters in memory: what goes in and what comes out.

mod app;
mod assets;
mod commands;
mod events;
mod forms;
mod limits;
mod lists;
mod overload;
mod page;
mod shutdown;
mod sse;
