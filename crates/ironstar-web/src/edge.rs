//! The edge of the site: the checks that every request passes, and the refusals.
//!
//! This room knows nothing of sessions, HTML or features.
//!
//! - `client` tells clients apart by their network address.
//! - `limits` holds the operator's limits. `rate`, `streams`, `body`, `unread` and `turns` count
//!   a client's use of the server; most of them with `allowance`.
//! - `hosts` and `cross_site` refuse requests for other sites and from other sites.
//! - `context` holds the facts about the site that each request carries.
//! - [`base_address`] is the public address of the site.
//! - `headers` refuses repeated headers, and adds the headers of every answer.
//! - [`form`] reads forms, and `return_to` checks the addresses to which they may lead.
//! - [`problem`] is the single policy for errors.

pub(crate) mod allowance;
pub mod base_address;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod context;
pub mod cost;
pub(crate) mod cross_site;
pub mod form;
pub(crate) mod headers;
pub(crate) mod hosts;
pub(crate) mod limits;
pub mod problem;
pub(crate) mod rate;
pub(crate) mod return_to;
pub(crate) mod streams;
pub(crate) mod turns;
pub(crate) mod unread;
