use axum::Extension;
use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;

use super::{CarriedOut, HEAD, STREAM, UnreadLimit};
use crate::edge::client::Client;

fn counted(most: u64) -> UnreadLimit {
    UnreadLimit::of(Some(most))
}

/// The answer that a client gets at a path.
fn ask(unread: &UnreadLimit, method: &Method, path: &str, client: u8) -> Response {
    let client = Client::at([192, 0, 2, client].into());
    let large = || "x".repeat(9_000);
    match unread.begin(client, method) {
        Ok(counted) => counted.count(match path {
            "/small" => "small".into_response(),
            "/large" | "/command" => large().into_response(),
            "/carried-out" => (Extension(CarriedOut), large()).into_response(),
            "/renewed" => ([(header::SET_COOKIE, "a=b")], large()).into_response(),
            "/stream" => {
                let frames = stream::pending::<Result<&str, axum::Error>>();
                Body::from_stream(frames).into_response()
            }
            _ => unreachable!("{path}"),
        }),
        Err(problem) => problem.into_response(),
    }
}

#[test]
fn every_byte_of_an_answer_counts_until_the_server_drops_it() {
    let unread = counted(64 * 1024);
    let taken = || unread.0.as_ref().expect("a limit").taken();
    let small = ask(&unread, &Method::GET, "/small", 1);
    assert_eq!(taken(), HEAD + 5);
    let large = ask(&unread, &Method::GET, "/large", 1);
    assert_eq!(taken(), 2 * HEAD + 9_005);
    let stream = ask(&unread, &Method::GET, "/stream", 2);
    assert_eq!(taken(), 3 * HEAD + 9_005 + STREAM);
    drop((small, large));
    assert_eq!(taken(), HEAD + STREAM);
    drop(stream);
    assert_eq!(taken(), 0);
}

#[test]
fn client_that_reads_nothing_is_refused_and_others_are_not() {
    let unread = counted(10_000);
    let large = ask(&unread, &Method::GET, "/large", 1);
    assert_eq!(
        large.status(),
        StatusCode::TOO_MANY_REQUESTS,
        "with its head"
    );
    let unread = counted(10_000 + HEAD);
    let large = ask(&unread, &Method::GET, "/large", 1);
    assert_eq!(large.status(), StatusCode::OK);
    let small = ask(&unread, &Method::GET, "/small", 1);
    assert_eq!(small.status(), StatusCode::TOO_MANY_REQUESTS);
    let other = ask(&unread, &Method::GET, "/large", 2);
    assert_eq!(other.status(), StatusCode::OK);
    drop(large);
    let small = ask(&unread, &Method::GET, "/small", 1);
    assert_eq!(small.status(), StatusCode::OK);
    drop((small, other));
    assert_eq!(unread.0.expect("a limit").taken(), 0);
}

#[test]
fn executed_request_is_answered_and_the_next_is_refused() {
    for (method, path) in [
        (Method::POST, "/command"),
        (Method::GET, "/carried-out"),
        (Method::GET, "/renewed"),
    ] {
        let unread = counted(5_000);
        let answer = ask(&unread, &method, path, 1);
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let refused = ask(&unread, &method, path, 1);
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{path}");
    }
}
