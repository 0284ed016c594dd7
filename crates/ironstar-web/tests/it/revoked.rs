//! Answers and events in progress do not reach a visitor whose link has been revoked.

use std::sync::Arc;

use axum::http::StatusCode;
use ironstar_ports::{Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, StreamId};
use serde_json::json;
use uuid::Uuid;

use crate::app::{Setup, TestApp, text};
use crate::held::{HeldStore, Hold};
use crate::kinds::{Kind, NOTE, at};

/// An aggregate, a link to it, and a visitor who has the link.
pub(crate) struct World {
    kind: &'static Kind,
    pub(crate) app: TestApp,
    pub(crate) reader: TestApp,
    held: Arc<HeldStore>,
    pub(crate) id: String,
    link: String,
    token: String,
}

impl World {
    pub(crate) async fn new(kind: &'static Kind, access: &str) -> Self {
        let held = Arc::new(HeldStore::default());
        let app = TestApp::with(Setup {
            projections: held.clone(),
            ..(kind.setup)()
        })
        .await;
        let id = kind.create(&app, "Plans").await;
        let share = json!({"type": "create_link", "id": id, "access": access});
        let (status, answer) = app.post(kind.name, share).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let (link, token) = kind.last_link(&app, &id).await;
        Self {
            kind,
            reader: app.stranger(),
            held,
            id,
            link,
            token,
            app,
        }
    }

    /// An address about the aggregate, by the link.
    pub(crate) fn at(&self, address: &str) -> String {
        at(address, &self.id, Some(&self.token))
    }

    async fn add(&self, text: &str) {
        let (status, answer) = self.kind.add(&self.app, &self.id, text).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub(crate) async fn revoke(&self) {
        let revoke = json!({"type": "revoke_link", "id": self.id, "link": self.link});
        let (status, answer) = self.app.post(self.kind.name, revoke).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        // From now on, the link opens nothing.
        let asked = self.reader.get(&self.at(self.kind.query)).await;
        assert_eq!(asked.status(), StatusCode::NOT_FOUND);
    }
}

/// Checks that a page or query shows nothing if its link is revoked while it is read.
pub(crate) async fn reads_in_vain(kind: &'static Kind) {
    let holds = [Hold::Before, Hold::After];
    let reads = [kind.page, kind.query].map(|address| holds.map(|hold| (address, hold)));
    for (address, hold) in reads.into_iter().flatten() {
        let world = World::new(kind, "read").await;
        world.add("Known").await;
        let path = world.at(address);
        let shown = world.reader.get(&path).await;
        assert!(text(shown).await.contains("Known"));
        let (is_read, holder) = world.held.hold(hold);
        let asked = world.reader.get(&path);
        let shut_out = async {
            is_read.await.expect("the page is read");
            world.add("Secret").await;
            world.revoke().await;
            drop(holder);
        };
        let (answer, ()) = tokio::join!(asked, shut_out);
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{hold:?} {path}");
        assert!(!text(answer).await.contains("Secret"));
    }
}

/// Gives an aggregate to another owner, without a hint.
pub(crate) async fn give_away(app: &TestApp, aggregate_type: &str, id: &str) {
    let handed_over = json!({"type": "handed_over", "to": format!("user/{}", Uuid::from_u128(1))});
    let event = NewEvent {
        event_type: "handed_over".to_owned(),
        schema_version: 1,
        payload: Payload::of(&handed_over).expect("JSON"),
        metadata: Metadata::new(Uuid::from_u128(2)),
    };
    let stream = StreamId::new(aggregate_type, id);
    let append = Append::to_stream(stream, ExpectedSequence::Any, vec![event]);
    app.store.append(append).await.expect("appended");
    // There was no hint, so the feed reads the log at the next event.
    app.create("Elsewhere").await;
}

#[tokio::test]
async fn page_is_not_shown_if_its_link_is_revoked_while_it_is_read() {
    reads_in_vain(&NOTE).await;
}

#[tokio::test]
async fn event_from_before_a_revocation_is_not_sent_after_it() {
    let world = World::new(&NOTE, "read").await;
    let path = world.at("/api/events");
    let mut events = world.reader.stream(&path, None).await;
    world.add("Known").await;
    assert!(events.next().await.data.contains("Known"));
    world.add("Secret").await;
    world.revoke().await;
    world.app.create("For everyone").await;
    let next = events.next().await;
    assert!(next.data.contains("For everyone"), "{}", next.data);
}

#[tokio::test]
async fn page_reloads_at_a_revocation_without_any_other_event() {
    let world = World::new(&NOTE, "edit").await;
    let path = world.at(NOTE.stream);
    let mut stream = world.reader.stream(&path, None).await;
    stream.next().await;
    world.revoke().await;
    let told = stream.next_with("now").await;
    assert_eq!(told.event, "datastar-reload");
    assert!(stream.ends().await);
}

#[tokio::test]
async fn page_reloads_when_its_visitor_may_do_less_than_it_shows() {
    let world = World::new(&NOTE, "read").await;
    // The owner came by a link for reading.
    let mut stream = world.app.stream(&world.at(NOTE.stream), None).await;
    stream.next_with("Plans").await;
    give_away(&world.app, "Note", &world.id).await;
    let told = stream.next_with("now").await;
    assert_eq!(told.event, "datastar-reload");
    let page = text(world.app.get(&world.at(NOTE.page)).await).await;
    assert!(
        page.contains("Plans") && !page.contains(NOTE.adds),
        "{page}"
    );
}
