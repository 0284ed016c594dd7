//! ironstar's web layer. It parses each HTTP request into a domain value or refuses it, and
//! turns changes in the log into bytes for browsers.
//!
//! This crate knows nothing of SQL or Zenoh, and decides nothing: commands go to the
//! application layer, and pages show the application's read models.
//!
//! - [`router`] joins all routes. Only the root sees every module.
//! - `features` holds the pages, forms, commands and live views of the features. A new feature
//!   is one more module there, and one `Feature`. `events` is the raw event
//!   stream for programs, and `command` parses commands of any aggregate.
//! - `page` holds the parts of every page.
//! - `stream` draws each change once and shares the bytes with every subscriber.
//!   `stream::guard` ends a stream when its subscriber may no longer have it. `bundle` carries
//!   the streams of several pages over one connection.
//! - `edge` guards the site: [`Limits`] holds the operator's limits on a client, and
//!   `edge::problem` is the single policy for errors.
//! - `session` recognises returning visitors, and `session::drawn_for` reloads pages that were
//!   drawn for another visitor. `account` signs visitors in and out, and `account::news` sends
//!   news about one visitor to that visitor's pages only.

mod services;
mod site;

mod stream;

mod edge;

mod session;

mod page;

mod account;

mod command;
mod feature;

mod bundle;
mod events;
mod features;

mod router;

pub use crate::edge::allowance::{Allowance, Refused, Taken};
pub use crate::edge::client::Client;
pub use crate::edge::limits::{AllowedHosts, HostRule, HostRuleError, Limits};
pub use crate::edge::unread::Unread;
pub use crate::router::{router, too_many_connections};
pub use crate::services::Services;
pub use crate::site::{Home, Site, SiteAddress, SiteAddressError};
