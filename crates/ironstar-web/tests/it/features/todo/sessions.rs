//! Sessions of visitors who read todos and lists, and of those who create them.

use crate::features;
use crate::sessions::{expect_no_session, expect_session_limit};

#[tokio::test]
async fn reading_todos_and_lists_begins_no_session() {
    let app = features::app().await;
    let paths = [
        "/",
        "/active",
        "/completed",
        "/lists",
        "/lists/shared",
        "/lists/shared/active",
        "/api/todos",
        "/api/lists",
        "/api/sse/todos",
        "/api/sse/lists",
        "/api/sse/first",
    ];
    expect_no_session(&app, &paths).await;
}

#[tokio::test]
async fn client_whose_sessions_are_used_up_adds_todos_to_the_shared_list_only() {
    let (open, own) = (("/todos", "text=Milk"), ("/lists", "name=Mine"));
    expect_session_limit(features::setup(), open, own).await;
}
