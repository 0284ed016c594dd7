//! The streams of several pages over one connection.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use flate2::read::GzDecoder;
use futures::StreamExt;
use ironstar_ports::contract::doubles::ManualClock;
use ironstar_web::Limits;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::app::{STREAM, Setup, TestApp, json as body, text};
use crate::kinds::{NOTE, at};
use crate::revoked;
use crate::sessions::{DAY, START, principal};

const NOTES: &str = "/api/sse/notes";

/// An open bundle, and the frames of each of its streams so far.
struct Bundle {
    body: BodyDataStream,
    heard: Heard,
}

#[derive(Default)]
struct Heard {
    rest: String,
    number: usize,
    streams: Vec<String>,
}

impl Heard {
    /// Reads as `static/bundle.js` does.
    fn read(&mut self, chunk: &[u8]) {
        self.rest += std::str::from_utf8(chunk).expect("text");
        while let Some((block, rest)) = self.rest.split_once("\n\n") {
            let (mark, frame) = match block.strip_prefix(':') {
                Some(marked) => marked.split_once('\n').unwrap_or((marked, "")),
                None => ("", block),
            };
            let (number, note) = mark.split_once(' ').unwrap_or((mark, ""));
            self.number = number.parse().unwrap_or(self.number);
            let count = self.streams.len().max(self.number + 1);
            self.streams.resize(count, String::new());
            self.streams[self.number] += &format!("{note}{frame}\n\n");
            self.rest = rest.to_owned();
        }
    }
}

