//! The cost of reading missed events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use ironstar_app::FeedOptions;
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Append, Envelope, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    Sequence, StoreError, StreamId,
};
use ironstar_web::Limits;
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::app::{Setup, TestApp};

/// The number of remarks, and of the newest events that the feed keeps.
const REMARKS: u64 = 40;
const TAIL: usize = 4;

/// The reads of events that the feed does not keep any more, and controls for them.
#[derive(Debug)]
struct Reads {
    log: AtomicUsize,
    streams: AtomicUsize,
    /// The number of reads of the log that wait.
    waiting: AtomicUsize,
    /// Lets reads of the log go on.
    go_on: Semaphore,
    /// True if a backup is restored at the next read of a stream.
    restores: AtomicBool,
    /// True if the log is of another history.
    is_restored: AtomicBool,
}

#[derive(Debug)]
struct WatchedStore(Arc<dyn EventStore>, Arc<Reads>);

#[async_trait]
impl AroundEventStore for WatchedStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.0
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        self.1.streams.fetch_add(1, SeqCst);
        if self.1.restores.load(SeqCst) {
            self.1.is_restored.store(true, SeqCst);
        }
        self.0.load_stream(stream, after, limit).await
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        // Only subscribers read pages of this size. The feed's pages include its last event.
        if limit > FeedOptions::default().page + 1 {
            self.1.log.fetch_add(1, SeqCst);
            self.1.waiting.fetch_add(1, SeqCst);
            let permit = self.1.go_on.acquire().await.expect("it is never closed");
            permit.forget();
            self.1.waiting.fetch_sub(1, SeqCst);
        }
        let mut events = self.0.load_after(position, limit).await?;
        if self.1.is_restored.load(SeqCst) {
            for event in &mut events {
                event.metadata.event_id = Uuid::from_u128(1);
            }
        }
        Ok(events)
    }
}

/// An application whose feed keeps only the end of the log.
async fn far_behind(limits: Limits) -> (TestApp, Arc<Reads>, Vec<String>) {
    let reads = Arc::new(Reads {
        log: AtomicUsize::new(0),
        streams: AtomicUsize::new(0),
        waiting: AtomicUsize::new(0),
        go_on: Semaphore::new(0),
        restores: AtomicBool::new(false),
        is_restored: AtomicBool::new(false),
    });
    let watched = Arc::clone(&reads);
    let app = TestApp::with(Setup {
        limits,
        feed: FeedOptions {
            tail: TAIL,
            ..FeedOptions::default()
        },
        log: Box::new(|log| Arc::new(WatchedStore(log, watched))),
        ..Setup::default()
    })
    .await;
    let mut remarks = Vec::new();
    for number in 0..REMARKS {
        remarks.push(app.create(&format!("Remark {number}")).await);
    }
    (app, reads, remarks)
}

/// Appends events that no caller may see, and waits until the read models have reached them.
async fn append(app: &TestApp, count: usize) {
    let event = NewEvent {
        event_type: "happened".to_owned(),
        schema_version: 1,
        payload: Payload::from_text("{}".to_owned()).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let events = vec![event; count];
    let stream = StreamId::new("Test", "1");
    let append = Append::to_stream(stream, ExpectedSequence::NoStream, events);
    app.store.append(append).await.expect("appended");
    app.create("Last").await;
}

async fn close(app: &TestApp, id: &str) {
    let (status, _) = app
        .command(json!({"type": "close", "id": id}).to_string())
        .await;
    assert_eq!(status, StatusCode::OK);
}

async fn open(app: &TestApp, query: &str) -> Response {
    let request = Request::get(format!("/api/events?{query}"));
    app.send(request.body(Body::empty()).expect("a request"))
        .await
}

#[tokio::test]
async fn events_of_one_aggregate_are_read_from_its_stream() {
    let (app, reads, remarks) = far_behind(Limits::default()).await;
    let first = &remarks[0];
    close(&app, first).await;
    for remark in &remarks[1..10] {
        close(&app, remark).await;
    }
    let mut positions = vec![1, 41];
    for after in [0, 1, 41] {
        let path = format!("/api/events?key=events/Remark/{first}&after={after}");
        let mut events = app.stream(&path, None).await;
        let (_, answer) = app
            .command(
                json!({"type": "rewrite", "id": first, "text": format!("{after}")}).to_string(),
            )
            .await;
        positions.push(answer["position"].as_u64().expect("carried out"));
        for position in positions.iter().filter(|it| **it > after) {
            assert_eq!(events.next().await.id, position.to_string());
        }
    }
    assert_eq!(reads.log.load(SeqCst), 0);
    assert!(reads.streams.load(SeqCst) >= 2);
}

#[tokio::test]
async fn stream_sends_no_event_after_a_backup_was_restored() {
    for after in [0, 1] {
        let (app, reads, remarks) = far_behind(Limits::default()).await;
        close(&app, &remarks[0]).await;
        for remark in &remarks[1..10] {
            close(&app, remark).await;
        }
        reads.restores.store(true, SeqCst);
        let path = format!("/api/events?key=events/Remark/{}&after={after}", remarks[0]);
        let mut events = app.stream(&path, None).await;
        let told = events.rest().await.expect("the stream ends");
        assert!(told.is_empty(), "after {after}: {told:?}");
        assert!(reads.is_restored.load(SeqCst));
    }
}

#[tokio::test(start_paused = true)]
async fn key_that_cannot_match_causes_no_reads() {
    let (app, reads, _) = far_behind(Limits::default()).await;
    for key in ["events/X", "events/X/**", "events/Step/**", "events/Remark"] {
        let mut frames = open(&app, &format!("after=0&key={key}"))
            .await
            .into_body()
            .into_data_stream();
        let first = frames.next().await.expect("a frame").expect("bytes");
        assert_eq!(&first[..], b"id: 0\n\n", "{key}");
        // Any other read would happen when the next frame is polled.
        let asked = tokio::time::timeout(Duration::from_secs(10), frames.next()).await;
        asked.expect_err("no event matches");
    }
    let read = (reads.log.load(SeqCst), reads.streams.load(SeqCst));
    assert_eq!(read, (0, 0));
}

#[tokio::test]
async fn subscriber_that_scans_the_log_gets_all_events_in_order() {
    let (app, reads, remarks) = far_behind(Limits::default()).await;
    reads.go_on.add_permits(100);
    let mut events = app.stream("/api/events?after=0", None).await;
    for position in 1..=REMARKS {
        assert_eq!(events.next().await.id, position.to_string());
    }
    close(&app, &remarks[0]).await;
    assert_eq!(events.next().await.id, (REMARKS + 1).to_string());
    assert!(reads.log.load(SeqCst) > 0);
}

#[tokio::test(start_paused = true)]
async fn client_reads_one_page_of_the_log_at_a_time() {
    let (app, reads, _) = far_behind(Limits::default()).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let frames = open(&app, "after=0").await.into_body().into_data_stream();
        streams.push(tokio::spawn(frames.take(2).count()));
    }
    for read in 1..=5 {
        // The clock of this test moves when all tasks wait.
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(reads.waiting.load(SeqCst), 1);
        assert_eq!(reads.log.load(SeqCst), read);
        reads.go_on.add_permits(1);
    }
    for stream in streams {
        assert_eq!(stream.await.expect("the task does not panic"), 2);
    }
}

