//! The start page, and what all responses have in common.

use axum::http::{StatusCode, header};
use serde_json::json;

use crate::app::{TestApp, text};
use crate::kinds::{Kind, NOTE};

#[tokio::test]
async fn page_is_complete_at_first_paint() {
    expect_complete_page(&NOTE).await;
}

/// Checks that the page shows an open part and a closed part without a script. Returns it.
pub(crate) async fn expect_complete_page(kind: &Kind) -> String {
    let app = kind.app().await;
    app.create("Buy milk").await;
    let id = app.create("Call Ada").await;
    let close = json!({"type": kind.close.0, "id": id});
    assert_eq!(app.post(kind.part, close).await.0, StatusCode::OK);
    let response = app.get("/").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/html; charset=utf-8"
    );
    let page = text(response).await;
    let (milk, ada) = (page.find(">Buy milk<"), page.find(">Call Ada<"));
    assert!(
        milk.is_some() && milk < ada,
        "parts are in the order of their creation"
    );
    assert_eq!(page.matches(kind.closed).count(), 1);
    page
}

#[tokio::test]
async fn text_of_a_remark_is_never_markup_or_code() {
    expect_text_is_no_code(&NOTE).await;
}

/// Checks that the text of a part is neither markup nor code of the page.
pub(crate) async fn expect_text_is_no_code(kind: &Kind) {
    let app = kind.app().await;
    app.create("\"><script>alert(1)</script> $x @get('/y')")
        .await;
    let page = text(app.get("/").await).await;
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt; $x @get('/y')"));
    for attribute in page.split(" data-").skip(1) {
        let value = attribute.split('"').nth(1).unwrap_or_default();
        assert!(!value.contains("/y") && !value.contains("$x"), "{value}");
    }
}

#[tokio::test]
async fn every_response_restricts_the_browser() {
    let app = TestApp::init().await;
    for path in ["/", "/notes", "/nowhere", "/api/remarks", "/api/events"] {
        let response = app.get(path).await;
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .expect("text");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(!policy.contains("unsafe-inline"), "{path}");
        assert_eq!(
            response.headers()[header::X_CONTENT_TYPE_OPTIONS],
            "nosniff"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(response.headers()[name], value, "{path}");
        }
        assert!(response.headers().contains_key("permissions-policy"));
    }
}

/// The style guide exists in development builds, such as those of tests.
#[tokio::test]
async fn style_guide_shows_every_part() {
    let app = TestApp::init().await;
    let page = text(app.get("/styleguide").await).await;
    for part in [
        "<h2>Buttons</h2>",
        ">Clear completed</button>",
        "<h2>Fields</h2>",
        "name=\"name\"",
        "name=\"refused\"",
        "value=\"   \"",
        "The name of a list must not be empty.",
        "<h2>Banners</h2>",
        "Archived: it takes no new todos",
        "<h2>Empty state</h2>",
        "<caption>Lists in use</caption>",
        "Moving house",
        "<h2>Chart</h2>",
        "From 22 a minute",
        "<rect ",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
