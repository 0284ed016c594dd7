use axum::http::{StatusCode, header};

use crate::app::{TestApp, text};

/// The addresses of all files that the page names.
fn assets(page: &str) -> Vec<&str> {
    page.split('"')
        .filter(|value| value.starts_with("/static/"))
        .collect()
}

#[tokio::test]
async fn the_files_that_the_page_names_are_served_for_good() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    let assets = assets(&page);
    assert_eq!(assets.len(), 3, "{assets:?}");
    for (path, content_type) in assets.into_iter().zip([
        "image/svg+xml",
        "text/css; charset=utf-8",
        "text/javascript; charset=utf-8",
    ]) {
        let response = app.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
        assert_eq!(
            response.headers()[header::CACHE_CONTROL],
            "public, max-age=31536000, immutable"
        );
        assert!(!text(response).await.is_empty());
    }
}

#[tokio::test]
async fn the_page_names_nothing_elsewhere() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
    let response = app.get("/static/app-0000000000000000.css").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn datastar_is_the_version_that_we_test_with() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    let path = assets(&page)[2];
    let bundle = text(app.get(path).await).await;
    assert!(bundle.starts_with("// Datastar v1.0.2\n"));
}