#[tokio::test]
async fn scan_of_the_log_counts_as_many_commands_and_another_read_as_one() {
    let limits = Limits {
        command_rate: 20,
        ..Limits::default()
    };
    let (app, _, remarks) = far_behind(limits).await;
    append(&app, 4_000).await;
    let all = let_through(&app, [192, 0, 2, 1], "after=0").await;
    assert!((11..60).contains(&all), "{all}");
    let key = format!("after=0&key=events/Remark/{}", remarks[0]);
    let one = let_through(&app, [192, 0, 2, 2], &key).await;
    assert!(one >= 100, "{one}");
}

/// The number of these requests, one after the other, until one is refused.
async fn let_through(app: &TestApp, peer: [u8; 4], query: &str) -> u32 {
    let mut count = 0;
    while open_from(app, peer, query).await.status() != StatusCode::TOO_MANY_REQUESTS {
        count += 1;
    }
    count
}

async fn open_from(app: &TestApp, peer: [u8; 4], query: &str) -> Response {
    let request = Request::get(format!("/api/events?{query}"));
    let request = request.header("host", "localhost").body(Body::empty());
    let mut request = request.expect("a request");
    let peer = SocketAddr::from((peer, 4711));
    request.extensions_mut().insert(ConnectInfo(peer));
    app.send(request).await
}

#[tokio::test]
async fn each_page_of_one_aggregate_counts_as_a_command() {
    let app = TestApp::with(Setup {
        limits: Limits {
            command_rate: 1,
            ..Limits::default()
        },
        feed: FeedOptions {
            tail: TAIL,
            ..FeedOptions::default()
        },
        ..Setup::default()
    })
    .await;
    let remark = app.create("Milk").await;
    let rewritten = NewEvent {
        event_type: "rewritten".to_owned(),
        schema_version: 1,
        payload: Payload::from_text(r#"{"type":"rewritten","text":"Beer"}"#.to_owned())
            .expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    // Five pages, as many as the commands that a client may send at once.
    let rewrites = vec![rewritten; 4 * 512 + 100];
    let last = rewrites.len() + 1;
    let stream = StreamId::new("Remark", &remark);
    let append = Append::to_stream(stream, ExpectedSequence::Any, rewrites);
    app.store.append(append).await.expect("appended");
    app.create("Last").await;

    let peer = [192, 0, 2, 1];
    read_until(
        &app,
        peer,
        &format!("after=0&key=events/Remark/{remark}"),
        last,
    )
    .await;
    let head = app.store.head().await.expect("a head");
    let left = let_through(&app, peer, &format!("after={head}")).await;
    assert!(left < 4, "{left} of 5 are left");
    // Only the last ten events are read, which is one page.
    let peer = [192, 0, 2, 2];
    let after = last - 10;
    read_until(
        &app,
        peer,
        &format!("after={after}&key=events/Remark/{remark}"),
        last,
    )
    .await;
    let left = let_through(&app, peer, &format!("after={head}")).await;
    assert!(left >= 4, "{left} of 5 are left");
}

/// Reads events until the one at this position.
async fn read_until(app: &TestApp, peer: [u8; 4], query: &str, position: usize) {
    let events = open_from(app, peer, query).await;
    let mut frames = events.into_body().into_data_stream();
    let id = format!("id: {position}.");
    loop {
        let frame = frames.next().await.expect("a frame").expect("bytes");
        if String::from_utf8_lossy(&frame).contains(&id) {
            break;
        }
    }
}
