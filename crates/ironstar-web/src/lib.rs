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
//!   `presence` says how many people are there, and `sse` is how they hear of it.
//! - `problem` is the one policy for errors.
//! - [`Limits`] says what a client may take: `visitor` tells them apart, `rate`
//!   and `streams` count, `hosts` knows the server's names.

mod assets;
mod command;
mod events;
mod headers;
mod hosts;
mod icon;
mod kit;
mod latest;
mod layout;
mod limits;
mod list;
mod live;
mod notice;
mod origin;
mod pack;
mod presence;
mod problem;
mod rate;
mod sse;
mod streams;
#[cfg(debug_assertions)]
mod styleguide;
mod todo;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use governor::clock::MonotonicClock;
use ironstar_app::{CommandHandler, EventFeed, Projections};
use ironstar_ports::EventStore;
use tokio_util::sync::CancellationToken;
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_http::timeout::RequestBodyDeadlineLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tracing::Level;

pub use crate::limits::{AllowedHosts, HostRule, HostRuleError, Limits};

use crate::pack::Packer;
use crate::problem::Problem;
use crate::rate::CommandRate;
use crate::streams::Streams;

/// The most bytes that a request's body may have.
const BODY_LIMIT: usize = 64 * 1024;

/// How long a request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// What the web layer works on.
#[derive(Clone, Debug)]
pub struct Services {
    /// Decides commands on any aggregate.
    pub commands: CommandHandler,
    /// The log, as a stream.
    pub feed: EventFeed,
    /// The log.
    pub store: Arc<dyn EventStore>,
    /// What pages show of the log.
    pub projections: Projections,
    /// Ends every open stream, so that clients reconnect elsewhere.
    pub shutdown: CancellationToken,
}

/// Every route of the application, guarded by limits.
///
/// A request over a network carries the address of its peer, as the extension
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
pub fn router(services: Services, limits: Limits) -> Router {
    let streams = Arc::new(Streams::new(limits.streams_per_visitor));
    let rate = Arc::new(CommandRate::new(limits.command_rate, MonotonicClock));
    let hosts = Arc::new(limits.allowed_hosts);
    let router = Router::new();
    #[cfg(debug_assertions)]
    let router = router.merge(styleguide::routes());
    let router = router
        .merge(todo::routes(&services))
        .merge(list::routes(&services))
        .merge(events::routes(services))
        .merge(assets::routes());
    let router = if limits.compress_streams {
        let packer = Arc::new(Packer::new());
        router.layer(middleware::from_fn_with_state(packer, pack::streams))
    } else {
        router
    };
    router
        .fallback(async || Problem::no_such_page())
        .method_not_allowed_fallback(async || Problem::no_such_method())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
        .layer(middleware::from_fn_with_state(streams, streams::count))
        .layer(middleware::from_fn_with_state(rate, rate::limit))
        // Before commands are counted: what the pages of other sites make a
        // browser send must not use up what its owner may.
        .layer(CsrfLayer::new().with_rejection_response(cross_site))
        .layer(middleware::from_fn_with_state(hosts, hosts::check))
        .layer(middleware::from_fn_with_state(
            limits.client_address_header,
            visitor::identify,
        ))
        .layer(middleware::from_fn(problem::as_page))
        .layer(middleware::map_response(headers::add))
        // What is wrong inside is logged where it is known (`problem`). Any
        // client can make the server say that it is behind, or overloaded.
        .layer(TraceLayer::new_for_http().on_failure(DefaultOnFailure::new().level(Level::DEBUG)))
}

fn cross_site(_: ProtectionError) -> Response {
    Problem::cross_site().into_response()
}
