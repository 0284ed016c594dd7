//! Refusals, as they are shown on the other pages of a visitor.

use axum::http::Request;

use crate::features;

const STREAM: &str = "/api/sse/todos";

#[tokio::test]
async fn refusal_on_one_page_is_shown_on_the_visitors_other_pages() {
    let app = features::app().await;
    app.form(Request::post("/todos"), "text=Milk").await;
    let mut stream = app.stream(STREAM, None).await;
    let mut other = app.stranger().stream(STREAM, None).await;
    let datastar = || Request::post("/todos").header("datastar-request", "true");
    app.form(datastar(), "text=%07").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(
        told.data.contains("without control characters"),
        "{}",
        told.data
    );
    app.form(datastar(), "text=Bread").await;
    let told = stream.next_with("id=\"notice\"").await;
    assert!(!told.data.contains("control"), "the notice is gone");
    loop {
        let event = other.next_with("id").await;
        assert!(!event.data.contains("notice"), "{}", event.data);
        if event.data.contains("Bread") {
            break;
        }
    }
}
