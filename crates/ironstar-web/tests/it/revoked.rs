//! Answers and events in progress do not reach a visitor whose link has been revoked.

use std::sync::Arc;

use axum::http::{Request, StatusCode, header};
use ironstar_ports::{Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, StreamId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{Setup, TestApp, json as body, text};
use crate::held::{HeldStore, Hold};

/// A list, a link to it, and a visitor who has the link.
pub(crate) struct World {
    app: TestApp,
    pub(crate) reader: TestApp,
    held: Arc<HeldStore>,
    pub(crate) list: String,
    link: String,
    pub(crate) token: String,
}

impl World {
    pub(crate) async fn new(access: &str) -> Self {
        let held = Arc::new(HeldStore::default());
        let app = TestApp::with(Setup {
            projections: held.clone(),
            ..Setup::default()
        })
        .await;
        let created = command(&app, "list", json!({"type": "create", "name": "Plans"})).await;
        let list = created["id"].as_str().expect("an id").to_owned();
        let link = json!({"type": "create_link", "id": list, "access": access});
        command(&app, "list", link).await;
        let lists = body(app.get("/api/lists").await).await;
        let link = &lists["open"][0]["links"][0];
        let address = link["address"].as_str().expect("an address");
        let (_, token) = address.split_once("link=").expect("a token");
        Self {
            reader: app.stranger(),
            held,
            token: token.to_owned(),
            link: link["id"].as_str().expect("an id").to_owned(),
            list,
            app,
        }
    }

    async fn add(&self, what: &str) {
        let add = json!({"type": "create", "text": what, "list": self.list});
        command(&self.app, "todo", add).await;
    }

    pub(crate) async fn revoke(&self) {
        let revoke = json!({"type": "revoke_link", "id": self.list, "link": self.link});
        command(&self.app, "list", revoke).await;
        // From now on, the link opens nothing.
        let query = format!("/api/todos?list={}&link={}", self.list, self.token);
        let asked = self.reader.get(&query).await;
        assert_eq!(asked.status(), StatusCode::NOT_FOUND);
    }
}

async fn command(app: &TestApp, what: &str, command: Value) -> Value {
    let request = Request::post(format!("/api/commands/{what}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(command.to_string().into());
    let response = app.send(request.expect("a request")).await;
    let status = response.status();
    let answer = body(response).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

#[tokio::test]
async fn page_is_not_shown_if_its_link_is_revoked_while_it_is_read() {
    for path in ["/lists/LIST?link=LINK", "/api/todos?list=LIST&link=LINK"] {
        let world = World::new("read").await;
        world.add("Known").await;
        let path = path.replace("LIST", &world.list);
        let path = path.replace("LINK", &world.token);
        let shown = world.reader.get(&path).await;
        assert!(text(shown).await.contains("Known"));
        let (mut is_read, holder) = world.held.hold(Hold::Before);
        let asked = world.reader.get(&path);
        let shut_out = async {
            is_read.recv().await.expect("the page is read");
            world.add("Secret").await;
            world.revoke().await;
            drop(holder);
        };
        let (answer, ()) = tokio::join!(asked, shut_out);
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!text(answer).await.contains("Secret"));
    }
}

#[tokio::test]
async fn event_from_before_a_revocation_is_not_sent_after_it() {
    let world = World::new("read").await;
    let path = format!("/api/events?link={}", world.token);
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
    let world = World::new("edit").await;
    let path = format!("/api/sse/todos?list={}&link={}", world.list, world.token);
    let mut stream = world.reader.stream(&path, None).await;
    stream.next().await;
    world.revoke().await;
    let told = stream.next_with("now").await;
    assert_eq!(told.event, "datastar-reload");
    assert!(stream.ends().await);
}

#[tokio::test]
async fn page_reloads_when_its_visitor_may_do_less_than_it_shows() {
    let world = World::new("read").await;
    // The owner came by a link for reading.
    let path = format!("/api/sse/todos?list={}&link={}", world.list, world.token);
    let mut stream = world.app.stream(&path, None).await;
    let shown = stream.next().await;
    assert!(shown.data.contains("toggle-all"), "{}", shown.data);
    let handed_over = json!({"type": "handed_over", "to": format!("user/{}", Uuid::from_u128(1))});
    let event = NewEvent {
        event_type: "handed_over".to_owned(),
        schema_version: 1,
        payload: Payload::of(&handed_over).expect("JSON"),
        metadata: Metadata::new(Uuid::from_u128(2)),
    };
    let list = StreamId::new("List", world.list.clone());
    let append = Append::to_stream(list, ExpectedSequence::Any, vec![event]);
    world.app.store.append(append).await.expect("appended");
    // There was no hint, so the feed reads the log at the next event.
    world.app.create("Elsewhere").await;
    let told = stream.next_with("now").await;
    assert_eq!(told.event, "datastar-reload");
    let path = format!("/lists/{}?link={}", world.list, world.token);
    let page = text(world.app.get(&path).await).await;
    assert!(
        page.contains("You can view this list") && !page.contains("new-todo"),
        "{page}"
    );
}
