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

use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use governor::clock::MonotonicClock;
use ironstar_app::access::{Gates, Links};
use ironstar_app::{CommandHandler, EventFeed, ListService, Projections, UserService};
use ironstar_ports::{Clock, EventBus, EventStore, IdSource, IdentityProvider, SessionStore};
use tokio_util::sync::CancellationToken;
use tower_http::timeout::RequestBodyDeadlineLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};
use tracing::{Level, Span};

pub use crate::edge::allowance::{Allowance, Refused, Taken};
pub use crate::edge::client::Client;
pub use crate::edge::limits::{AllowedHosts, HostRule, HostRuleError, Limits};
pub use crate::edge::unread::Unread;
pub use crate::site::{Home, Site, SiteAddress, SiteAddressError};

use crate::account::Accounts;
use crate::edge::{body, client, cross_site, headers, hosts, problem, rate, streams, unread};
#[cfg(debug_assertions)]
use crate::page::styleguide;
use crate::page::{assets, theme};
use crate::stream::pack;

use crate::account::news::PrivateNews;
use crate::edge::body::Bodies;
use crate::edge::headers::SiteHeaders;
use crate::edge::problem::Problem;
use crate::edge::rate::{CommandRate, NewSessionRate};
use crate::edge::streams::Streams;
use crate::edge::unread::UnreadLimit;
use crate::page::layout::Provider;
use crate::session::{Cookies, Sessions};
use crate::stream::pack::Packer;

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
    /// Who may watch which lists.
    pub gates: Gates,
    /// The links that let others see lists.
    pub links: Links,
    /// What visitors hear of themselves, on whichever node.
    pub bus: Arc<dyn EventBus>,
    /// Who comes back.
    pub sessions: Arc<dyn SessionStore>,
    /// Who knows who people are; nobody, if people cannot sign in.
    pub identities: Option<Arc<dyn IdentityProvider>>,
    /// The time, for sessions: they expire by its steady time, so that a machine whose clock
    /// is wrong forgets none.
    pub clock: Arc<dyn Clock>,
    /// Ids and secrets.
    pub ids: Arc<dyn IdSource>,
    /// Ends every open stream, so that clients reconnect elsewhere.
    pub shutdown: CancellationToken,
}

/// Every route of the application, guarded by limits.
///
/// A request over a network carries the address of its peer, as the extension
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo). To be called within a
/// Tokio runtime: tasks of its own last until `services.shutdown`.
pub fn router(services: Services, site: Site, limits: Limits) -> Router {
    let is_secure = site.address.as_ref().is_some_and(SiteAddress::is_secure);
    let news = PrivateNews::new(
        Arc::clone(&services.bus),
        services.ids.next_id().to_string(),
    );
    let sessions = Arc::new(Sessions::new(
        Arc::clone(&services.sessions),
        Arc::clone(&services.clock),
        Arc::clone(&services.ids),
        services.links.clone(),
        Cookies::new(is_secure),
        NewSessionRate::new(limits.command_rate > 0, MonotonicClock),
    ));
    start_tasks(&services, &news, &sessions);
    let identities = services.identities.clone();
    let provider = identities.as_ref().map(|it| Provider(it.name().into()));
    let sign_in = identities.as_ref().map(|it| it.origin());
    let headers = SiteHeaders::new(is_secure, sign_in);
    let streams = Streams::new(limits.streams_per_client);
    let counted = middleware::from_fn_with_state(streams, streams::count);
    let router = routes(services, &news);
    let router = router
        .clone()
        .merge(bundle::routes(router.layer(counted.clone())));
    let router = if limits.compress_streams {
        let packer = Arc::new(Packer::new());
        router.layer(middleware::from_fn_with_state(packer, pack::streams))
    } else {
        router
    };
    let router = router
        .fallback(async || Problem::no_such_page())
        .method_not_allowed_fallback(async || Problem::no_such_method());
    let site = Arc::new(site);
    let unread = UnreadLimit::new(limits.streams_per_client > 0);
    limited(router.layer(counted), &limits, &site)
        .layer(middleware::from_fn(problem::as_page))
        .layer(Extension(provider))
        .layer(Extension(site))
        .layer(middleware::from_fn_with_state(sessions, session::carry))
        .layer(middleware::from_fn_with_state(unread, unread::count))
        .layer(middleware::from_fn_with_state(
            limits.client_address_header,
            client::identify,
        ))
        .layer(middleware::map_response_with_state(headers, headers::add))
        // What is wrong inside is logged where it is known (`problem`). Any
        // client can make the server say that it is behind, or overloaded.
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_failure(DefaultOnFailure::new().level(Level::DEBUG)),
        )
}

