use std::io::Read;

use axum::body::to_bytes;
use axum::http::{Request, StatusCode, header};
use flate2::read::GzDecoder;

use crate::app::{TestApp, text};

/// The addresses of all files that the page refers to.
fn assets(page: &str) -> Vec<&str> {
    page.split('"')
        .filter(|value| value.starts_with("/static/"))
        .collect()
}

#[tokio::test]
async fn files_of_the_page_are_cached_for_ever() {
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
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        let plain = text(response).await;
        assert!(!plain.is_empty());

        let request = Request::get(path).header(header::ACCEPT_ENCODING, "br, gzip");
        let response = app.send(request.body("".into()).expect("a request")).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        let packed = to_bytes(response.into_body(), usize::MAX).await;
        let packed = packed.expect("the whole body");
        let mut unpacked = String::new();
        GzDecoder::new(&*packed)
            .read_to_string(&mut unpacked)
            .expect("the body is gzip");
        assert_eq!(unpacked, plain);
        let ratio = if path.ends_with(".svg") { 1 } else { 2 };
        assert!(packed.len() * ratio < plain.len() + 100, "{path}");
    }
}

#[tokio::test]
async fn page_refers_to_no_other_site() {
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
async fn datastar_has_the_version_of_the_tests() {
    let app = TestApp::init().await;
    let page = text(app.get("/").await).await;
    let path = assets(&page)[2];
    let bundle = text(app.get(path).await).await;
    assert!(bundle.starts_with("// Datastar v1.0.2\n"));
}
