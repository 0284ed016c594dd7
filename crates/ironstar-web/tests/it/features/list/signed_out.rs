//! Pages, streams and forms of lists, after their owner has signed out.

use axum::http::{Request, StatusCode};
use serde_json::json;

use super::{LIST, list, post};
use crate::accounts::{World, refuse_late_requests};
use crate::features;

#[tokio::test]
async fn stream_from_before_a_sign_out_shows_nothing_that_happens_after_it() {
    let world = World::on(features::setup()).await;
    let (thief, owner) = (&world.app, world.app.stranger());
    world.sign_in(thief, "octocat").await;
    let id = list(thief, "Mine").await;
    let path = format!("/api/sse/todos?list={id}");
    let mut stream = thief.stream(&path, None).await;
    stream.next_with("id=\"panel\"").await;
    // The stream is open, and the test does not read it. The list stays the user's.
    let kept = thief.with_cookie(thief.cookie());
    kept.form(Request::post("/sign-out"), "").await;
    world.sign_in(&owner, "octocat").await;
    let rename = json!({"type": "rename", "id": id, "name": "Secret"});
    assert_eq!(post(&owner, "list", rename).await.0, StatusCode::OK);
    let link = json!({"type": "create_link", "id": id, "access": "edit"});
    assert_eq!(post(&owner, "list", link).await.0, StatusCode::OK);
    // The heading and the panel have been drawn by then.
    let mut own = owner.stream(&path, None).await;
    own.next_with("link=").await;
    let rest = stream.rest().await.expect("the stream ends");
    for event in &rest {
        let is_told = event.data.contains("Secret") || event.data.contains("link=");
        assert!(!is_told, "{}", event.data);
    }
    assert!(rest.iter().any(|event| event.event == "datastar-reload"));
}

#[tokio::test]
async fn stream_of_all_lists_has_the_theme_and_reloads_its_page_after_a_sign_out() {
    let world = World::on(features::setup()).await;
    let app = &world.app;
    world.sign_in(app, "octocat").await;
    list(app, "Mine").await;
    let mut stream = app.stream(LIST.stream_of_all, None).await;
    stream.next_with(">Mine<").await;
    app.form(Request::post("/theme"), "theme=dark").await;
    let themes = stream.next_with("data-theme=\"dark\"").await;
    assert!(themes.data.contains("id=\"themes\""), "{}", themes.data);
    app.form(Request::post("/sign-out"), "").await;
    assert_eq!(stream.next_with("soon").await.event, "datastar-reload");
    assert!(stream.ends().await);
}

#[tokio::test]
async fn rename_that_arrives_completely_after_a_sign_out_has_no_identity() {
    refuse_late_requests(&LIST, "/lists/ID/rename").await;
}
