//! Places of another history of the log, which clients name after a restore.

use axum::http::StatusCode;
use ironstar_ports::{LogPlace, Position};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::{STREAM, TestApp, json as body, text};
use crate::kinds::{Kind, NOTE};

/// An application with `count` remarks.
async fn with_remarks(count: u64) -> TestApp {
    let app = TestApp::init().await;
    add(&app, count).await;
    app
}

/// Adds `count` parts.
async fn add(app: &TestApp, count: u64) {
    for number in 1..=count {
        app.create(&format!("Remark {number}")).await;
    }
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
    let app = with_remarks(3).await;
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
    let app = with_remarks(3).await;
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
    expect_whole_view_after_another_history(&NOTE).await;
}

/// Checks that the pages of a kind do not go on after a place of another history.
pub(crate) async fn expect_whole_view_after_another_history(kind: &Kind) {
    let app = kind.app().await;
    add(&app, 3).await;
    for path in [kind.open_stream, kind.stream_of_all] {
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
    let app = with_remarks(3).await;
    let id = place(&app, 3).await.to_string();
    let page = text(app.get("/").await).await;
    assert!(page.contains(&format!("'last-event-id': '{id}'")), "{page}");
    let mut stream = app.stream(STREAM, Some(&id)).await;
    app.create("Remark 4").await;
    let added = stream.next_marked().await;
    assert!(added.data.contains("Remark 4") && !added.data.contains("Remark 3"));
    assert_eq!(added.id, place(&app, 4).await.to_string());
}

#[tokio::test(start_paused = true)]
async fn query_is_refused_at_once_for_a_place_of_another_history() {
    expect_no_query_of_another_history(&NOTE).await;
}

/// Checks that a query for parts refuses a place of another history, and does not wait for it.
pub(crate) async fn expect_no_query_of_another_history(kind: &Kind) {
    let app = kind.app().await;
    add(&app, 3).await;
    let start = Instant::now();
    for place in [elsewhere(3), elsewhere(10)] {
        let query = format!("{}?at_least={place}", kind.open_query());
        let response = app.get(&query).await;
        assert_eq!(response.status(), StatusCode::CONFLICT, "{place}");
        let problem = body(response).await;
        assert_eq!(problem["type"], "/problems/other-history");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(&place.to_string()), "{detail}");
    }
    assert_eq!(start.elapsed().as_secs(), 0, "nothing was waited for");
}

#[tokio::test]
async fn command_answers_a_place_that_queries_take() {
    expect_places_that_queries_take(&NOTE).await;
}

/// Checks that commands answer places, and that queries wait for them.
pub(crate) async fn expect_places_that_queries_take(kind: &Kind) {
    let app = kind.app().await;
    let create = json!({"type": "create", "text": "One", "command_id": "key"});
    let first = app.post(kind.part, create.clone()).await.1;
    assert_eq!(first["place"], place(&app, 1).await.to_string());
    let again = app.post(kind.part, create).await.1;
    assert_eq!(again, first, "the command is the same");
    let rewrite = json!({"type": kind.rewrite, "id": first["id"], "text": "One"});
    let unchanged = app.post(kind.part, rewrite).await.1;
    assert_eq!(unchanged["place"], first["place"], "nothing has changed");
    let parts = format!("{}s", kind.part);
    for (command, position) in [(kind.on_all, 2), (kind.on_all, 2)] {
        let all = app.post(&parts, json!({"type": command})).await.1;
        assert_eq!(all["position"], position);
        assert_eq!(all["place"], place(&app, position).await.to_string());
        let at_least = all["place"].as_str().expect("text");
        let query = format!("{}?at_least={at_least}", kind.open_query());
        let seen = body(app.get(&query).await).await;
        assert_eq!(
            (&seen["position"], &seen["place"]),
            (&all["position"], &all["place"])
        );
    }
}
