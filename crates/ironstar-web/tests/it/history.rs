//! Places of another history of the log, which clients name after a restore.

use axum::http::StatusCode;
use ironstar_ports::{LogPlace, Position};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{TestApp, json as body, text};

/// An application with `count` todos.
async fn with_todos(count: u64) -> TestApp {
    let app = TestApp::init().await;
    for number in 1..=count {
        app.create(&format!("Todo {number}")).await;
    }
    app
}

/// The place of a position in the log.
async fn place(app: &TestApp, position: u64) -> LogPlace {
    let index = usize::try_from(position).expect("few") - 1;
    app.store_log().await[index].place()
}

/// The place of a position in another history.
fn elsewhere(position: u64) -> LogPlace {
    LogPlace::of(Position::new(position), Uuid::from_u128(1))
}

#[tokio::test]
async fn program_is_told_to_begin_again_after_a_place_of_another_history() {
    let app = with_todos(3).await;
    for place in [elsewhere(1), elsewhere(3), elsewhere(10)] {
        let id = place.to_string();
        let resumed = app.stream("/api/events", Some(&id)).await;
        let after = app.stream(&format!("/api/events?after={id}"), None).await;
        for mut events in [resumed, after] {
            let reset = events.next_marked().await;
            assert_eq!((&*reset.event, &*reset.id), ("log-reset", "0"), "{id}");
            assert!(
                !reset.data.is_empty(),
                "an EventSource hands on events with data only"
            );
            for number in 1..=3 {
                let event = events.next().await;
                assert_eq!(
                    (&*event.event, event.id),
                    ("created", number.to_string()),
                    "{id}"
                );
            }
        }
    }
}

#[tokio::test]
async fn program_goes_on_after_a_place_of_this_history() {
    let app = with_todos(3).await;
    let id = place(&app, 2).await.to_string();
    let resumed = app.stream("/api/events", Some(&id)).await;
    let after = app.stream(&format!("/api/events?after={id}"), None).await;
    let plain = app.stream("/api/events", Some("2")).await;
    for mut events in [resumed, after, plain] {
        let event = events.next_marked().await;
        assert_eq!(event.id, place(&app, 3).await.to_string());
    }
}

#[tokio::test]
async fn page_gets_the_whole_view_after_a_place_of_another_history() {
    let app = with_todos(3).await;
    for path in ["/api/sse/todos", "/api/sse/lists"] {
        // The first place has the head's position by chance. A page that only compared
        // positions would wait for ever.
        for stale in [elsewhere(3), elsewhere(1), elsewhere(10)] {
            let mut stream = app.stream(path, Some(&stale.to_string())).await;
            let whole = stream.next_marked().await;
            assert_eq!(whole.id, place(&app, 3).await.to_string(), "{path} {stale}");
        }
    }
}

#[tokio::test]
async fn page_goes_on_after_a_place_of_this_history() {
    let app = with_todos(3).await;
    let id = place(&app, 3).await.to_string();
    let page = text(app.get("/").await).await;
    assert!(page.contains(&format!("'last-event-id': '{id}'")), "{page}");
    let mut stream = app.stream("/api/sse/todos", Some(&id)).await;
    app.create("Todo 4").await;
    let summary = stream.next().await;
    assert_eq!(summary.id, "", "a patch, and more to come");
    let added = stream.next_marked().await;
    assert!(added.data.contains("Todo 4") && !added.data.contains("Todo 3"));
    assert_eq!(added.id, place(&app, 4).await.to_string());
}

#[tokio::test(start_paused = true)]
async fn query_is_refused_at_once_for_a_place_of_another_history() {
    let app = with_todos(3).await;
    let start = Instant::now();
    for place in [elsewhere(3), elsewhere(10)] {
        let response = app.get(&format!("/api/todos?at_least={place}")).await;
        assert_eq!(response.status(), StatusCode::CONFLICT, "{place}");
        let problem = body(response).await;
        assert_eq!(problem["type"], "/problems/other-history");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(&place.to_string()), "{detail}");
    }
    assert_eq!(start.elapsed().as_secs(), 0, "nothing was waited for");
}

/// A command on the shared list, and its answer.
async fn answer(app: &TestApp, path: &str, command: Value) -> Value {
    use axum::body::Body;
    use axum::http::{Request, header};
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(command.to_string()))
        .expect("a request");
    body(app.send(request).await).await
}

#[tokio::test]
async fn command_answers_a_place_that_queries_take() {
    let app = TestApp::init().await;
    let create = json!({"type": "create", "text": "One", "command_id": "key"});
    let first = answer(&app, "/api/commands/todo", create.clone()).await;
    assert_eq!(first["place"], place(&app, 1).await.to_string());
    let again = answer(&app, "/api/commands/todo", create).await;
    assert_eq!(again, first, "the command is the same");
    let rename = json!({"type": "rename", "id": first["id"], "text": "One"});
    let unchanged = answer(&app, "/api/commands/todo", rename).await;
    assert_eq!(unchanged["place"], first["place"], "nothing has changed");
    for (command, position) in [("complete_all", 2), ("complete_all", 2)] {
        let all = answer(&app, "/api/commands/todos", json!({"type": command})).await;
        assert_eq!(all["position"], position);
        assert_eq!(all["place"], place(&app, position).await.to_string());
        let query = format!(
            "/api/todos?at_least={}",
            all["place"].as_str().expect("text")
        );
        let seen = body(app.get(&query).await).await;
        assert_eq!(
            (&seen["position"], &seen["place"]),
            (&all["position"], &all["place"])
        );
    }
}
