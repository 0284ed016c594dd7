//! ironstar's web layer: what comes in over HTTP becomes a domain value or a
//! clear refusal, and what happens in the log becomes bytes for browsers.
//!
//! This crate knows nothing of SQL or Zenoh. It decides nothing: commands go to
//! the application layer, and pages show what its read models say.
//!
//! - [`router`] puts everything together.
//! - `todo` and `list` are the pages, forms, commands and live views of the
//!   aggregates. A new one is one more module beside them, and one line in
//!   [`router`].
//! - `layout` and `kit` are what every page is made of.
//! - `live` draws each change once and shares the bytes with every browser;
//!   `presence` says how many people are there, and `sse` is how they hear of it;
//!   `bundle` carries the streams of several pages over one connection.
//! - `problem` is the one policy for errors.
//! - `session` knows who comes back, `account` signs them in and out, and `private`
//!   tells their pages what concerns nobody else. `guard` keeps streams to those who
//!   may have them, and `drawn` has pages load themselves anew that were away when who
//!   looks at them changed.
//! - [`Limits`] says what a client may take: `client` tells them apart, `rate`,
//!   `streams`, `bodies` and `unread` count, `hosts` knows the server's names, and
//!   `cross_site` refuses what other sites send.

mod services;
mod site;

mod stream;

mod edge;

mod session;

mod page;

mod account;

mod bundle;
mod command;
mod events;
mod list;
mod presence;
mod todo;

mod router;

pub use crate::edge::allowance::{Allowance, Refused, Taken};
pub use crate::edge::client::Client;
pub use crate::edge::limits::{AllowedHosts, HostRule, HostRuleError, Limits};
pub use crate::edge::unread::Unread;
pub use crate::router::{router, too_many_connections};
pub use crate::services::Services;
pub use crate::site::{Home, Site, SiteAddress, SiteAddressError};
