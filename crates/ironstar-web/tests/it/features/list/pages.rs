//! Lists: their pages, streams and commands.

use axum::http::StatusCode;
use serde_json::json;

use super::{list, post, todo};
use crate::app::text;
use crate::features;
use crate::features::todo::queries::query;

#[tokio::test]
async fn a_list_has_its_own_page_todos_and_stream() {
    let app = features::app().await;
    let shopping = list(&app, "Shopping").await;
    app.create("Shared").await;
    let page = format!("/lists/{shopping}");
    let mut stream = app
        .stream(&format!("/api/sse/todos?list={shopping}"), None)
        .await;
    let whole = stream.next().await;
    assert!(!whole.data.contains("Shared"), "{}", whole.data);
    todo(&app, &shopping, "Milk").await;
    let summary = stream.next().await;
    assert!(summary.data.contains("<strong>1</strong> item left"));
    assert!(stream.next().await.data.contains(">Milk<"));

    let shown = text(app.get(&page).await).await;
    assert!(shown.contains("<h1 dir=\"auto\">Shopping</h1>"), "{shown}");
    assert!(shown.contains(">Milk<") && !shown.contains(">Shared<"));
    let shared = text(app.get("/").await).await;
    assert!(shared.contains(">Shared<") && !shared.contains(">Milk<"));
    // This stream sends no change of another list.
    app.create("Shared, too").await;
    todo(&app, &shopping, "Bread").await;
    assert!(stream.next().await.data.contains("<strong>2</strong>"));
    assert!(stream.next().await.data.contains(">Bread<"));
}

#[tokio::test]
async fn heading_of_a_list_is_live() {
    let app = features::app().await;
    let id = list(&app, "Shopping").await;
    let other = list(&app, "Other").await;
    let mut streams = Vec::new();
    for part in ["", "&show=active"] {
        let path = format!("/api/sse/todos?list={id}{part}");
        let mut stream = app.stream(&path, None).await;
        let heading = stream.next_with("id=\"heading\"").await;
        assert!(heading.data.contains(">Shopping</h1>"), "{}", heading.data);
        streams.push(stream);
    }
    let told = json!({"type": "rename", "id": other, "name": "Groceries, but elsewhere"});
    assert_eq!(post(&app, "list", told).await.0, StatusCode::OK);
    for (command, expected) in [
        (
            json!({"type": "rename", "id": id, "name": "<b>"}),
            ">&lt;b&gt;</h1>",
        ),
        (
            json!({"type": "archive", "id": id}),
            "Archived: it takes no new",
        ),
        (json!({"type": "restore", "id": id}), "</p></div>"),
    ] {
        assert_eq!(post(&app, "list", command).await.0, StatusCode::OK);
        for stream in &mut streams {
            let heading = stream.next_with("id=\"heading\"").await;
            assert!(heading.data.contains(expected), "{}", heading.data);
        }
    }
}

