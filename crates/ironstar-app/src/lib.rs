//! ironstar's use cases: the path of a command from a request to the log, and the path of an
//! event from the log to its subscribers.
//!
//! This crate knows nothing of SQL, Zenoh, HTTP or HTML. It decides with the domain, and
//! reaches the outside world through the ports only.
//!
//! - [`CommandHandler`]: load, fold, decide, append, hint; for any aggregate.
//! - [`mod@history`]: a check that the log is still the one that a reader has read.
//! - [`EventFeed`]: the log as a stream that catches up and then continues live.
//! - [`Leases`]: what this node does alone, among the nodes that share a database.
//! - [`mod@projection`]: read models, kept up to date and rebuilt.
//! - [`mod@process`]: reactions to events, at once or after a delay.
//! - [`mod@access`]: the rights of each caller, and how long they last.
//! - [`mod@todo`], [`mod@list`] and [`mod@user`]: the use cases of the aggregates. A new
//!   aggregate is one more module beside them.
//! - [`mod@test_kit`]: tests for the results of projections and process managers.

pub mod access;
mod backoff;
pub mod caller;
mod codec;
mod command;
mod feature;
pub mod features;
mod feed;
pub mod finish;
mod hand_over;
pub mod history;
mod leases;
pub mod process;
pub mod projection;
mod snapshots;
pub mod test_kit;
mod turns;
pub mod user;
mod warm;

pub use caller::Caller;
pub use codec::{DecodeError, decode};
pub use command::{
    Accepted, AcceptedOnAll, CommandContext, CommandError, CommandHandler, Guard, KeyedRequest,
    Pass, Seen,
};
pub use feature::{Feature, Features, MakeHandOver};
pub use features::list::ListService;
pub use features::todo::TodoService;
pub use features::{list, todo};
pub use feed::{EventFeed, FeedOptions, StartError};
pub use hand_over::{Adoption, ByOwner, HandOver, HandOverGuests, HandOvers, hand_over_by};
pub use history::FeedError;
pub use leases::{Hold, Leases, Wanted};
pub use process::ProcessManager;
pub use projection::{Projection, Projections, ReadModel};
pub use user::UserService;
