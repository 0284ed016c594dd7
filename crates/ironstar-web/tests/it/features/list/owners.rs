//! Lists with an owner: the owner's view of them, and the answers to other visitors.

use axum::http::{Request, StatusCode, header};
use serde_json::json;

use super::{list, post, todo};
use crate::app::{json as body, text};
use crate::features;

#[tokio::test]
async fn lists_of_a_visitor_are_live_on_their_own_pages_only() {
    let app = features::app().await;
    let stranger = app.stranger();
    list(&stranger, "Other").await;
    let first = list(&app, "Shopping").await;
    let mut stream = app.stream("/api/sse/lists", None).await;
    let mut others = stranger.stream("/api/sse/lists", None).await;
    let whole = stream.next().await;
    assert!(whole.data.contains(">Shopping<"), "{}", whole.data);
    assert!(!whole.data.contains(">Other<"), "{}", whole.data);
    assert!(others.next().await.data.contains(">Other<"));

    let work = list(&app, "Work").await;
    let created = stream.next().await;
    assert!(created.data.contains(">Work<"), "{}", created.data);
    let rename = json!({"type": "rename", "id": first, "name": "Food"});
    post(&app, "list", rename).await;
    let renamed = stream.next().await;
    assert!(renamed.data.contains(">Food<") && !renamed.data.contains(">Shopping<"));
    let archive = json!({"type": "archive", "id": first});
    post(&app, "list", archive).await;
    let archived = stream.next().await;
    let (open, archived_part) = archived.data.split_once("id=\"put-away\"").expect("both");
    assert!(!open.contains(">Food<") && archived_part.contains(">Food<"));

    // The page of all lists shows neither their todos nor their links.
    let link = json!({"type": "create_link", "id": work, "access": "read"});
    post(&app, "list", link).await;
    todo(&app, &work, "Milk").await;
    list(&app, "Last").await;
    assert!(stream.next().await.data.contains(">Last<"));
    list(&stranger, "End").await;
    let next = others.next().await;
    assert!(next.data.contains(">End<"), "{}", next.data);
    for mine in ["Work", "Food", "Last"] {
        assert!(!next.data.contains(mine), "{}", next.data);
    }
}

#[tokio::test]
async fn page_of_lists_continues_from_what_it_shows() {
    let app = features::app().await;
    list(&app, "Shopping").await;
    let page = text(app.get("/lists").await).await;
    let (_, rest) = page.split_once("'last-event-id': '").expect("an id");
    let (seen, _) = rest.split_once('\'').expect("its end");
    let mut stream = app.stream("/api/sse/lists", Some(seen)).await;
    // The first event is the next change, not the lists that the page shows.
    list(&app, "Work").await;
    assert!(stream.next().await.data.contains(">Work<"));
    app.shutdown.cancel();
    assert!(stream.ends().await);
}

#[tokio::test]
async fn panel_of_a_list_is_live_for_the_owner_alone() {
    let app = features::app().await;
    let id = list(&app, "Shopping").await;
    let path = format!("/lists/{id}/links");
    let share = async |body: &str| {
        let response = app.form(Request::post(&path), body.to_owned()).await;
        response.status()
    };
    assert_eq!(share("access=boss").await, StatusCode::BAD_REQUEST);
    let mut owner = app.stream(&format!("/api/sse/todos?list={id}"), None).await;
    let panel = owner.next_with("id=\"panel\"").await;
    assert!(panel.data.contains("Only you can see it"), "{}", panel.data);
    // The same form, sent twice, creates one link.
    for _ in 0..2 {
        assert_eq!(share("access=read&key=one").await, StatusCode::SEE_OTHER);
    }
    let panel = owner.next_with("/revoke").await;
    assert_eq!(panel.data.matches("/revoke\"").count(), 1, "{}", panel.data);
    let (_, address) = panel.data.split_once("link=").expect("a link");
    let (link, _) = address.split_once('"').expect("its end");
    let path = format!("/api/sse/todos?list={id}&link={link}");
    let mut reader = app.stranger().stream(&path, None).await;
    assert_eq!(share("access=edit&key=two").await, StatusCode::SEE_OTHER);
    let panel = owner.next_with("Can edit").await;
    assert_eq!(panel.data.matches("/revoke\"").count(), 2, "{}", panel.data);
    let rename = Request::post(format!("/lists/{id}/rename"));
    app.form(rename, "name=Food").await;
    let renamed = owner.next_with(">Food</h1>").await;
    assert!(renamed.data.contains("value=\"Food\""), "{}", renamed.data);
    loop {
        let told = reader.next_with("id").await;
        assert!(!told.data.contains("id=\"panel\""), "{}", told.data);
        if told.data.contains(">Food</h1>") {
            break;
        }
    }
}

#[tokio::test]
async fn visitor_who_creates_a_list_learns_nothing_of_another() {
    let app = features::app().await;
    let id = list(&app, "Shopping").await;
    for expected in [0, 9] {
        let create =
            json!({"type": "create", "id": id, "name": "x", "expected_sequence": expected});
        let (status, problem) = post(&app.stranger(), "list", create).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    }
}

#[tokio::test]
async fn key_of_another_visitor_does_not_answer_with_their_list() {
    let app = features::app().await;
    let create = json!({"type": "create", "name": "Shopping", "command_id": "a-key"});
    let begin = Request::post("/api/session").body("".into());
    app.send(begin.expect("a request")).await;
    let (status, first) = post(&app, "list", create.clone()).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let again = post(&app, "list", create.clone()).await;
    assert_eq!(again, (status, first.clone()));
    // A request without the cookie is another visitor's, who gets a list of their own.
    let (status, second) = post(&app.stranger(), "list", create).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    assert_ne!(second["id"], first["id"]);
}

#[tokio::test]
async fn a_link_to_a_list_leads_to_the_host_that_was_checked() {
    let app = features::app().await;
    let id = list(&app, "Shopping").await;
    let link = json!({"type": "create_link", "id": id, "access": "read"});
    post(&app, "list", link).await;
    let asked = Request::get("http://example.org:3000/api/lists").header(header::HOST, "evil.test");
    let answer = app.send(asked.body("".into()).expect("a request")).await;
    let lists = body(answer).await;
    let address = lists["open"][0]["links"][0]["address"].as_str();
    let address = address.expect("an address");
    assert!(
        address.starts_with("http://example.org:3000/lists/"),
        "{address}"
    );
}
