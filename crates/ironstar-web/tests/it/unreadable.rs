//! Notes that are unreadable for a while: no subscriber gets their events then, and none
//! misses any later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use async_trait::async_trait;
use ironstar_adapters::system::SystemIdSource;
use ironstar_ports::contract::doubles::AroundEventStore;
use ironstar_ports::{
    Append, Envelope, EventStore, ExpectedSequence, IdSource, Metadata, NewEvent, Payload,
    Sequence, StoreError, StreamId,
};
use serde_json::json;

use crate::app::{Events, TestApp};
use crate::kinds::NOTE;

/// A store whose streams are unreadable for a while.
#[derive(Debug)]
struct BreakingStore {
    inner: Arc<dyn EventStore>,
    is_broken: Arc<AtomicBool>,
}

#[async_trait]
impl AroundEventStore for BreakingStore {
    fn inner(&self) -> &dyn EventStore {
        &*self.inner
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        if self.is_broken.load(SeqCst) {
            return Err(StoreError::unavailable("broken by the test"));
        }
        self.inner.load_stream(stream, after, limit).await
    }
}

/// The application, and the switch that breaks its store.
async fn breaking() -> (TestApp, Arc<AtomicBool>) {
    let is_broken = Arc::new(AtomicBool::new(false));
    let app = TestApp::with_commands_on(|inner| {
        Arc::new(BreakingStore {
            inner,
            is_broken: Arc::clone(&is_broken),
        })
    })
    .await;
    (app, is_broken)
}

/// Checks that the next events contain these texts, in this order.
async fn hears(events: &mut Events, all: &[&str]) {
    for text in all {
        let event = events.next().await;
        assert!(event.data.contains(text), "{text}: {}", event.data);
    }
}

#[tokio::test]
async fn subscriber_that_comes_while_a_note_is_unreadable_misses_nothing() {
    let (app, is_broken) = breaking().await;
    app.create("Before").await;
    let id = NOTE.create(&app, "Mine").await;
    NOTE.add(&app, &id, "Within").await;
    is_broken.store(true, SeqCst);
    let mut events = app.stream("/api/events?after=0", None).await;
    let told = events.rest().await.expect("the stream ends");
    let texts: Vec<_> = told.iter().map(|event| &*event.data).collect();
    assert!(
        texts.iter().any(|text| text.contains("Before")),
        "{texts:?}"
    );
    assert!(!texts.iter().any(|text| text.contains("Mine")), "{texts:?}");
    is_broken.store(false, SeqCst);
    let last = told.last().expect("an event");
    let mut events = app.stream("/api/events", Some(&last.id)).await;
    hears(&mut events, &["Mine", "Within"]).await;
}

/// Rewrites a note by an append, without the command handler, which would have to read it.
async fn rewrite(app: &TestApp, note: &str, text: &str) {
    let rewritten = json!({"type": "rewritten", "text": text});
    let event = NewEvent {
        event_type: "rewritten".to_owned(),
        schema_version: 1,
        payload: Payload::of(&rewritten).expect("JSON"),
        metadata: Metadata::new(SystemIdSource.next_id()),
    };
    let stream = StreamId::new("Note", note);
    let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
    app.store.append(append).await.expect("appended");
}

#[tokio::test]
async fn subscriber_that_is_behind_when_a_note_becomes_unreadable_misses_nothing() {
    let (app, is_broken) = breaking().await;
    let id = NOTE.create(&app, "Mine").await;
    let mut events = app.stream("/api/events", None).await;
    let mut page = app.stream(&format!("/api/sse/notes/{id}"), None).await;
    NOTE.add(&app, &id, "Within").await;
    hears(&mut events, &["Within"]).await;
    page.next().await;
    NOTE.add(&app, &id, "More").await;
    is_broken.store(true, SeqCst);
    rewrite(&app, &id, "Rewritten").await;
    // No visitor may watch the note any more.
    assert_eq!(page.next_with("when now").await.event, "datastar-reload");
    is_broken.store(false, SeqCst);
    hears(&mut events, &["More", "Rewritten"]).await;
}

#[tokio::test]
async fn subscriber_that_listens_while_a_note_is_unreadable_misses_nothing() {
    let (app, is_broken) = breaking().await;
    let id = NOTE.create(&app, "Mine").await;
    let mut events = app.stream("/api/events", None).await;
    NOTE.add(&app, &id, "Within").await;
    hears(&mut events, &["Within"]).await;
    is_broken.store(true, SeqCst);
    let position = app.head().await;
    // The server cannot exclude that the note has another owner now.
    for text in ["Rewritten", "Again"] {
        rewrite(&app, &id, text).await;
    }
    let told = events.rest().await.expect("the stream ends");
    assert!(told.is_empty(), "{told:?}");
    is_broken.store(false, SeqCst);
    let mut events = app.stream("/api/events", Some(&position.to_string())).await;
    hears(&mut events, &["Rewritten", "Again"]).await;
    NOTE.add(&app, &id, "More").await;
    hears(&mut events, &["More"]).await;
}
