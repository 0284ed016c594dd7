use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use ironstar_ports::Position;

use crate::app::{TestApp, text};
use crate::features;

async fn plain(app: &TestApp, path: &str, body: &str) -> Response {
    let request = Request::post(path).header(header::ACCEPT, "text/html,*/*;q=0.8");
    app.form(request, body.to_owned()).await
}

async fn datastar(app: &TestApp, path: &str, body: &str) -> Response {
    let request = Request::post(path).header("datastar-request", "true");
    app.form(request, body.to_owned()).await
}

#[tokio::test]
async fn a_plain_form_leads_back_to_the_page_which_shows_what_was_done() {
    let app = features::app().await;
    let response = plain(&app, "/todos", "text=Buy+milk").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()[header::LOCATION], "/");
    assert!(text(app.get("/").await).await.contains(">Buy milk<"));

    let id = app.create("Call Ada").await;
    for (action, body, expected) in [
        ("complete", "", "aria-checked=\"true\""),
        ("reopen", "", ">Call Ada<"),
        ("rename", "text=Call+Bob", ">Call Bob<"),
        ("delete", "", ">Buy milk<"),
    ] {
        let response = plain(&app, &format!("/todos/{id}/{action}"), body).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{action}");
        let page = text(app.get("/").await).await;
        assert!(page.contains(expected), "{action}: {page}");
    }
    assert!(!text(app.get("/").await).await.contains("Call Bob"));
}

#[tokio::test]
async fn todo_that_is_added_beyond_the_page_has_an_address() {
    let app = features::app().await;
    let followed = async |response: Response| {
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let location = response.headers()[header::LOCATION].to_str();
        let location = location.expect("text").to_owned();
        let page = text(app.get(&location).await).await;
        (location, page)
    };
    app.create("First").await;
    // A page that does not show active todos.
    let response = plain(&app, "/todos?show=completed", "text=Second").await;
    let (location, page) = followed(response).await;
    assert!(location == "/" && page.contains(">Second<"), "{location}");
    let response = datastar(&app, "/todos", "text=Third").await;
    assert!(!text(response).await.contains("Show it"));
    for number in 3..60 {
        app.create(&format!("Todo {number}")).await;
    }
    let (location, page) = followed(plain(&app, "/todos", "text=Far+down").await).await;
    assert!(page.contains(">Far down<"), "{location}");
    let added = text(datastar(&app, "/todos", "text=Further+down").await).await;
    let (_, address) = added.split_once("href=\"").expect("a link");
    let (address, _) = address.split_once('"').expect("its end");
    let page = text(app.get(address).await).await;
    assert!(page.contains(">Further down<") && !page.contains(">Far down<"));
    // The live view of the page knows its end.
    let mut live = app.stream("/api/sse/todos", None).await;
    live.next().await;
    let added = text(datastar(&app, "/todos", "text=While+live").await).await;
    assert!(added.contains("Show it"), "{added}");
    // The last page shows the todo.
    let response = plain(&app, &format!("/todos{}", &location[1..]), "text=Last").await;
    let (again, page) = followed(response).await;
    assert!(again == location && page.contains(">Last<"), "{again}");
    // The next success replaces the message.
    let id = app.create("Next").await;
    let done = datastar(&app, &format!("/todos/{id}/complete"), "").await;
    assert!(text(done).await.contains("id=\"news\""));
}

