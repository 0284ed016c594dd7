//! Pages that were in the background, or without a network, while something about their
//! visitor changed.

use axum::http::{Request, StatusCode};

use crate::accounts::{World, page};
use crate::app::{STREAM, Setup, TestApp};
use crate::kinds::{Kind, NOTE};
use crate::revoked;

/// Loads a page, and returns the visitor that it says it was drawn for.
async fn drawn_for(app: &TestApp, path: &str) -> String {
    let (status, page) = page(app, path).await;
    assert_eq!(status, StatusCode::OK);
    let (_, rest) = page
        .split_once("data-drawn-for=\"")
        .expect("the page names its visitor");
    rest.split_once('"').expect("an end").0.to_owned()
}

/// Tells when a page that was drawn for a visitor must reload; `None` if it need not.
async fn reload(app: &TestApp, path: &str, drawn_for: &str) -> Option<String> {
    let mut stream = app.stream_of_page(path, drawn_for).await;
    let first = stream.next().await;
    if first.event != "datastar-reload" {
        return None;
    }
    assert!(stream.ends().await);
    Some(first.data)
}

#[tokio::test]
async fn page_reloads_if_its_visitor_has_another_identity_by_now() {
    reload_for_another_identity(Setup::default(), "/notes", [STREAM, "/api/sse/notes"]).await;
}

/// Checks that the streams of a site reload a page that was drawn for another identity.
pub(crate) async fn reload_for_another_identity(site: Setup, page: &str, streams: [&str; 2]) {
    let world = World::on(site).await;
    let app = &world.app;
    for stream in streams {
        let at_first = drawn_for(app, page).await;
        assert_eq!(reload(app, stream, &at_first).await, None);
        // The page of a visitor whose session has just begun does not reload.
        app.form(Request::post("/theme"), "theme=dark").await;
        assert_eq!(reload(app, stream, &at_first).await, None);

        let as_guest = drawn_for(app, "/").await;
        assert_eq!(reload(app, stream, &as_guest).await, None);
        world.sign_in(app, "octocat").await;
        for before in [&at_first, &as_guest] {
            let told = reload(app, stream, before).await;
            assert_eq!(told.as_deref(), Some("when now"), "{before}");
        }
        let as_user = drawn_for(app, "/").await;
        assert_eq!(reload(app, stream, &as_user).await, None);

        app.form(Request::post("/sign-out"), "").await;
        let told = reload(app, stream, &as_user).await;
        assert_eq!(told.as_deref(), Some("when now"));
        // The visitor's new cookie may still be on its way.
        let without_cookie = app.stranger();
        let told = reload(&without_cookie, stream, &as_user).await;
        assert_eq!(told.as_deref(), Some("when soon"));
    }
}

#[tokio::test]
async fn page_of_a_note_that_is_gone_reloads() {
    reload_when_gone(&NOTE).await;
}

/// Checks that the page of an aggregate reloads when its visitor may not see it any more.
pub(crate) async fn reload_when_gone(kind: &'static Kind) {
    let world = revoked::World::new(kind, "read").await;
    let path = world.at(kind.stream);
    assert_eq!(reload(&world.reader, &path, "nobody").await, None);
    world.revoke().await;
    let told = reload(&world.reader, &path, "nobody").await;
    assert_eq!(told.as_deref(), Some("when now"));
    // A program gets the error.
    let answer = world.reader.get(&path).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn page_that_comes_back_gets_the_visitors_theme() {
    let world = World::new().await;
    let app = &world.app;
    for theme in ["dark", "light", "auto"] {
        app.form(Request::post("/theme"), format!("theme={theme}"))
            .await;
        for stream in [STREAM, "/api/sse/notes"] {
            let mut stream = app.stream(stream, None).await;
            let themes = stream.next_with("id=\"themes\"").await;
            let chosen = format!("data-theme=\"{theme}\"");
            assert!(themes.data.contains(&chosen), "{}", themes.data);
        }
    }
}
