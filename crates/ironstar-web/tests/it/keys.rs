//! Idempotency keys belong to the senders who chose them.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use ironstar_ports::{
    Append, CommandRecord, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Position,
    StreamId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{COMMAND, Setup, TestApp, json as body, text};
use crate::kinds::{Kind, NOTE, at};
use crate::sessions::principal;

pub(crate) async fn with_session(app: &TestApp) -> TestApp {
    let app = app.stranger();
    let begin = Request::post("/api/session").header("idempotency-key", "6");
    let begun = app.send(begin.body("".into()).expect("a request")).await;
    assert_eq!(begun.status(), StatusCode::OK);
    app
}

fn create() -> Value {
    json!({"type": "create", "text": "Milk", "command_id": "6"})
}

/// Sends a command, or a form, from an address.
async fn from(app: &TestApp, peer: &str, mut request: Request<Body>) -> Response {
    let peer = SocketAddr::new(peer.parse().expect("an address"), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    app.send(request).await
}

async fn command_from(app: &TestApp, peer: &str, command: &Value) -> (StatusCode, Value) {
    let request = Request::post(COMMAND)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(command.to_string().into())
        .expect("a request");
    let answer = from(app, peer, request).await;
    (answer.status(), body(answer).await)
}

#[tokio::test]
async fn two_sessions_use_the_same_key_for_two_commands() {
    expect_keys_on_parts(&NOTE).await;
}

/// Checks that two senders use the same key for two new parts of an open aggregate.
pub(crate) async fn expect_keys_on_parts(kind: &Kind) {
    let app = TestApp::with((kind.setup)()).await;
    let (a, b) = (with_session(&app).await, with_session(&app).await);
    assert_ne!(principal(&a).await, principal(&b).await);
    let (_, first) = a.post(kind.part, create()).await;
    let (status, second) = b.post(kind.part, create()).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(first["id"], second["id"]);
    assert_eq!(app.head().await, Position::new(2));
    assert_eq!(a.post(kind.part, create()).await.1, first);
    assert_eq!(b.post(kind.part, create()).await.1, second);
    // A sender who knows the key of another neither learns nor blocks that command.
    let tea = json!({"type": "create", "text": "Tea", "command_id": "6"});
    let (status, third) = with_session(&app).await.post(kind.part, tea.clone()).await;
    assert_eq!(status, StatusCode::OK, "{third}");
    let (status, problem) = a.post(kind.part, tea).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
}

#[tokio::test]
async fn commands_on_all_remarks_and_links_have_keys_of_their_senders() {
    expect_keys_on_all_parts_and_links(&NOTE).await;
}

/// Checks that a key of a command on all parts, or on the links of an aggregate, is its sender's.
pub(crate) async fn expect_keys_on_all_parts_and_links(kind: &Kind) {
    let app = TestApp::with((kind.setup)()).await;
    let (a, b) = (with_session(&app).await, with_session(&app).await);
    app.create("Milk").await;
    let parts = format!("{}s", kind.part);
    let change = json!({"type": kind.on_all, "command_id": "6"});
    let (_, first) = a.post(&parts, change.clone()).await;
    assert_eq!(first["changed"], 1);
    app.create("Tea").await;
    let (_, second) = b.post(&parts, change.clone()).await;
    assert_eq!(second["changed"], 1, "{second}");
    assert_eq!(a.post(&parts, change).await.1, first);

    for sender in [&a, &b] {
        let id = kind.create(sender, "Shopping").await;
        let link = json!({"type": "create_link", "id": id, "access": "read", "command_id": "7"});
        let (status, made) = sender.post(kind.name, link.clone()).await;
        assert_eq!(status, StatusCode::OK, "{made}");
        assert_eq!(sender.post(kind.name, link).await.1, made);
        assert_eq!(kind.links(sender, &id).await.len(), 1);
    }
}

#[tokio::test]
async fn visitors_without_a_session_are_told_apart_by_their_address() {
    let app = TestApp::init().await;
    let (_, first) = command_from(&app, "192.0.2.1", &create()).await;
    let (_, second) = command_from(&app, "192.0.2.2", &create()).await;
    assert_ne!(first["id"], second["id"]);
    assert_eq!(command_from(&app, "192.0.2.1", &create()).await.1, first);
    // One IPv6 network is one client.
    let (_, third) = command_from(&app, "2001:db8::1", &create()).await;
    assert_eq!(command_from(&app, "2001:db8::2", &create()).await.1, third);
    let (status, fourth) = command_from(&app, "2001:db8:0:1::1", &create()).await;
    assert_eq!(status, StatusCode::OK, "{fourth}");
    assert_eq!(app.head().await, Position::new(4));
    for event in app.store_log().await {
        let event = format!("{event:?}");
        assert!(!event.contains("192.0.2."), "the log has no address");
    }
}

#[tokio::test]
async fn form_that_is_sent_twice_at_a_first_visit_is_one_command() {
    expect_first_form_once(Setup::default(), "/").await;
}

/// Checks that a form for a new part of an open aggregate is one command, if it is sent twice
/// before its sender has a cookie.
pub(crate) async fn expect_first_form_once(site: Setup, path: &str) {
    let app = TestApp::with(site).await;
    let form = || {
        Request::post(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("text=Milk&key=0a1b".into())
            .expect("a request")
    };
    let (one, two) = (app.stranger(), app.stranger());
    for visitor in [&one, &two] {
        let sent = from(visitor, "192.0.2.1", form()).await;
        assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(app.head().await, Position::new(1));
    // The cookie has arrived, and the form is sent again from another address.
    from(&one, "192.0.2.9", form()).await;
    assert_eq!(app.head().await, Position::new(1));
    from(&app.stranger(), "192.0.2.2", form()).await;
    assert_eq!(app.head().await, Position::new(2));
}

/// Stores a command as it was stored before keys had senders: the key without a sender, and
/// the request. The event is a schema version and a payload.
pub(crate) async fn stored_before(
    app: &TestApp,
    key: &str,
    asked: &str,
    stream: &StreamId,
    (schema_version, event): (u32, &Value),
) {
    let event = NewEvent {
        event_type: "created".to_owned(),
        schema_version,
        payload: Payload::of(event).expect("JSON"),
        metadata: Metadata::new(Uuid::nil()),
    };
    let mut append = Append::to_stream(stream.clone(), ExpectedSequence::NoStream, vec![event]);
    let key = key.parse().expect("a key");
    append.command = Some(CommandRecord::new(key, asked.to_owned()));
    app.store.append(append).await.expect("appended");
}

#[tokio::test]
async fn keys_that_were_stored_without_a_sender_are_still_known() {
    let app = TestApp::init().await;
    let a = with_session(&app).await;
    let who = principal(&a).await.expect("a guest");
    let create = r#"{"type":"create","text":"Shopping"}"#;
    let created = json!({"type": "created", "text": "Shopping", "owner": who});
    let stream = StreamId::new("Note", Uuid::from_u128(8).to_string());
    let asked = format!(r#"["Note {who}",null,null,{create}]"#);
    stored_before(&app, "8", &asked, &stream, (1, &created)).await;

    let again = json!({"type": "create", "text": "Shopping", "command_id": "8"});
    let (status, answer) = a.post("note", again.clone()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["id"], stream.aggregate_id);
    assert_eq!(app.head().await, Position::new(1));
    let page = a.get(&at(NOTE.page, &stream.aggregate_id, None)).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(text(page).await.contains("Shopping"));
    // The key tells another guest nothing, and refuses none of their commands.
    let b = with_session(&app).await;
    let (status, other) = b.post("note", again).await;
    assert_eq!(status, StatusCode::OK, "{other}");
    assert_ne!(other["id"], answer["id"]);
}
