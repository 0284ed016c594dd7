//! ironstar's use cases: what happens between a request and the log, and
//! between the log and whoever watches it.
//!
//! This crate knows nothing of SQL, Zenoh, HTTP or HTML. It decides with the
//! domain, and reaches the outside world through the ports only.
//!
//! - [`CommandHandler`]: load, fold, decide, append, hint; for any aggregate.
//! - [`mod@history`]: whether the log is still the one that a reader has seen.
//! - [`EventFeed`]: the log as a stream that catches up and then goes on live.
//! - [`mod@projection`]: read models, kept up to date and built anew.
//! - [`mod@process`]: what follows from events, at once or after a while.
//! - [`mod@access`]: who may do what, and for how long that holds.
//! - [`mod@todo`], [`mod@list`] and [`mod@user`]: the use cases of the aggregates. A
//!   new one is one more module beside them.
//! - [`mod@test_kit`] tests what projections and process managers make of events.

pub mod access;
mod codec;
mod command;
mod feed;
pub mod finish;
pub mod history;
pub mod list;
pub mod process;
pub mod projection;
mod snapshots;
pub mod test_kit;
pub mod todo;
mod turns;
pub mod user;
mod warm;

pub use access::Caller;
pub use codec::{DecodeError, decode};
pub use command::{
    Accepted, AcceptedOnAll, CommandContext, CommandError, CommandHandler, KeyedRequest, Seen,
};
pub use feed::{EventFeed, FeedError, FeedOptions, StartError};
pub use list::ListService;
pub use process::ProcessManager;
pub use projection::{Projection, Projections, ReadModel};
pub use todo::TodoService;
pub use user::UserService;

/// Every projection of the application, and every process manager, so that an operator can name it.
pub const PROJECTIONS: &[projection::Registered] = &[
    projection::Registered::of::<todo::TodoProjection>(),
    projection::Registered::of::<list::ListProjection>(),
    projection::Registered::of::<process::Process<list::ArchiveDoneLists>>(),
];
