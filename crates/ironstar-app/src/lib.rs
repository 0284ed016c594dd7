//! ironstar's use cases: what happens between a request and the log, and
//! between the log and whoever watches it.
//!
//! This crate knows nothing of SQL, Zenoh, HTTP or HTML. It decides with the
//! domain, and reaches the outside world through the ports only.
//!
//! - [`CommandHandler`]: load, fold, decide, append, hint; for any aggregate.
//! - [`EventFeed`]: the log as a stream that catches up and then goes on live.
//! - [`mod@todo`]: the todo's use cases. A new aggregate is one more module beside
//!   it.

mod codec;
mod command;
mod feed;
mod finish;
mod snapshots;
pub mod todo;
mod warm;

pub use codec::{DecodeError, decode};
pub use command::{Accepted, CommandContext, CommandError, CommandHandler};
pub use feed::{EventFeed, FeedError, FeedOptions, StartError};
pub use todo::{TodoChange, TodoItem, TodoList, TodoService};
