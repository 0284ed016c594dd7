//! Queries for the todos of a list: by a filter, a page at a time, and as of a position.

use axum::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::app::{TestApp, json as body, text};
use crate::features;

async fn complete(app: &TestApp, id: &str) {
    let command = json!({"type": "complete", "id": id});
    assert_eq!(app.command(command.to_string()).await.0, StatusCode::OK);
}

pub(crate) async fn query(app: &TestApp, query: &str) -> Value {
    let response = app.get(&format!("/api/todos?{query}")).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    body(response).await
}

fn texts(answer: &Value) -> Vec<&str> {
    let todos = answer["todos"].as_array().expect("todos");
    todos
        .iter()
        .map(|todo| todo["text"].as_str().expect("text"))
        .collect()
}

#[tokio::test]
async fn a_list_is_shown_in_part_and_in_pages() {
    let app = features::app().await;
    for number in 1..=5 {
        let id = app.create(&format!("Todo {number}")).await;
        if number % 2 == 0 {
            complete(&app, &id).await;
        }
    }
    let active = text(app.get("/active").await).await;
    assert!(active.contains(">Todo 1<") && !active.contains(">Todo 2<"));
    assert!(
        active.contains("href=\"/active\" class=\"selected\" aria-current=\"page\""),
        "{active}"
    );
    let completed = text(app.get("/completed").await).await;
    assert!(completed.contains(">Todo 2<") && !completed.contains(">Todo 1<"));

    let all = query(&app, "").await;
    assert_eq!(
        texts(&all),
        ["Todo 1", "Todo 2", "Todo 3", "Todo 4", "Todo 5"]
    );
    assert_eq!(all["counts"], json!({"active": 3, "completed": 2}));
    assert_eq!(all["next"], Value::Null);
    let first = query(&app, "limit=2").await;
    assert_eq!(texts(&first), ["Todo 1", "Todo 2"]);
    let second = query(&app, &format!("limit=2&after={}", first["next"])).await;
    assert_eq!(texts(&second), ["Todo 3", "Todo 4"]);
    let third = query(&app, &format!("limit=2&after={}", second["next"])).await;
    assert_eq!(
        (texts(&third), &third["next"]),
        (vec!["Todo 5"], &Value::Null)
    );
    assert_eq!(
        texts(&query(&app, "show=completed").await),
        ["Todo 2", "Todo 4"]
    );
    for bad in [
        "limit=0",
        "limit=1001",
        "show=none",
        "list=x",
        "after=x",
        "lst=shared",
        "at_least=-1",
        "at_least=1.k3f9a",
    ] {
        let response = app.get(&format!("/api/todos?{bad}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    let twice = app.get("/api/todos?show=all&show=all").await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    // Pages ignore parameters that other sites append to their address.
    let page = app.get("/active?utm_source=somewhere").await;
    assert_eq!(page.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn query_waits_for_a_position_but_not_for_ever() {
    let app = features::app().await;
    app.create("One").await;
    let response = app.get("/api/todos?at_least=2").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    assert_eq!(body(response).await["type"], "/problems/behind");
    let (late, _) = tokio::join!(query(&app, "at_least=2"), app.create("Two"));
    assert_eq!(texts(&late), ["One", "Two"]);
}

#[tokio::test]
async fn filtered_stream_shows_todos_that_match_again() {
    let app = features::app().await;
    let milk = app.create("Milk").await;
    let bread = app.create("Bread").await;
    let mut active = app.stream("/api/sse/todos?show=active", None).await;
    active.next().await;
    complete(&app, &milk).await;
    assert!(
        active
            .next()
            .await
            .data
            .contains("<strong>1</strong> item left")
    );
    let removed = active.next().await;
    assert!(removed.data.contains("mode remove"), "{}", removed.data);
    let reopen = json!({"type": "reopen", "id": milk});
    app.command(reopen.to_string()).await;
    let counts = active.next().await;
    assert!(counts.data.contains("<strong>2</strong> items left"));
    let inserted = active.next().await;
    let place = format!("selector #todo-{bread}\nmode before\n");
    assert!(inserted.data.starts_with(&place), "{}", inserted.data);
    assert!(inserted.data.contains(">Milk<") && !inserted.data.contains(">Bread<"));
}