#[tokio::test]
async fn a_refused_plain_form_shows_the_page_with_the_reason_and_what_was_typed() {
    let app = features::app().await;
    let response = plain(&app, "/todos", "text=a%07%22%3Cb%3E").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let page = text(response).await;
    assert!(page.contains("one line without control characters; this one has U+0007."));
    assert!(page.contains("value=\"a\u{7}&quot;&lt;b&gt;\""), "{page}");
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn pasted_tab_or_line_break_becomes_a_space_in_forms() {
    let app = features::app().await;
    let pasted = "text=Buy%09milk%0D%0Aand%0Aeggs%E2%80%A8now%E2%80%AE";
    let response = plain(&app, "/todos", pasted).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let page = text(app.get("/").await).await;
    assert!(page.contains(">Buy milk and eggs now<"), "{page}");
    let id = app.create("Call Ada").await;
    let rename = format!("/todos/{id}/rename");
    let response = datastar(&app, &rename, "text=Call%0ABob").await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = plain(&app, "/lists", "name=For%09Ada").await;
    let location = response.headers()[header::LOCATION].to_str().expect("text");
    let response = plain(&app, &format!("{location}/rename"), "name=For%0D%0ABob").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert!(text(app.get("/").await).await.contains(">Call Bob<"));
    assert!(text(app.get("/lists").await).await.contains("For Bob"));
}

#[tokio::test]
async fn a_refused_rename_keeps_its_editor_open_with_what_was_typed() {
    let app = features::app().await;
    let id = app.create("Buy milk").await;
    app.create("Call Ada").await;
    let long = "x".repeat(501);
    let response = plain(
        &app,
        &format!("/todos/{id}/rename"),
        &format!("text={long}"),
    )
    .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let page = text(response).await;
    assert!(
        page.contains(&format!("id=\"editor-{id}\" name=\"editor\" open")),
        "{page}"
    );
    assert_eq!(
        page.matches(&format!("value=\"{long}\"")).count(),
        1,
        "{page}"
    );
    assert!(page.contains(">Buy milk<") && page.contains("value=\"Call Ada\""));
}

#[tokio::test]
async fn every_refusal_of_a_plain_form_has_its_status() {
    let app = features::app().await;
    let id = app.create("Buy milk").await;
    let unknown = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    for (path, body, status) in [
        ("/todos".to_owned(), "text=%E2%80%8B", 400),
        (format!("/todos/{id}/rename"), "text=%E2%80%8B", 400),
        ("/todos".to_owned(), "text=Milk&text=Beer", 400),
        ("/todos/42/complete".to_owned(), "", 400),
        (format!("/todos/{unknown}/complete"), "", 404),
        (format!("/todos/{id}/paint"), "", 404),
        (format!("/todos/{id}/%ff"), "", 404),
        (format!("/todos/{id}/reopen"), "", 409),
    ] {
        let response = plain(&app, &path, body).await;
        assert_eq!(response.status().as_u16(), status, "{path} {body}");
        assert!(text(response).await.starts_with("<!DOCTYPE html>"));
    }
    let long = format!("text={}", "x".repeat(64 * 1024));
    let response = plain(&app, "/todos", &long).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let request = Request::post("/todos")
        .header(header::CONTENT_TYPE, "text/plain")
        .body("text=x".into())
        .expect("a request");
    let response = app.send(request).await;
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn datastar_gets_patches_on_a_200() {
    let app = features::app().await;
    let response = datastar(&app, "/todos", "text=Buy+milk").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    assert_eq!(text(response).await, nothing());

    let request = Request::post("/todos")
        .header("datastar-request", "true")
        .header("idempotency-key", "page.1");
    let response = app.form(request, "text=%E2%80%8B").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        text(response).await,
        notice("The text of a todo must not be empty.")
            + "event: datastar-refused\ndata: key page.1\n\n"
    );
    assert_eq!(app.head().await, Position::new(1));
}

/// The patch that shows a notice.
fn notice(text: &str) -> String {
    format!(
        "event: datastar-patch-elements\n\
         data: elements <p class=\"notice\" id=\"notice\" role=\"alert\">{text}</p>\n\n"
    )
}

/// The patch that removes the notices of all kinds.
fn nothing() -> &'static str {
    "event: datastar-patch-elements\n\
     data: elements <p class=\"notice\" id=\"notice\" role=\"alert\"></p>\
     <p class=\"notice good\" id=\"news\" role=\"status\"></p>\n\n"
}

#[tokio::test]
async fn rename_closes_its_editor_and_has_the_new_text_there() {
    let app = features::app().await;
    let id = app.create("Buy milk").await;
    let renamed = datastar(&app, &format!("/todos/{id}/rename"), "text=Buy+beer").await;
    let patches = text(renamed).await;
    let editor = format!("<details class=\"editor\" id=\"editor-{id}\"");
    let (_, editor) = patches.split_once(&editor).expect("its editor");
    let (tag, rest) = editor.split_once('>').expect("the end of the tag");
    assert!(!tag.contains("open"), "{patches}");
    assert!(rest.contains("value=\"Buy beer\""), "{patches}");
    let completed = datastar(&app, &format!("/todos/{id}/complete"), "").await;
    assert_eq!(text(completed).await, nothing());
}

#[tokio::test]
async fn key_that_a_page_uses_for_another_todo_is_refused() {
    let app = features::app().await;
    for (field, is_refused) in [("Milk", false), ("Milk", false), ("Beer", true)] {
        let request = Request::post("/todos")
            .header("datastar-request", "true")
            .header("idempotency-key", "page.1");
        let answer = text(app.form(request, format!("text={field}")).await).await;
        assert_eq!(answer.contains("datastar-refused"), is_refused, "{answer}");
    }
    assert_eq!(app.head().await, Position::new(1));
}

#[tokio::test]
async fn empty_text_creates_no_todo_and_deletes_an_existing_one() {
    let app = features::app().await;
    for body in ["text=", "text=+%09+", ""] {
        let response = plain(&app, "/todos", body).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{body}");
        let response = datastar(&app, "/todos", body).await;
        assert_eq!(text(response).await, nothing(), "{body}");
    }
    assert_eq!(app.head().await, Position::START);

    // A todo whose text is removed is deleted.
    for (nth, send) in [(0, true), (1, false)] {
        let id = app.create("Buy milk").await;
        let path = format!("/todos/{id}/rename");
        let response = if send {
            plain(&app, &path, "text=+").await
        } else {
            datastar(&app, &path, "text=+").await
        };
        assert!(!response.status().is_client_error());
        assert_eq!(app.head().await, Position::new(2 * (nth + 1)));
        let page = text(app.get("/").await).await;
        assert!(!page.contains("Buy milk"), "{page}");
    }
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_one_command() {
    let app = features::app().await;
    for _ in 0..2 {
        let response = plain(&app, "/todos", "text=Milk&key=once").await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
    }
    assert_eq!(app.head().await, Position::new(1));
    // A visitor who comes back to an old page may mean another todo.
    let response = plain(&app, "/todos", "text=Bread&key=once").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(app.head().await, Position::new(2));

    let id = app.create("Call Ada").await;
    for (path, expected) in [
        ("/todos".to_owned(), 4),
        (format!("/todos/{id}/complete"), 5),
        ("/todos/clear-completed".to_owned(), 6),
    ] {
        for _ in 0..2 {
            let request = Request::post(&path)
                .header("datastar-request", "true")
                .header("idempotency-key", format!("page.{expected}"));
            let response = app.form(request, "text=Tea").await;
            assert_eq!(text(response).await, nothing(), "{path}");
            assert_eq!(app.head().await, Position::new(expected), "{path}");
        }
    }
}
