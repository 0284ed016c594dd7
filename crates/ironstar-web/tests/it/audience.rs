//! The events that a stream sends to its caller, and the metadata that it leaves out.

use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};

use crate::accounts::{World, create_note};
use crate::app::{COMMAND, TestApp};
use crate::sessions::principal;

#[tokio::test]
async fn ids_of_a_command_are_sent_to_its_sender_only() {
    let world = World::new().await;
    let (app, stranger) = (&world.app, world.app.stranger());
    app.form(Request::post("/theme"), "theme=dark").await;
    let create = Request::post(COMMAND)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "page.1")
        .header("x-request-id", "request-1")
        .body(
            json!({"type": "create", "text": "The end"})
                .to_string()
                .into(),
        );
    let created = app.send(create.expect("a request")).await;
    assert_eq!(created.status(), StatusCode::OK);
    for (app, is_known) in [(app, true), (&stranger, false)] {
        let told = told(app, "The end").await;
        let metadata = &told.last().expect("an event")["metadata"];
        for (id, value) in [("causation_id", "page.1"), ("correlation_id", "request-1")] {
            let expected = if is_known { json!(value) } else { Value::Null };
            assert_eq!(metadata[id], expected, "{metadata}");
        }
        assert!(metadata["actor"].is_string(), "{metadata}");
    }
}

/// The events that a stream of the whole log sends, up to a remark of this text.
async fn told(app: &TestApp, until: &str) -> Vec<Value> {
    let mut events = app.stream("/api/events?after=0", None).await;
    let mut told = Vec::new();
    loop {
        let event = events.next().await;
        let event: Value = serde_json::from_str(&event.data).expect("JSON");
        let is_last = event["payload"]["text"] == json!(until);
        told.push(event);
        if is_last {
            return told;
        }
    }
}

#[tokio::test]
async fn events_of_a_user_are_sent_to_that_user_only_and_identities_to_no_caller() {
    let world = World::new().await;
    let other = world.app.stranger();
    world.sign_in(&world.app, "octocat").await;
    world.sign_in(&other, "hubot").await;
    other.create("The end").await;
    let log = world.app.store_log().await;
    let of = |types: &[&str]| {
        let events = log.iter().map(|event| &*event.stream.aggregate_type);
        events.filter(|known| types.contains(known)).count()
    };
    assert_eq!((of(&["User"]), of(&["Identity"])), (8, 2));
    let user = principal(&world.app).await.expect("a user");
    for (app, count) in [(&world.app, 4), (&world.app.stranger(), 0)] {
        let told = told(app, "The end").await;
        assert_eq!(told.len(), count + 1, "{told:?}");
        for event in &told[..count] {
            let id = event["aggregate_id"].as_str().expect("an id");
            assert_eq!(format!("user/{id}"), user, "{event}");
        }
    }
}

#[tokio::test]
async fn user_gets_the_events_of_a_note_from_its_hand_over_on() {
    let world = World::new().await;
    let (laptop, phone) = (&world.app, world.app.stranger());
    world.sign_in(laptop, "octocat").await;
    let mut events = laptop.stream("/api/events", None).await;
    let note = create_note(&phone, "Groceries").await;
    let note = &note["/notes/".len()..];
    // The laptop's first event is a later one, so it has got no event of this note.
    phone.create("Milk").await;
    assert!(events.next().await.data.contains("Milk"));
    world.sign_in(&phone, "octocat").await;
    let told = events.next_with("handed_over").await;
    assert!(told.data.contains(note), "{}", told.data);
    let log = phone.store_log().await;
    let handed_over = log.iter().find(|event| event.event_type == "handed_over");
    let actor = &handed_over.expect("in the log").metadata.origin.actor;
    assert!(
        actor
            .as_deref()
            .is_some_and(|actor| actor.starts_with("user/")),
        "{actor:?}"
    );
    let rewrite = json!({"type": "rewrite", "id": note, "text": "Food"});
    phone.post("note", rewrite).await;
    assert!(events.next().await.data.contains("Food"));
}