/// The address of a bundle.
pub(crate) fn address(streams: &Value) -> String {
    let encode = |byte: u8| {
        if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let streams: String = streams.to_string().bytes().map(encode).collect();
    format!("/api/sse/bundle?streams={streams}")
}

impl Bundle {
    async fn open(app: &TestApp, streams: Value) -> Self {
        Self::of(app.get(&address(&streams)).await)
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        let content_type = &response.headers()[header::CONTENT_TYPE];
        assert_eq!(content_type, "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            heard: Heard::default(),
        }
    }

    /// Reads the next chunk. Returns false at the end of the bundle.
    async fn read(&mut self) -> bool {
        let chunk = timeout(Duration::from_secs(30), self.body.next()).await;
        let chunk = chunk.expect("a chunk comes");
        if let Some(chunk) = &chunk {
            self.heard.read(chunk.as_ref().expect("the body works"));
        }
        chunk.is_some()
    }

    fn said(&self, number: usize) -> &str {
        self.heard.streams.get(number).map_or("", String::as_str)
    }

    /// Waits until a stream has sent a text.
    async fn hears(&mut self, number: usize, what: &str) {
        while !self.said(number).contains(what) {
            assert!(self.read().await, "{what}: {}", self.said(number));
        }
    }

    /// Reads up to the end of the bundle.
    async fn ends(&mut self) {
        while self.read().await {}
    }

    /// The last id that a stream has sent.
    fn id(&self, number: usize) -> String {
        let ids = self.said(number).lines();
        let mut ids = ids.filter_map(|line| line.strip_prefix("id: "));
        ids.next_back().expect("an id").to_owned()
    }
}

fn wanted(path: &str) -> Value {
    json!({ "path": path })
}

/// Creates a note of the visitor's with one remark, and returns the stream of its page.
async fn note(app: &TestApp, text: &str, remark: &str) -> String {
    let note = NOTE.create(app, text).await;
    let (status, answer) = NOTE.add(app, &note, remark).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    at(NOTE.stream, &note, None)
}

#[tokio::test]
async fn streams_of_a_bundle_do_not_mix() {
    let app = TestApp::init().await;
    let path = note(&app, "Plans", "Secret").await;
    app.create("Milk").await;
    let mut bundle =
        Bundle::open(&app, json!([wanted(STREAM), wanted(&path), wanted(NOTES)])).await;
    bundle.hears(0, ">Milk<").await;
    bundle.hears(1, ">Secret<").await;
    bundle.hears(2, ">Plans<").await;
    app.create("Bread").await;
    bundle.hears(0, ">Bread<").await;
    for (number, others) in [(0, ["Secret", "Plans"]), (2, ["Secret", "Milk"])] {
        assert!(bundle.said(number).starts_with("200\n\n"));
        for other in others {
            assert!(
                !bundle.said(number).contains(other),
                "{number} tells of {other}"
            );
        }
    }
    assert!(!bundle.said(1).contains("Milk") && !bundle.said(1).contains("Bread"));
}

#[tokio::test]
async fn stream_of_a_bundle_resumes_from_its_own_id() {
    let app = TestApp::init().await;
    let path = note(&app, "Plans", "Secret").await;
    app.create("Milk").await;
    let mut bundle = Bundle::open(&app, json!([wanted(STREAM), wanted(&path)])).await;
    bundle.hears(0, ">Milk<").await;
    bundle.hears(1, ">Secret<").await;
    let (first, second) = (bundle.id(0), bundle.id(1));
    // A stream that stays, because a view without subscribers keeps no changes.
    let mut stays = app.stream(STREAM, None).await;
    stays.next().await;
    drop(bundle);
    app.create("Bread").await;
    let streams = json!([{"path": STREAM, "id": first}, {"path": path, "id": second}]);
    let mut bundle = Bundle::open(&app, streams).await;
    bundle.hears(0, ">Bread<").await;
    assert!(!bundle.said(0).contains(">Milk<"), "{}", bundle.said(0));
    assert!(!bundle.said(1).contains("Bread"), "{}", bundle.said(1));
}

#[tokio::test]
async fn bundle_renews_the_session_of_its_visitor() {
    let clock = ManualClock::at(START);
    let app = TestApp::with(Setup {
        clock: clock.clone(),
        ..Setup::default()
    })
    .await;
    let request = Request::post("/api/session").body(Body::empty());
    app.send(request.expect("a request")).await;
    let visitor = principal(&app).await;
    let streams = address(&json!([wanted(STREAM), wanted(NOTES)]));
    let fresh = app.get(&streams).await;
    assert!(!fresh.headers().contains_key(header::SET_COOKIE));
    for _ in 0..2 {
        clock.pass(29 * DAY);
        let response = app.get(&streams).await;
        let is_renewed = response.headers().contains_key(header::SET_COOKIE);
        assert!(is_renewed, "the browser gets the renewed cookie");
        Bundle::of(response).hears(1, "200\n").await;
    }
    assert_eq!(principal(&app).await, visitor);
}

#[tokio::test]
async fn refused_stream_leaves_the_others_of_its_bundle_open() {
    let app = TestApp::init().await;
    let path = note(&app, "Plans", "Secret").await;
    let stranger = app.stranger();
    let streams = json!([
        wanted(&path),
        wanted("/api/sse/nowhere"),
        wanted(STREAM),
        {"path": path, "drawn_for": "nobody"},
        {"path": STREAM, "drawn_for": "guest/019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e"},
    ]);
    let mut bundle = Bundle::open(&stranger, streams).await;
    bundle.hears(2, "id=\"lines\"").await;
    bundle.hears(3, "end\n").await;
    bundle.hears(4, "end\n").await;
    app.create("Milk").await;
    bundle.hears(2, ">Milk<").await;
    assert_eq!(bundle.said(0), "404\n\n");
    assert_eq!(bundle.said(1), "404\n\n");
    for (number, when) in [(3, "now"), (4, "soon")] {
        let reload = format!("200\n\nevent: datastar-reload\ndata: when {when}\n\nend\n\n");
        assert_eq!(bundle.said(number), reload);
    }
    assert!(!bundle.said(2).contains("Secret"));
}

#[tokio::test]
async fn revoked_link_ends_its_stream_of_a_bundle_alone() {
    let world = revoked::World::new(&NOTE, "read").await;
    let path = world.at(NOTE.stream);
    let mut bundle = Bundle::open(&world.reader, json!([wanted(&path), wanted(STREAM)])).await;
    bundle.hears(0, "id=\"lines\"").await;
    bundle.hears(1, "id=\"lines\"").await;
    world.revoke().await;
    bundle.hears(0, "end\n").await;
    assert!(
        bundle
            .said(0)
            .contains("event: datastar-reload\ndata: when now\n\n")
    );
    world.reader.create("Milk").await;
    bundle.hears(1, ">Milk<").await;
}

#[tokio::test]
async fn each_stream_of_a_bundle_counts_as_one() {
    let app = TestApp::with_limits(Limits {
        streams_per_client: 3,
        ..Limits::default()
    })
    .await;
    let open = async |path: &str| {
        let mut request = Request::get(path).body(Body::empty()).expect("a request");
        let peer: SocketAddr = "192.0.2.1:4711".parse().expect("an address");
        request.extensions_mut().insert(ConnectInfo(peer));
        let localhost = "localhost".parse().expect("a host");
        request.headers_mut().insert(header::HOST, localhost);
        app.send(request).await
    };
    let alone = open(STREAM).await;
    let streams = address(&json!([wanted(STREAM), wanted(NOTES), wanted(STREAM)]));
    let mut bundle = Bundle::of(open(&streams).await);
    bundle.hears(0, "200\n").await;
    bundle.hears(1, "200\n").await;
    bundle.hears(2, "429\n").await;
    let refused = open(STREAM).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    drop((alone, bundle));
    let mut bundle = Bundle::of(open(&streams).await);
    bundle.hears(2, "200\n").await;
}

#[tokio::test]
async fn bundle_of_anything_but_streams_is_refused() {
    let app = TestApp::init().await;
    for path in [
        "/",
        "/livez",
        "/api/events?after=0",
        "/api/notes",
        "/api/sse/bundle?streams=[]",
        "api/sse/notes",
        "https://evil.test/api/sse/notes",
        "",
    ] {
        let streams = json!([wanted(STREAM), wanted(path)]);
        let response = app.get(&address(&streams)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(body(response).await["type"], "/problems/invalid-value");
    }
    let many = |count| Value::Array(vec![wanted(STREAM); count]);
    for streams in [
        json!({}),
        json!([]),
        json!([STREAM]),
        json!([{"path": STREAM, "id": "1\n2"}]),
        json!([{"path": STREAM, "cookie": "x"}]),
        many(25),
    ] {
        let response = app.get(&address(&streams)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{streams}");
    }
    for path in ["/api/sse/bundle", "/api/sse/bundle?streams=x"] {
        assert_eq!(app.get(path).await.status(), StatusCode::BAD_REQUEST);
    }
    // No route has this path, because the server does not resolve `..`.
    let mut bundle = Bundle::open(&app, json!([wanted("/api/sse/../notes")])).await;
    bundle.hears(0, "404\n").await;
    Bundle::open(&app, many(24)).await.hears(23, "200\n").await;
}

#[tokio::test]
async fn bundle_ends_with_its_last_stream() {
    let app = TestApp::init().await;
    let mut bundle = Bundle::open(&app, json!([wanted(STREAM), wanted(NOTES)])).await;
    bundle.hears(0, "id=\"lines\"").await;
    bundle.hears(1, "id=\"notes\"").await;
    app.shutdown.cancel();
    bundle.ends().await;
    assert!(bundle.said(0).ends_with("end\n\n") && bundle.said(1).ends_with("end\n\n"));
    let refused = address(&json!([wanted("/api/sse/nowhere")]));
    assert_eq!(text(app.get(&refused).await).await, ":0 404\n\n");
}

#[tokio::test]
async fn bundle_is_compressed_as_a_whole() {
    let app = TestApp::with_limits(Limits {
        compress_streams: true,
        ..Limits::default()
    })
    .await;
    app.create("Milk").await;
    let streams = address(&json!([wanted(STREAM), wanted(STREAM)]));
    let request = Request::get(streams).header(header::ACCEPT_ENCODING, "gzip");
    let response = app
        .send(request.body(Body::empty()).expect("a request"))
        .await;
    assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
    app.shutdown.cancel();
    let packed = to_bytes(response.into_body(), usize::MAX)
        .await
        .expect("the whole body");
    let mut unpacked = Vec::new();
    let read = GzDecoder::new(&*packed).read_to_end(&mut unpacked);
    read.expect("the body is gzip");
    let mut heard = Heard::default();
    heard.read(&unpacked);
    assert_eq!(heard.streams.len(), 2);
    for said in heard.streams {
        assert!(
            said.starts_with("200\n\n") && said.ends_with("end\n\n"),
            "{said}"
        );
    }
}
