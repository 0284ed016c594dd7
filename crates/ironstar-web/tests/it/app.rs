//! The application, without a network.

mod events;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::request::Builder;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use ironstar_adapters::memory::{
    MemoryEventBus, MemoryEventStore, MemoryProjectionStore, MemorySessionStore,
    MemorySnapshotStore,
};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::access::Gates;
use ironstar_app::caller::Links;
use ironstar_app::{CommandHandler, EventFeed, Features, FeedOptions, Projections};
use ironstar_fixtures::site;
use ironstar_ports::{Clock, Envelope, EventStore, IdentityProvider, Position, ProjectionStore};
use ironstar_web::{Feature, Limits, Services, Site};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::mortal::{Life, Mortal};

pub(crate) use events::Events;

/// The address of commands on remarks.
pub(crate) const COMMAND: &str = "/api/commands/remark";

/// The stream of the start page, which shows the open note.
pub(crate) const STREAM: &str = "/api/sse/notes/00000000-0000-0000-0000-000000000000";

/// The aggregate that [`TestApp::create`] and [`TestApp::command`] are about.
#[derive(Clone, Copy)]
pub(crate) struct Subject {
    /// The address of its commands.
    pub(crate) command: &'static str,
    /// The address of a query that waits for a position.
    pub(crate) query: &'static str,
    /// Parts of the events that its streams send beside the view.
    pub(crate) sides: &'static [&'static str],
}

/// Remarks on the open note.
const REMARKS: Subject = Subject {
    command: COMMAND,
    query: "/api/remarks",
    sides: &[],
};

pub(crate) struct TestApp {
    pub(crate) store: Arc<MemoryEventStore>,
    pub(crate) sessions: Arc<MemorySessionStore>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) router: Router,
    subject: Subject,
    /// The cookie that the visitor of this application holds.
    cookie: Mutex<Option<HeaderValue>>,
}

/// The settings of an application that differ from the default.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) subject: Subject,
    pub(crate) features: Features,
    pub(crate) site_features: Vec<Feature>,
    pub(crate) site: Site,
    pub(crate) identities: Option<Arc<dyn IdentityProvider>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) projections: Arc<dyn ProjectionStore>,
    pub(crate) feed: FeedOptions,
    /// A wrapper around the log, for all readers except commands.
    pub(crate) log: Spoil,
    /// The log and the sessions of the server before.
    pub(crate) kept: Kept,
    /// Ends the writes of the server, as a kill does.
    pub(crate) life: Arc<Life>,
}

/// The data that outlives a server.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) store: Arc<MemoryEventStore>,
    pub(crate) sessions: Arc<MemorySessionStore>,
}

type Spoil = Box<dyn FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>>;

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            subject: REMARKS,
            features: site::FEATURES,
            site_features: site::features(),
            site: Site::default(),
            identities: None,
            clock: Arc::new(SystemClock),
            projections: Arc::new(MemoryProjectionStore::new()),
            feed: FeedOptions::default(),
            log: Box::new(|log| log),
            kept: Kept::default(),
            life: Life::without_end(),
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            store: Arc::new(MemoryEventStore::new(Arc::new(SystemClock))),
            sessions: Arc::new(MemorySessionStore::new()),
        }
    }
}

