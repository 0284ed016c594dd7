use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;

use super::{Allowance, PART, in_parts};
use crate::visitor::Visitor;

fn visitor(number: u8) -> Visitor {
    Visitor::at(std::net::IpAddr::from([192, 0, 2, number]))
}

fn answer(size: usize) -> Response {
    let text: Vec<u8> = (0..size).map(|at| b'a' + (at % 23) as u8).collect();
    text.into_response()
}

#[tokio::test]
async fn an_answer_counts_until_it_is_read() {
    let unread = Arc::new(Allowance::new(10 * PART as u64));
    let size = 4 * PART + 1;
    let parts = async |number| in_parts(answer(size), &unread, visitor(number)).await;
    let first = parts(1).await.expect("let through");
    assert_eq!(first.headers()[header::CONTENT_LENGTH], size.to_string());
    let second = parts(1).await.expect("let through");
    assert!(parts(1).await.is_err());
    parts(2).await.expect("others are not concerned");
    in_parts(answer(PART), &unread, visitor(1))
        .await
        .expect("a small one does not count");
    drop(second);
    let second = parts(1).await.expect("let through");
    let mut reading = first.into_body().into_data_stream();
    let mut read = Vec::new();
    for _ in 0..4 {
        let part = reading.next().await.expect("a part").expect("read");
        assert_eq!(part.len(), PART);
        read.extend_from_slice(&part);
    }
    assert!(parts(1).await.is_err(), "one byte is unread");
    let rest: Vec<_> = reading.collect().await;
    for part in rest {
        read.extend_from_slice(&part.expect("read"));
    }
    let whole = axum::body::to_bytes(answer(size).into_body(), usize::MAX).await;
    assert_eq!(read, whole.expect("whole"));
    drop(second);
    assert!(unread.taken().is_empty());
}

#[tokio::test]
async fn an_answer_of_unknown_size_stays_as_it_is() {
    let unread = Arc::new(Allowance::new(1));
    let frames = futures::stream::iter([Ok::<_, axum::Error>("a".repeat(2 * PART))]);
    let response = Body::from_stream(frames).into_response();
    let response = in_parts(response, &unread, visitor(1)).await;
    let body = response.expect("let through").into_body();
    let frames = body.into_data_stream();
    assert_eq!(frames.count().await, 1);
}
