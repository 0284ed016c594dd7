//! Lists: their pages, streams, forms and commands.

mod away;
mod forms;
mod handed_over;
mod isolation;
mod keys;
mod manners;
mod owners;
mod pages;
mod revoked;
mod signed_out;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::kinds::Kind;

/// The list, whose parts are todos.
pub(crate) const LIST: Kind = Kind {
    setup: super::setup,
    name: "list",
    stored: "List",
    part: "todo",
    text: "name",
    rewrite: "rename",
    archive: Some("archive"),
    close: ("complete", "todo-already-completed"),
    closed: "aria-checked=\"true\"",
    on_part: &["complete", "delete"],
    on_all: "complete_all",
    page: "/lists/ID",
    query: "/api/todos?list=ID",
    pages: &["/lists/ID/active", "/lists/ID/completed"],
    stream: "/api/sse/todos?list=ID",
    open_stream: "/api/sse/todos",
    form: "/todos?list=ID",
    adds: "new-todo",
    check_page: |page, link, owns| {
        assert_eq!(page.contains("id=\"owner\""), owns, "{page}");
        let part = format!("active?link={link}");
        assert_eq!(page.contains(&part), !owns, "{page}");
    },
    mine: "/lists",
    all: ("/api/lists", "/open"),
    stream_of_all: "/api/sse/lists",
};

/// Creates a list, and returns its id.
pub(crate) async fn list(app: &TestApp, name: &str) -> String {
    LIST.create(app, name).await
}

pub(crate) async fn post(app: &TestApp, what: &str, command: Value) -> (StatusCode, Value) {
    app.post(what, command).await
}

/// Creates a todo on a list, and returns its id.
pub(crate) async fn todo(app: &TestApp, list: &str, text: &str) -> String {
    let command = json!({"type": "create", "text": text, "list": list});
    let (status, answer) = app.command(command.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}