#[tokio::test]
async fn unknown_list_is_not_found() {
    let app = features::app().await;
    let unknown = "019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e";
    for path in [
        format!("/lists/{unknown}"),
        format!("/lists/{unknown}/active"),
        format!("/api/todos?list={unknown}"),
        "/lists/42".to_owned(),
        "/lists/shared/all".to_owned(),
        "/lists/shared/paint".to_owned(),
    ] {
        assert_eq!(
            app.get(&path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let stream = app.get(&format!("/api/sse/todos?list={unknown}")).await;
    assert_eq!(stream.status(), StatusCode::NOT_FOUND);
    let all = json!({"type": "complete_all", "id": unknown});
    assert_eq!(post(&app, "todos", all).await.0, StatusCode::NOT_FOUND);
    let create = json!({"type": "create", "text": "Milk", "list": unknown});
    let (status, problem) = app.command(create.to_string()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["type"], "/problems/list-not-found");
    assert_eq!(app.get("/lists/shared").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_archived_list_takes_no_new_todos_until_it_is_restored() {
    let app = features::app().await;
    let id = list(&app, "Shopping").await;
    todo(&app, &id, "Milk").await;
    let archive = json!({"type": "archive", "id": id});
    assert_eq!(post(&app, "list", archive.clone()).await.0, StatusCode::OK);
    assert_eq!(post(&app, "list", archive).await.0, StatusCode::CONFLICT);
    let create = json!({"type": "create", "text": "Bread", "list": id});
    let (status, problem) = app.command(create.to_string()).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(problem["type"], "/problems/list-archived");
    let page = text(app.get(&format!("/lists/{id}")).await).await;
    assert!(page.contains("Archived: it takes no new todos"), "{page}");
    let restore = json!({"type": "restore", "id": id});
    assert_eq!(post(&app, "list", restore).await.0, StatusCode::OK);
    todo(&app, &id, "Bread").await;
}

#[tokio::test]
async fn shared_list_can_be_neither_archived_nor_created() {
    let app = features::app().await;
    for command in [
        json!({"type": "archive", "id": "shared"}),
        json!({"type": "create", "id": "shared", "name": "Mine"}),
    ] {
        let (status, problem) = post(&app, "list", command).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(problem["type"], "/problems/list-shared");
    }
}

#[tokio::test]
async fn commands_on_a_list_are_one_append() {
    let app = features::app().await;
    let shopping = list(&app, "Shopping").await;
    app.create("Shared").await;
    for text in ["Milk", "Bread", "Tea"] {
        todo(&app, &shopping, text).await;
    }
    let (status, answer) = post(
        &app,
        "todos",
        json!({"type": "complete_all", "id": shopping}),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let place = app.store_log().await[7].place().to_string();
    let expected = json!({"status": "ok", "changed": 3, "position": 8, "place": place});
    assert_eq!(answer, expected);
    let shown = query(&app, &format!("list={shopping}&at_least=8")).await;
    assert_eq!(shown["counts"], json!({"active": 0, "completed": 3}));
    assert_eq!(
        query(&app, "").await["counts"],
        json!({"active": 1, "completed": 0})
    );

    let again = json!({"type": "clear_completed", "id": shopping, "command_id": "once"});
    for _ in 0..2 {
        let (status, answer) = post(&app, "todos", again.clone()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let place = app.store_log().await[10].place().to_string();
        let expected = json!({"status": "ok", "changed": 3, "position": 11, "place": place});
        assert_eq!(answer, expected);
    }
    let (status, answer) = post(&app, "todos", json!({"type": "reopen_all"})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["changed"], 0);
    let (status, _) = post(
        &app,
        "todos",
        json!({"type": "reopen_all", "expected_sequence": 1}),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn page_with_many_changes_is_drawn_as_a_whole() {
    let app = features::app().await;
    for number in 0..21 {
        app.create(&format!("Todo {number}")).await;
    }
    let mut stream = app.stream("/api/sse/todos", None).await;
    stream.next().await;
    let (_, answer) = post(&app, "todos", json!({"type": "complete_all"})).await;
    assert_eq!(answer["changed"], 21);
    let whole = stream.next().await;
    assert_eq!(whole.id, "42");
    assert!(whole.data.contains("<section id=\"todos\""));
    let checked = whole.data.matches("class=\"completed\"").count();
    assert_eq!(checked, 21);
}

#[tokio::test]
async fn a_page_of_a_long_list_is_patched_where_it_changes() {
    let app = features::app().await;
    let mut ids = Vec::new();
    for number in 0..52 {
        ids.push(app.create(&format!("Todo {number}")).await);
    }
    let page = text(app.get("/").await).await;
    assert!(page.contains("href=\"/?after=50\" rel=\"next\""), "{page}");
    let place = app.store_log().await[51].place();
    let id = format!("'last-event-id': '{place}-50'");
    assert!(page.contains(&id), "{page}");
    let mut stream = app.stream("/api/sse/todos", None).await;
    let whole = stream.next().await;
    assert_eq!(whole.id, "52-50", "the page ends with the fiftieth todo");
    assert!(whole.data.contains("Todo 49") && !whole.data.contains("Todo 50"));
    // A browser that shows this page gets the changes. One that shows another page gets all.
    let mut same = app.stream("/api/sse/todos", Some("52-50")).await;
    let mut other = app.stream("/api/sse/todos", Some("52")).await;
    assert_eq!(other.next().await.data, whole.data);

    // A todo that is added behind the end of the page is counted, and not shown.
    app.create("Behind").await;
    for stream in [&mut stream, &mut same, &mut other] {
        let counts = stream.next().await;
        assert!(counts.data.contains("<strong>53</strong> items left"));
        assert!(!counts.data.contains("<li id"), "{}", counts.data);
        assert_eq!(counts.id, "53-50", "the change is complete");
    }
    for (command, expected) in [
        ("delete", format!("selector #todo-{}\nmode remove", ids[3])),
        ("complete", "class=\"completed\"".to_owned()),
    ] {
        let id = &ids[if command == "delete" { 3 } else { 4 }];
        app.command(json!({"type": command, "id": id}).to_string())
            .await;
        let patch = stream.next_with(&expected).await;
        assert!(patch.data.len() < 4_000, "{}", patch.data);
    }
    // A change on the next page is counted here, and not shown.
    app.command(json!({"type": "complete", "id": ids[51]}).to_string())
        .await;
    let counts = stream.next().await;
    assert!(
        counts.data.contains("<strong>50</strong>"),
        "{}",
        counts.data
    );
    assert!(!counts.data.contains("<li id"), "{}", counts.data);
}