impl TestApp {
    pub(crate) async fn init() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        let setup = Setup {
            limits,
            ..Setup::default()
        };
        Self::with(setup).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        Self::build(|store| store, setup).await
    }

    /// An application whose commands use a store that misbehaves.
    pub(crate) async fn with_commands_on(
        spoil: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
    ) -> Self {
        Self::build(spoil, Setup::default()).await
    }

    async fn build(
        spoil: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
        setup: Setup,
    ) -> Self {
        let Kept { store, sessions } = setup.kept;
        let life = setup.life;
        let bus = Arc::new(MemoryEventBus::new());
        let log = (setup.log)(store.clone());
        let feed = EventFeed::start(Arc::clone(&log), &*bus, setup.feed)
            .await
            .expect("a feed");
        let shutdown = CancellationToken::new();
        let projections = Projections::new(
            setup.projections,
            store.clone(),
            feed.clone(),
            Arc::new(SystemClock),
        );
        let ids = Arc::new(SystemIdSource);
        let commands = CommandHandler::new(
            spoil(Arc::new(Mortal {
                store: store.clone(),
                life: life.clone(),
            })),
            Arc::new(MemorySnapshotStore::new()),
            bus.clone(),
            ids.clone(),
        );
        setup
            .features
            .hand_overs(&commands, &projections)
            .manage(&projections);
        let services = Services {
            features: setup.features,
            projections,
            gates: Gates::start(commands.clone(), &feed),
            links: Links::new([7; 32]),
            commands,
            feed,
            store: log,
            bus,
            sessions: Arc::new(Mortal {
                store: sessions.clone(),
                life,
            }),
            identities: setup.identities,
            clock: setup.clock,
            ids,
            shutdown: shutdown.clone(),
        };
        Self {
            store,
            sessions,
            shutdown,
            subject: setup.subject,
            router: ironstar_web::router(services, setup.site_features, setup.site, setup.limits),
            cookie: Mutex::default(),
        }
    }

    /// The same application, for another visitor, who has no cookie yet.
    pub(crate) fn stranger(&self) -> Self {
        self.with_cookie(None)
    }

    /// The same application, for the visitor who holds this cookie.
    pub(crate) fn with_cookie(&self, cookie: Option<HeaderValue>) -> Self {
        Self {
            store: self.store.clone(),
            sessions: self.sessions.clone(),
            shutdown: self.shutdown.clone(),
            router: self.router.clone(),
            subject: self.subject,
            cookie: Mutex::new(cookie),
        }
    }

    /// The cookie that the visitor holds.
    pub(crate) fn cookie(&self) -> Option<HeaderValue> {
        self.cookie
            .lock()
            .expect("the lock is not poisoned")
            .clone()
    }

    /// The data of this server, for the next one.
    pub(crate) fn kept(&self) -> Kept {
        Kept {
            store: self.store.clone(),
            sessions: self.sessions.clone(),
        }
    }

    /// Sends a request as a browser does: with the visitor's cookie, unless the request has
    /// its own.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Response {
        if let Some(cookie) = self.cookie() {
            request
                .headers_mut()
                .entry(header::COOKIE)
                .or_insert(cookie);
        }
        let outcome = self.router.clone().oneshot(request).await;
        let response = outcome.expect("a router always answers");
        if let Some(cookie) = response.headers().get(header::SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next();
            let pair = HeaderValue::from_str(pair.expect("a pair")).expect("a header");
            *self.cookie.lock().expect("the lock is not poisoned") = Some(pair);
        }
        response
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).expect("a request"))
            .await
    }

    /// Sends a command, and returns the status and the JSON of the answer.
    pub(crate) async fn command(&self, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(self.subject.command)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("a request");
        let response = self.send(request).await;
        let (status, answer) = (response.status(), json(response).await);
        if let Some(position) = answer["position"].as_u64() {
            // A view draws changes that come close together as one, so wait for this one.
            let query = format!("{}?at_least={position}", self.subject.query);
            let seen = self.get(&query).await;
            assert_eq!(seen.status(), StatusCode::OK);
        }
        (status, answer)
    }

    /// Sends a command on an aggregate of another type.
    pub(crate) async fn post(&self, to: &str, command: Value) -> (StatusCode, Value) {
        let request = Request::post(format!("/api/commands/{to}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(command.to_string().into());
        let response = self.send(request.expect("a request")).await;
        (response.status(), json(response).await)
    }

    /// Creates a remark on the open note, and returns its id.
    pub(crate) async fn create(&self, text: &str) -> String {
        let body = serde_json::json!({"type": "create", "text": text});
        let (status, answer) = self.command(body.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// Posts a form, the way a browser or Datastar does.
    pub(crate) async fn form(&self, request: Builder, body: impl Into<Body>) -> Response {
        let request = request
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.into())
            .expect("a request");
        self.send(request).await
    }

    /// Opens an event stream.
    pub(crate) async fn stream(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = Request::get(path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.open(request).await
    }

    /// Opens the stream of a page that names the visitor it was drawn for.
    pub(crate) async fn stream_of_page(&self, path: &str, drawn_for: &str) -> Events {
        let request = Request::get(path).header("ironstar-drawn-for", drawn_for);
        self.open(request).await
    }

    async fn open(&self, request: Builder) -> Events {
        let response = self
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        Events::of(response, self.subject.sides)
    }

    /// The whole log.
    pub(crate) async fn store_log(&self) -> Vec<Envelope> {
        let log = self.store.load_after(Position::START, 10_000).await;
        log.expect("the log")
    }

    pub(crate) async fn head(&self) -> Position {
        self.store.head().await.expect("the head")
    }
}

pub(crate) async fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("a body");
    String::from_utf8(body.to_vec()).expect("text")
}

pub(crate) async fn json(response: Response) -> Value {
    let text = text(response).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
