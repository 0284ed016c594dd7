//! The web layer, on adapters in memory: what goes in and what comes out.

mod accounts;
mod app;
mod assets;
mod away;
mod bundle;
mod callbacks;
mod catch_up;
mod commands;
mod events;
mod forms;
mod handed_over;
mod held;
mod history;
mod isolation;
mod keys;
mod limits;
mod lists;
mod manners;
mod overload;
mod owners;
mod page;
mod revoked;
mod sessions;
mod shutdown;
mod sse;
mod unreadable;
