//! How much of what a client has asked for may wait for the client to read it.
//!
//! An answer counts with all its bytes until the client has taken the last of them.
//! Only the server, which writes to the connection, knows when that is. So the answer
//! carries what counts, as the extension [`Unread`], and the server keeps that.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::account;
use crate::edge::allowance::{Allowance, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// How many bytes of answers may be unread by one client.
const MOST: u64 = 64 * 1024 * 1024;

/// For how many bytes the head of an answer counts.
const HEAD: u64 = 1024;

/// For how many bytes a stream counts, which is asked for frames only as its client
/// reads them. That is what a server may hold of it: see `Answer` in the server.
const STREAM: u64 = 48 * 1024;

/// What an answer counts for. The server keeps this until the client has taken all of
/// the answer.
#[derive(Clone, Debug)]
pub struct Unread(#[expect(dead_code, reason = "it counts until it is dropped")] Arc<Taken>);

impl Unread {
    /// What an answer takes up.
    #[must_use]
    pub fn new(taken: Taken) -> Self {
        Self(Arc::new(taken))
    }
}

/// Counts what clients have not read; nothing, if there is no limit.
#[derive(Clone, Debug)]
pub(crate) struct UnreadLimit(Option<Arc<Allowance>>);

impl UnreadLimit {
    pub(crate) fn new(is_limited: bool) -> Self {
        Self::of(is_limited.then_some(MOST))
    }

    fn of(most: Option<u64>) -> Self {
        Self(most.map(|most| Arc::new(Allowance::new(most))))
    }
}

/// Refuses any answer to a client who does not read them.
pub(crate) async fn count(
    State(UnreadLimit(allowance)): State<UnreadLimit>,
    client: Client,
    request: Request,
    next: Next,
) -> Response {
    let Some(allowance) = allowance else {
        return next.run(request).await;
    };
    // Before the request is carried out: one that is refused has changed nothing.
    let Ok(mut taken) = allowance.take(client, HEAD) else {
        return Problem::too_much_unread().into_response();
    };
    // The end of a sign-in is a GET, and is good once.
    let is_query = matches!(*request.method(), Method::GET | Method::HEAD)
        && request.uri().path() != account::CALLBACK;
    let mut response = next.run(request).await;
    // Without the cookie, the browser would lose its session.
    let is_query = is_query && !response.headers().contains_key(header::SET_COOKIE);
    let size = response.body().size_hint().exact().unwrap_or(STREAM);
    if is_query && taken.grow(size).is_err() {
        return Problem::too_much_unread().into_response();
    } else if !is_query {
        // It was carried out, and its sender is to know that.
        taken.grow_anyway(size);
    }
    response.extensions_mut().insert(Unread::new(taken));
    response
}

#[cfg(test)]
mod tests;
