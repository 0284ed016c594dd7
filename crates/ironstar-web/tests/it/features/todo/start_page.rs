//! A start page with the visitor's own list, which begins with the first todo.

use std::sync::Arc;

use axum::http::{Request, StatusCode, header};
use ironstar_web::features::{Home, features as of_site};
use serde_json::{Value, json};

use crate::app::{Setup, TestApp, json as body, text};
use crate::features;
use crate::features::list::{list, post};
use crate::held::{HeldStore, Hold};
use crate::sessions::{begin, principal};

#[tokio::test]
async fn own_start_page_begins_with_the_first_todo() {
    let setup = Setup {
        site_features: of_site(Home::Own),
        ..features::setup()
    };
    let app = TestApp::with(setup).await;
    let page = text(app.get("/").await).await;
    assert!(
        page.contains("Your own list") && page.contains("action=\"/first\""),
        "{page}"
    );
    assert_eq!(app.sessions.count(), 0);
    let blank = app.form(Request::post("/first"), "text=%07").await;
    assert_eq!(blank.status(), StatusCode::BAD_REQUEST);
    let added = app.form(Request::post("/first"), "text=Milk").await;
    assert_eq!(added.headers()[header::LOCATION], "/");
    let page = text(app.get("/").await).await;
    assert!(
        page.contains("Milk") && page.contains("/api/sse/todos?list="),
        "{page}"
    );
    let again = app.form(Request::post("/first"), "text=Bread").await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_eq!(lists["open"].as_array().map(Vec::len), Some(1), "{lists}");
    let stranger = text(app.stranger().get("/").await).await;
    assert!(!stranger.contains("Milk"));
    // The shared list still exists, and links to its own parts.
    let shared = text(app.get("/lists/shared").await).await;
    assert!(shared.contains("href=\"/lists/shared/active\""), "{shared}");
    assert_eq!(lists["open"][0]["owner"], json!(principal(&app).await));
}

#[tokio::test]
async fn start_page_without_a_list_reloads_when_its_visitor_has_one() {
    let app = features::app().await;
    begin(&app).await;
    let (stranger, unknown) = (app.stranger(), app.stranger());
    begin(&stranger).await;
    let mut mine = app.stream("/api/sse/first", None).await;
    let mut others = stranger.stream("/api/sse/first", None).await;
    let mut unknowns = unknown.stream("/api/sse/first", None).await;
    list(&stranger, "Theirs").await;
    assert_eq!(others.next().await.event, "datastar-reload");
    assert!(others.ends().await);
    app.form(Request::post("/theme"), "theme=dark").await;
    mine.next_with("data-theme=\"dark\"").await;
    let id = list(&app, "Mine").await;
    assert_eq!(mine.next().await.event, "datastar-reload");
    // A visitor who has a list is told at once, and again when an archived one is restored.
    let mut late = app.stream("/api/sse/first", None).await;
    assert_eq!(late.next().await.event, "datastar-reload");
    let archive = json!({"type": "archive", "id": id});
    assert_eq!(post(&app, "list", archive).await.0, StatusCode::OK);
    let mut mine = app.stream("/api/sse/first", None).await;
    let restore = json!({"type": "restore", "id": id});
    assert_eq!(post(&app, "list", restore).await.0, StatusCode::OK);
    assert_eq!(mine.next().await.event, "datastar-reload");
    app.shutdown.cancel();
    assert_eq!(unknowns.rest().await.map(|rest| rest.len()), Some(0));
}

#[tokio::test]
async fn first_list_is_created_once_by_concurrent_requests() {
    let held = Arc::new(HeldStore::default());
    let app = TestApp::with(Setup {
        site_features: of_site(Home::Own),
        projections: held.clone(),
        ..features::setup()
    })
    .await;
    begin(&app).await;
    let page = text(app.get("/").await).await;
    let (_, key) = page.split_once("name=\"key\" value=\"").expect("a key");
    let key = key.split('"').next().expect("its end");
    assert!(!key.is_empty());
    let first = || app.form(Request::post("/first"), format!("text=Milk&key={key}"));
    // The first request finds no list, and creates one after the second request has.
    let (is_read, holder) = held.hold(Hold::After);
    let other = async {
        is_read.await.expect("the lists are read");
        let other = first().await;
        drop(holder);
        other
    };
    let (late, early) = tokio::join!(first(), other);
    for answer in [late, early] {
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    }
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_eq!(lists["open"].as_array().map(Vec::len), Some(1), "{lists}");
    let page = text(app.get("/").await).await;
    assert_eq!(page.matches(">Milk</label>").count(), 1, "{page}");

    // An archived list is kept, and the next first list is another one.
    let id = lists["open"][0]["id"].as_str().expect("an id");
    app.form(Request::post(format!("/lists/{id}/archive")), "")
        .await;
    let page = text(app.get("/").await).await;
    assert!(page.contains("Your list was archived"), "{page}");
    app.form(Request::post("/first"), "text=Bread").await;
    let page = text(app.get("/").await).await;
    assert!(page.contains(">Bread</label>") && !page.contains(">Milk</label>"));
    let lists: Value = body(app.get("/api/lists").await).await;
    assert_ne!(lists["open"][0]["id"], json!(id));
}
