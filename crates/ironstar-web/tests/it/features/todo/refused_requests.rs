//! Commands on todos and lists that are refused before an aggregate decides.

use axum::http::{Request, StatusCode, header};
use ironstar_ports::Position;
use serde_json::{Value, json};

use crate::app::json;
use crate::commands::ID;
use crate::features;
use crate::features::list::LIST;
use crate::refused_requests::{expect_bad_input_is_refused, expect_refusals};

#[tokio::test]
async fn text_and_name_with_nothing_to_see_are_refused() {
    let app = features::app().await;
    let on_list = async |body: Value| {
        let request = Request::post("/api/commands/list")
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into());
        let response = app.send(request.expect("a request")).await;
        (response.status(), json(response).await)
    };
    for blank in "\u{3164}\u{115f}\u{2800}\u{fe0f}\u{34f}\u{fff9}\u{e0041}".chars() {
        let create = json!({"type": "create", "text": blank});
        let (status, problem) = app.command(create.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{blank:?}: {problem}");
        for name in [
            json!({"type": "create", "name": blank}),
            json!({"type": "rename", "id": ID, "name": blank}),
        ] {
            let (status, problem) = on_list(name).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{blank:?}: {problem}");
            assert_eq!(problem["detail"], "The name of a list must not be empty.");
        }
    }
    assert_eq!(app.head().await, Position::START);
}

#[tokio::test]
async fn bad_input_about_a_todo_is_refused_and_appends_nothing() {
    expect_bad_input_is_refused(&LIST).await;
    let create = |text: &str| json!({"type": "create", "text": text});
    let cases = [
        (create(""), "The text of a todo must not be empty."),
        (create(" \t\n "), "The text of a todo must not be empty."),
        (
            create(&"ü".repeat(501)),
            "The text of a todo has at most 500 characters; this one has 501.",
        ),
        (
            create("a\rid: 9"),
            "The text of a todo must be one line without control characters; this one has U+000D.",
        ),
        (
            create("a\u{0}b"),
            "The text of a todo must be one line without control characters; this one has U+0000.",
        ),
        (
            create("a\tb"),
            "The text of a todo must be one line without control characters; this one has U+0009.",
        ),
        (
            create("a\u{2028}b"),
            "The text of a todo must be one line without control characters; this one has U+2028.",
        ),
        (
            create("a\u{202e}b"),
            "The text of a todo must not have hidden characters without a purpose; this one has U+202E.",
        ),
        (
            json!({"type": "rename", "id": ID, "text": "\u{2800}"}),
            "The text of a todo must not be empty.",
        ),
        (
            json!({"type": "complete", "id": "42"}),
            "In 'id': the id of a todo must be a UUID, such as 019337a4-7b2f-7c61-9d0e-2f5a8b1c3d4e.",
        ),
        (
            json!({"type": "complete"}),
            "The 'id' of the todo is missing.",
        ),
    ];
    expect_refusals(&LIST, &cases).await;
}
