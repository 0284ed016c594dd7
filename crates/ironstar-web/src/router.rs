//! The root: all routes, and all checks that a request passes before them.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use governor::clock::MonotonicClock;
use ironstar_app::UserService;
use tower::{Service, ServiceExt};
use tracing::{Instrument, Span};

use crate::account::Accounts;
use crate::account::news::PrivateNews;
use crate::edge::body::Bodies;
use crate::edge::client::{self, Client};
use crate::edge::context::SiteContext;
use crate::edge::headers::{self, SiteHeaders};
use crate::edge::limits::{AllowedHosts, Limits};
use crate::edge::problem::Problem;
use crate::edge::rate::{CommandRate, NewSessionRate};
use crate::edge::streams::Streams;
use crate::edge::unread::UnreadLimit;
use crate::edge::{cross_site, hosts};
use crate::feature::Feature;
use crate::page::assets;
use crate::page::problem::ShownTo;
#[cfg(debug_assertions)]
use crate::page::styleguide;
use crate::services::Services;
use crate::session::{Cookies, Sessions};
use crate::site::{Site, SiteAddress};
use crate::stream::pack::{self, Packer};
use crate::{account, bundle, events};

/// The routes of these features, and all that every site has, guarded by limits.
///
/// A request over a network must carry the address of its peer, as the extension
/// [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
///
/// Call this within a Tokio runtime: it starts tasks, which run until `services.shutdown`.
pub fn router(services: Services, features: Vec<Feature>, site: Site, limits: Limits) -> Router {
    let front = Front::new(services, features, site, limits);
    Router::new().fallback_service(FrontDoor(Arc::new(front)))
}

/// The answer to a client that has too many connections. The server itself counts them,
/// because this crate sees requests only.
pub fn too_many_connections(most: u64) -> Response {
    Problem::too_many_connections(most).into_response()
}

/// All checks that a request passes before it reaches a route.
#[derive(Debug)]
struct Front {
    client_address_header: Option<HeaderName>,
    headers: SiteHeaders,
    unread: UnreadLimit,
    sessions: Arc<Sessions>,
    context: Arc<SiteContext>,
    bodies: Bodies,
    hosts: AllowedHosts,
    streams: Streams,
    /// Compresses streams; `None` if the operator does not want that.
    packer: Option<Arc<Packer>>,
    routes: Router,
}

impl Front {
    fn new(services: Services, features: Vec<Feature>, site: Site, limits: Limits) -> Self {
        let is_secure = site.address.as_ref().is_some_and(SiteAddress::is_secure);
        let are_clients_limited = limits.streams_per_client > 0;
        let news = PrivateNews::new(
            Arc::clone(&services.bus),
            services.ids.next_id().to_string(),
            services.shutdown.clone(),
        );
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&services.sessions),
            Arc::clone(&services.clock),
            Arc::clone(&services.ids),
            services.links.clone(),
            Cookies::new(site.name, is_secure),
            NewSessionRate::new(limits.command_rate > 0, MonotonicClock),
        ));
        start_tasks(&services, &news, &sessions);
        let identities = services.identities.as_ref();
        let streams = Streams::new(limits.streams_per_client);
        Self {
            client_address_header: limits.client_address_header,
            headers: SiteHeaders::new(is_secure, identities.map(|it| it.origin())),
            unread: UnreadLimit::new(are_clients_limited),
            sessions,
            context: Arc::new(SiteContext {
                site,
                provider: identities.map(|it| it.name().into()),
                navigation: features
                    .iter()
                    .flat_map(|feature| feature.navigation)
                    .copied()
                    .collect(),
                rate: Arc::new(CommandRate::new(limits.command_rate, MonotonicClock)),
            }),
            bodies: Bodies::new(are_clients_limited),
            hosts: limits.allowed_hosts,
            packer: limits.compress_streams.then(|| Arc::new(Packer::new())),
            routes: routes(&services, features, &news, &streams),
            streams,
        }
    }

    /// The answer to a request. From here to [`Front::admit`], a request passes each step on
    /// the way in, and its answer passes the steps that concern answers on the way out.
    async fn answer(&self, mut request: Request) -> Response {
        let client = client::identify(self.client_address_header.as_ref(), &mut request);
        let mut response = match self.unread.begin(client, request.method()) {
            Ok(unread) => unread.count(self.answer_in_session(client, request).await),
            Err(problem) => problem.into_response(),
        };
        self.headers.add(&mut response);
        response
    }

    async fn answer_in_session(&self, client: Client, mut request: Request) -> Response {
        let session = self.sessions.session(request.headers(), client);
        request.extensions_mut().insert(session.clone());
        request.extensions_mut().insert(Arc::clone(&self.context));
        let shown_to = ShownTo::client_of(&request);
        let response = match self.admit(client, request).await {
            Ok(request) => self.route(client, request).await,
            Err(problem) => problem.leading_home().into_response(),
        };
        let mut response = shown_to.show(response, &session, &self.context).await;
        session.send_cookie(&mut response);
        response
    }

    /// Refuses a request that must not reach a route.
    async fn admit(&self, client: Client, request: Request) -> Result<Request, Problem> {
        let mut request = self.bodies.whole(client, request).await?;
        headers::check(request.headers())?;
        hosts::check(&self.hosts, &mut request)?;
        // This comes before a route counts its cost: pages of other sites must not use up the
        // client's rate.
        cross_site::check(&self.context.site, &request)?;
        Ok(request)
    }

    async fn route(&self, client: Client, request: Request) -> Response {
        let stream = match self.streams.open(client, request.uri().path()) {
            Ok(stream) => stream,
            Err(problem) => return problem.into_response(),
        };
        let takes_gzip = pack::takes_gzip(request.headers());
        let Ok(response) = self.routes.clone().oneshot(request).await;
        let response = match &self.packer {
            Some(packer) => pack::stream(packer, takes_gzip, response),
            None => response,
        };
        stream.hold(response)
    }
}

