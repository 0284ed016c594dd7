use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post};
use futures::stream;
use tower::ServiceExt;

use super::{HEAD, STREAM, UnreadLimit, count};
use crate::account;
use crate::edge::client::Client;

/// A router that counts up to a limit, and what is counted.
fn counted(most: u64) -> (Router, UnreadLimit) {
    let unread = UnreadLimit::of(Some(most));
    let frames = || Body::from_stream(stream::pending::<Result<&str, axum::Error>>());
    let renewed = async || ([(header::SET_COOKIE, "a=b")], "x".repeat(9_000));
    let router = Router::new()
        .route("/small", get(async || "small"))
        .route("/large", get(async || "x".repeat(9_000)))
        .route(account::CALLBACK, get(async || "x".repeat(9_000)))
        .route("/renewed", get(renewed))
        .route("/command", post(async || "x".repeat(9_000)))
        .route("/stream", get(async move || frames()))
        .layer(from_fn_with_state(unread.clone(), count));
    (router, unread)
}

async fn ask(router: &Router, method: &str, path: &str, client: u8) -> Response {
    let request = Request::builder().method(method).uri(path);
    let mut request = request.body(Body::empty()).expect("a request");
    let client = Client::at([192, 0, 2, client].into());
    request.extensions_mut().insert(client);
    let response = router.clone().oneshot(request).await;
    response.expect("an answer")
}

#[tokio::test]
async fn every_byte_of_an_answer_counts_until_the_server_lets_go_of_it() {
    let (router, unread) = counted(64 * 1024);
    let taken = || unread.0.as_ref().expect("a limit").taken();
    let small = ask(&router, "GET", "/small", 1).await;
    assert_eq!(taken(), HEAD + 5);
    let large = ask(&router, "GET", "/large", 1).await;
    assert_eq!(taken(), 2 * HEAD + 9_005);
    let stream = ask(&router, "GET", "/stream", 2).await;
    assert_eq!(taken(), 3 * HEAD + 9_005 + STREAM);
    drop((small, large));
    assert_eq!(taken(), HEAD + STREAM);
    drop(stream);
    assert_eq!(taken(), 0);
}

#[tokio::test]
async fn client_who_reads_nothing_is_refused_and_others_are_not() {
    let (router, unread) = counted(10_000);
    let large = ask(&router, "GET", "/large", 1).await;
    assert_eq!(
        large.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "with its head"
    );
    let (router, _) = counted(10_000 + HEAD);
    let large = ask(&router, "GET", "/large", 1).await;
    assert_eq!(large.status(), StatusCode::OK);
    let small = ask(&router, "GET", "/small", 1).await;
    assert_eq!(small.status(), StatusCode::TOO_MANY_REQUESTS);
    let other = ask(&router, "GET", "/large", 2).await;
    assert_eq!(other.status(), StatusCode::OK);
    drop(large);
    let small = ask(&router, "GET", "/small", 1).await;
    assert_eq!(small.status(), StatusCode::OK);
    assert_eq!(unread.0.expect("a limit").taken(), 0);
}

#[tokio::test]
async fn request_that_was_carried_out_is_answered_and_the_next_is_refused() {
    for (method, path) in [
        ("POST", "/command"),
        ("GET", account::CALLBACK),
        ("GET", "/renewed"),
    ] {
        let (router, _) = counted(5_000);
        let answer = ask(&router, method, path, 1).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let refused = ask(&router, method, path, 1).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
}
