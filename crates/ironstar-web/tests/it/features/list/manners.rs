//! The advice on the page of a refusal.

use axum::http::{Request, StatusCode, header};

use crate::app::text;
use crate::features;

#[tokio::test]
async fn page_advises_to_sign_in_or_ask_only_where_a_list_may_be_hidden() {
    let app = features::app().await;
    let created = app.form(Request::post("/lists"), "name=Groceries").await;
    let list = created.headers()[header::LOCATION].to_str().expect("text");
    let unknown = "0190a5a1-0000-7000-8000-000000000001";
    for (request, advises) in [
        (Request::get(format!("/lists/{unknown}")), true),
        (Request::get("/nowhere"), false),
        // The owner sees the list, so nothing is hidden.
        (
            Request::post(format!("{list}/links/{unknown}/revoke")),
            false,
        ),
    ] {
        let request = request.header(header::ACCEPT, "text/html");
        let page = app.form(request, "").await;
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
        let page = text(page).await;
        assert_eq!(page.contains("ask for a new link"), advises, "{page}");
    }
}
