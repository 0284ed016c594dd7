use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use tokio::task::JoinHandle;

use super::{BODY_LIMIT, Bodies, GRAIN, SPARE};
use crate::edge::allowance::Allowance;
use crate::edge::client::Client;

const KIB: u64 = 1024;

struct App {
    bodies: Arc<Bodies>,
}

/// A request in progress, whose body arrives in parts.
struct Incomplete {
    sender: UnboundedSender<Result<Bytes, axum::Error>>,
    answer: JoinHandle<Response>,
}

impl App {
    fn with(each: u64, all: u64) -> Self {
        let bodies = Bodies::of(Some(Allowance::shared(each, all, SPARE)));
        let bodies = Arc::new(bodies);
        Self { bodies }
    }

    fn taken(&self) -> u64 {
        self.bodies.0.as_ref().expect("a limit").taken()
    }

    fn begin(&self, client: u8) -> Incomplete {
        let (sender, body) = unbounded();
        let mut request = Request::post("/").body(Body::from_stream(body));
        let request = std::mem::take(request.as_mut().expect("a request"));
        let client = Client::at([192, 0, 2, client].into());
        let bodies = Arc::clone(&self.bodies);
        let answer = tokio::spawn(async move { echo(&bodies, client, request).await });
        Incomplete { sender, answer }
    }

    /// Waits until exactly this number of bytes is counted.
    async fn counts(&self, expected: u64) {
        let counted = async {
            while self.taken() != expected {
                tokio::task::yield_now().await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_secs(30), counted).await;
        counted.unwrap_or_else(|_| panic!("{} is not {expected}", self.taken()));
    }
}

/// Answers a request with its whole body.
async fn echo(bodies: &Bodies, client: Client, request: Request) -> Response {
    match bodies.whole(client, request).await {
        Ok(request) => request.into_body().into_response(),
        Err(problem) => problem.into_response(),
    }
}

impl Incomplete {
    fn send(&self, size: u64) {
        let size = usize::try_from(size).expect("a size");
        let bytes = Bytes::from(vec![b'x'; size]);
        self.sender.unbounded_send(Ok(bytes)).expect("it is read");
    }

    async fn end(self) -> Response {
        drop(self.sender);
        self.answer.await.expect("answered")
    }

    async fn answer(self) -> Response {
        let Self {
            sender: _sender,
            answer,
        } = self;
        answer.await.expect("answered")
    }
}

#[tokio::test]
async fn received_bytes_count_until_the_body_is_complete_or_aborted() {
    let app = App::with(1024 * KIB, 1024 * KIB);
    let first = app.begin(1);
    app.counts(GRAIN + 1).await;
    first.send(100);
    first.send(60 * KIB);
    app.counts(60 * KIB + 101).await;
    let second = app.begin(1);
    app.counts(61 * KIB + 102).await;
    second.answer.abort();
    app.counts(60 * KIB + 101).await;
    let answer = first.end().await;
    assert_eq!(app.taken(), 0);
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
    assert_eq!(body.expect("a body").len() as u64, 60 * KIB + 100);
}

#[tokio::test]
async fn client_with_too_many_incomplete_bytes_is_refused_and_others_are_not() {
    let app = App::with(100 * KIB, 1024 * KIB);
    let first = app.begin(1);
    first.send(60 * KIB);
    app.counts(60 * KIB + 1).await;
    let second = app.begin(1);
    second.send(50 * KIB);
    let refused = second.answer().await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
    assert_eq!(app.taken(), 60 * KIB + 1, "the refused bytes are released");
    let other = app.begin(2);
    other.send(60 * KIB);
    assert_eq!(other.end().await.status(), StatusCode::OK);
    assert_eq!(first.end().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn server_refuses_bodies_that_it_has_no_room_for() {
    let app = App::with(100 * KIB, 100 * KIB);
    let first = app.begin(1);
    first.send(60 * KIB);
    app.counts(60 * KIB + 1).await;
    let second = app.begin(2);
    second.send(50 * KIB);
    let refused = second.answer().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    first.answer.abort();
    app.counts(0).await;
}

#[tokio::test]
async fn small_command_is_executed_when_others_have_used_up_the_room() {
    let app = App::with(100 * KIB, 50 * KIB);
    let first = app.begin(1);
    first.send(50 * KIB - 1);
    app.counts(50 * KIB).await;
    let refused = app.begin(1).answer().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let small = app.begin(2);
    small.send(2 * KIB);
    assert_eq!(small.end().await.status(), StatusCode::OK);
    first.answer.abort();
    app.counts(0).await;
}

#[tokio::test]
async fn body_that_declares_too_large_a_size_is_refused_before_it_is_read() {
    let app = App::with(1024 * KIB, 1024 * KIB);
    let request = |body: Body| {
        let request = Request::post("/").body(body).expect("a request");
        let bodies = &app.bodies;
        async move { echo(bodies, Client::default(), request).await }
    };
    let large = request(vec![b'x'; BODY_LIMIT + 1].into()).await;
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let most = request(vec![b'x'; BODY_LIMIT].into()).await;
    assert_eq!(most.status(), StatusCode::OK);
    // A body without a declared size is read up to the limit.
    let part = Bytes::from(vec![b'x'; BODY_LIMIT / 2 + 1]);
    let parts = futures::stream::repeat(part).map(Ok::<_, axum::Error>);
    let endless = request(Body::from_stream(parts)).await;
    assert_eq!(endless.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn body_that_takes_too_long_is_aborted() {
    let app = App::with(1024 * KIB, 1024 * KIB);
    let slow = app.begin(1);
    slow.send(KIB);
    let answer = slow.answer().await;
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(app.taken(), 0);
}

#[tokio::test]
async fn body_that_breaks_off_is_malformed() {
    let app = App::with(1024 * KIB, 1024 * KIB);
    let request = app.begin(1);
    request
        .sender
        .unbounded_send(Err(axum::Error::new("broken")))
        .expect("it is read");
    assert_eq!(request.answer().await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(app.taken(), 0);
}

#[test]
fn head_is_as_large_as_its_address_and_its_fields() {
    let request = Request::post("/todos?list=1")
        .header("accept", "text/html")
        .header("x-request-id", "7")
        .body(())
        .expect("a request");
    let (parts, ()) = request.into_parts();
    let expected =
        "/todos".len() + "list=1".len() + "accepttext/html".len() + "x-request-id7".len();
    assert_eq!(super::head_size(&parts), expected as u64);
}
