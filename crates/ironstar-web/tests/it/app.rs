//! The application, without a network.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Builder;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use eventsource_stream::{Event, EventStream, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;
use ironstar_adapters::memory::{
    MemoryEventBus, MemoryEventStore, MemoryProjectionStore, MemorySnapshotStore,
};
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_app::{CommandHandler, EventFeed, FeedOptions, Projections};
use ironstar_ports::{EventStore, Position};
use ironstar_web::{Limits, Services};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const COMMAND: &str = "/api/commands/todo";

pub(crate) struct TestApp {
    pub(crate) store: Arc<MemoryEventStore>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) router: Router,
}

impl TestApp {
    pub(crate) async fn init() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::build(|store| store, limits).await
    }

    /// The application, with its commands on a store that misbehaves.
    pub(crate) async fn with_commands_on(
        spoil: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
    ) -> Self {
        Self::build(spoil, Limits::default()).await
    }

    async fn build(
        spoil: impl FnOnce(Arc<dyn EventStore>) -> Arc<dyn EventStore>,
        limits: Limits,
    ) -> Self {
        let store = Arc::new(MemoryEventStore::new(Arc::new(SystemClock)));
        let bus = Arc::new(MemoryEventBus::new());
        let feed = EventFeed::start(store.clone(), &*bus, FeedOptions::default())
            .await
            .expect("a feed");
        let shutdown = CancellationToken::new();
        let projections = Projections::new(
            Arc::new(MemoryProjectionStore::new()),
            store.clone(),
            feed.clone(),
            Arc::new(SystemClock),
        );
        let services = Services {
            projections,
            commands: CommandHandler::new(
                spoil(store.clone()),
                Arc::new(MemorySnapshotStore::new()),
                bus,
                Arc::new(SystemIdSource),
            ),
            feed,
            store: store.clone(),
            shutdown: shutdown.clone(),
        };
        Self {
            store,
            shutdown,
            router: ironstar_web::router(services, limits),
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        let outcome = self.router.clone().oneshot(request).await;
        outcome.expect("a router always answers")
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::get(path).body(Body::empty()).expect("a request"))
            .await
    }

    /// Sends a command, and returns the status and the JSON of the answer.
    pub(crate) async fn command(&self, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(COMMAND)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into())
            .expect("a request");
        let response = self.send(request).await;
        let (status, answer) = (response.status(), json(response).await);
        if let Some(position) = answer["position"].as_u64() {
            // Changes that come close together may be shown as one.
            let seen = self.get(&format!("/api/todos?at_least={position}")).await;
            assert_eq!(seen.status(), StatusCode::OK);
        }
        (status, answer)
    }

    /// Creates a todo, and returns its id.
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
        let response = self
            .send(request.body(Body::empty()).expect("a request"))
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        Events(
            response
                .into_body()
                .into_data_stream()
                .boxed()
                .eventsource(),
        )
    }

    pub(crate) async fn head(&self) -> Position {
        self.store.head().await.expect("the head")
    }
}

/// An open event stream.
pub(crate) struct Events(EventStream<BoxStream<'static, Result<Bytes, axum::Error>>>);

impl Events {
    /// The next event of the view, which must come soon.
    pub(crate) async fn next(&mut self) -> Event {
        loop {
            let event = self.next_of_all().await;
            let sides = ["id=\"presence\"", "id=\"heading\""];
            if !sides.iter().any(|side| event.data.contains(side)) {
                return event;
            }
        }
    }

    /// The next time that the stream tells who is there, which must be soon.
    pub(crate) async fn next_presence(&mut self) -> Event {
        self.next_with("id=\"presence\"").await
    }

    /// The next event that says something, which must come soon.
    pub(crate) async fn next_with(&mut self, what: &str) -> Event {
        loop {
            let event = self.next_of_all().await;
            if event.data.contains(what) {
                return event;
            }
        }
    }

    async fn next_of_all(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(30), self.0.next())
            .await
            .expect("an event comes")
            .expect("the stream goes on")
            .expect("an event")
    }

    /// Whether the stream ends soon.
    pub(crate) async fn ends(&mut self) -> bool {
        let rest = self.0.by_ref().for_each(|_| std::future::ready(()));
        tokio::time::timeout(Duration::from_secs(30), rest)
            .await
            .is_ok()
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
