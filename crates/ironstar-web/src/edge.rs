//! The edge of the site: what every request passes, and how it is refused.
//!
//! This room knows nothing of sessions, HTML or features.
//!
//! - [`client`] tells clients apart by their network address.
//! - [`limits`] holds the operator's decisions. [`rate`], [`streams`], [`body`],
//!   [`unread`] and [`turns`] count what a client takes, by [`allowance`].
//! - [`hosts`] and [`cross_site`] refuse requests for other sites and from other sites.
//! - [`context`] is what requests carry of the site.
//! - [`base_address`] is where the site is.
//! - [`headers`] refuses repeated headers, and adds those of every answer.
//! - [`form`] reads forms, and [`return_to`] says where they may lead.
//! - [`problem`] is the one policy for errors.

pub(crate) mod allowance;
pub(crate) mod base_address;
pub(crate) mod body;
pub(crate) mod client;
pub(crate) mod context;
pub(crate) mod cross_site;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod hosts;
pub(crate) mod limits;
pub(crate) mod problem;
pub(crate) mod rate;
pub(crate) mod return_to;
pub(crate) mod streams;
pub(crate) mod turns;
pub(crate) mod unread;