/// The routes of all modules.
fn routes(
    services: &Services,
    features: Vec<Feature>,
    news: &PrivateNews,
    streams: &Streams,
) -> Router {
    let application = services.features;
    let accounts = Accounts::new(
        services.identities.clone(),
        UserService::new(services.commands.clone()),
        application.hand_overs(&services.commands, &services.projections),
        news.clone(),
    );
    let router = Router::new();
    #[cfg(debug_assertions)]
    let router = router.merge(styleguide::routes());
    let router = router
        .merge(account::routes(accounts))
        .merge(account::theme::routes(news.clone()))
        .merge(events::routes(services, news, application.audiences()))
        .merge(assets::routes());
    let router = features.into_iter().fold(router, |router, feature| {
        router.merge((feature.routes)(services, news))
    });
    router
        .clone()
        .merge(bundle::routes(router, streams))
        .fallback(async || Problem::no_such_page())
        .method_not_allowed_fallback(async || Problem::no_such_method())
}

/// Starts the tasks that run without requests, until the server stops.
fn start_tasks(services: &Services, news: &PrivateNews, sessions: &Arc<Sessions>) {
    let shutdown = services.shutdown.clone();
    let listening = news.clone().listen();
    let sweeping = Arc::clone(sessions).keep_swept();
    tokio::spawn(async move {
        let work = async { tokio::join!(listening, sweeping) };
        shutdown.run_until_cancelled(work).await
    });
}

/// The front as a service.
#[derive(Clone, Debug)]
struct FrontDoor(Arc<Front>);

impl Service<Request> for FrontDoor {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let front = Arc::clone(&self.0);
        let span = span(&request);
        let answered = async move {
            let response = front.answer(request).await;
            tracing::debug!(status = response.status().as_u16(), "a request is answered");
            Ok(response)
        };
        answered.instrument(span).boxed()
    }
}

/// The fields of a request that the log shows. The query is not one of them: with it, a reader
/// of the log could open a list or finish a sign-in.
fn span(request: &Request) -> Span {
    tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use axum::extract::Request;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    /// Records all fields of spans and events.
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<String>>);

    impl Visit for Said {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let mut said = self.0.lock().expect("the lock is not poisoned");
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
    fn request_log_leaves_out_the_query() {
        let said = Said::default();
        let request = Request::get("/lists/1?link=secret").body(Body::empty());
        let request = request.expect("a request");
        tracing::subscriber::with_default(said.clone(), || super::span(&request));
        let said = said.0.lock().expect("the lock is not poisoned");
        assert_eq!(*said, "method=GET path=\"/lists/1\" ");
    }
}