/// What is logged of a request. Not its query, which may let whoever reads it see a
/// list, or finish a sign-in.
fn span(request: &Request) -> Span {
    tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
}

/// The routes of all modules.
fn routes(services: Services, news: &PrivateNews) -> Router {
    let lists = ListService::new(services.commands.clone(), services.projections.model());
    let accounts = Accounts::new(
        services.identities.clone(),
        UserService::new(services.commands.clone()),
        lists,
        news.clone(),
    );
    let router = Router::new();
    #[cfg(debug_assertions)]
    let router = router.merge(styleguide::routes());
    router
        .merge(todo::routes(&services, news))
        .merge(list::routes(&services, news))
        .merge(account::routes(accounts))
        .merge(theme::routes(news.clone()))
        .merge(events::routes(services, news.clone()))
        .merge(assets::routes())
}

/// Guards routes by limits.
fn limited(router: Router, limits: &Limits, site: &Arc<Site>) -> Router {
    let bodies = Bodies::new(limits.streams_per_client > 0);
    let rate = Arc::new(CommandRate::new(limits.command_rate, MonotonicClock));
    let hosts = Arc::new(limits.allowed_hosts.clone());
    router
        .layer(middleware::from_fn_with_state(rate, rate::limit))
        // Before commands are counted: what the pages of other sites make a
        // browser send must not use up what its owner may.
        .layer(middleware::from_fn_with_state(
            Arc::clone(site),
            cross_site::check,
        ))
        .layer(middleware::from_fn_with_state(hosts, hosts::check))
        .layer(middleware::from_fn(headers::once))
        .layer(middleware::from_fn_with_state(bodies, body::whole))
        .layer(RequestBodyDeadlineLayer::new(BODY_DEADLINE))
}

/// Starts what goes on without requests, until the server is told to stop.
fn start_tasks(services: &Services, news: &PrivateNews, sessions: &Arc<Sessions>) {
    let shutdown = services.shutdown.clone();
    let listening = news.clone().listen();
    let sweeping = Arc::clone(sessions).keep_swept();
    tokio::spawn(async move {
        let work = async { tokio::join!(listening, sweeping) };
        shutdown.run_until_cancelled(work).await
    });
}

/// The answer to whatever is asked on a connection of a client who has as many as a
/// client may have. The server counts them, since it knows no more of a client.
pub fn too_many_connections(most: u64) -> Response {
    Problem::too_many_connections(most).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::extract::Request;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// All that is said of spans.
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<String>>);

    impl Visit for Said {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let mut said = self.0.lock().expect("nobody panics");
            said.push_str(&format!("{field}={value:?} "));
        }
    }

    impl Subscriber for Said {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            attributes.record(&mut self.clone());
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, values: &Record<'_>) {
            values.record(&mut self.clone());
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn what_is_logged_of_a_request_lets_nobody_in() {
        let said = Said::default();
        let request = Request::get("/lists/1?link=secret").body(Body::empty());
        let request = request.expect("a request");
        tracing::subscriber::with_default(said.clone(), || super::span(&request));
        let said = said.0.lock().expect("nobody panics");
        assert_eq!(*said, "method=GET path=\"/lists/1\" ");
    }
}
