//! ironstar's web layer. It parses each HTTP request into a domain value or refuses it, and
//! turns changes in the log into bytes for browsers.
//!
//! This crate knows nothing of SQL or Zenoh, and decides nothing: commands go to the
//! application layer, and pages show the application's read models.
//!
//! A site is made of features. [`router`] joins the routes of each [`Feature`] with those that
//! every site has, and guards them all. [`features`] holds those of the todo application; a
//! feature of another application uses the same public parts:
//!
//! - [`page`] holds the parts of every page.
//! - [`stream`] draws each change once and shares the bytes with every subscriber.
//!   [`stream::guard`] ends a stream when its subscriber may no longer have it.
//! - [`command`] parses commands of any aggregate from programs.
//! - [`session`] recognises returning visitors, and [`session::drawn_for`] reloads pages that
//!   were drawn for another visitor. `account` signs visitors in and out, and
//!   [`account::news`] sends news about one visitor to that visitor's pages only.
//! - [`edge`] guards the site: [`Limits`] holds the operator's limits on a client, and
//!   [`edge::problem`] is the single policy for errors.
//!
//! `events` is the raw event stream for programs, and `bundle` carries the streams of several
//! pages over one connection.

mod services;
mod site;

pub mod stream;

pub mod edge;

pub mod session;

pub mod page;

pub mod account;

pub mod command;
mod feature;

mod bundle;
mod events;
pub mod features;

mod router;

pub use crate::edge::allowance::{Allowance, Refused, Taken};
pub use crate::edge::client::Client;
pub use crate::edge::limits::{AllowedHosts, HostRule, HostRuleError, Limits};
pub use crate::edge::unread::Unread;
pub use crate::feature::{Feature, Navigation};
pub use crate::router::{router, too_many_connections};
pub use crate::services::{OtherHistory, Services};
pub use crate::site::{Site, SiteAddress, SiteAddressError, SiteName};
