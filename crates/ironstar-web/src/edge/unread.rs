//! A limit on the answers that a client has requested and not read yet.
//!
//! An answer counts with all its bytes until the client has read the last of them. Only the
//! server, which writes to the connection, knows when that is. So the answer carries its count
//! as the extension [`Unread`], and the server keeps that until then.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::edge::allowance::{Allowance, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// The maximum number of bytes in the unread answers of one client.
const MOST: u64 = 64 * 1024 * 1024;

/// The number of bytes that the head of an answer counts as.
const HEAD: u64 = 1024;

/// The number of bytes that a stream counts as. A stream makes frames only as its client reads
/// them, so this is the most that the server holds of it: see `Answer` in the server.
const STREAM: u64 = 48 * 1024;

/// The count of an answer. The server keeps this until the client has read all of the answer.
#[derive(Clone, Debug)]
pub struct Unread(#[expect(dead_code, reason = "it counts until it is dropped")] Arc<Taken>);

impl Unread {
    /// The count of an answer that has taken this amount.
    #[must_use]
    pub fn new(taken: Taken) -> Self {
        Self(Arc::new(taken))
    }
}

/// The extension of an answer to a GET that has changed something. The server sends such an
/// answer even beyond the limit, because its client must learn the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CarriedOut;

/// The limit on unread answers; `None` if there is none.
#[derive(Debug)]
pub(crate) struct UnreadLimit(Option<Arc<Allowance>>);

/// An answer that counts even before its request is executed.
#[derive(Debug)]
pub(crate) struct Counted {
    is_query: bool,
    taken: Option<Taken>,
}

impl UnreadLimit {
    pub(crate) fn new(is_limited: bool) -> Self {
        Self::of(is_limited.then_some(MOST))
    }

    fn of(most: Option<u64>) -> Self {
        Self(most.map(|most| Arc::new(Allowance::new(most))))
    }

    /// Begins to count an answer before its request is executed, so that a refused request
    /// changes nothing.
    pub(crate) fn begin(&self, client: Client, method: &Method) -> Result<Counted, Problem> {
        let taken = self.0.as_ref().map(|allowance| {
            let head = allowance.take(client, HEAD);
            head.map_err(|_| Problem::too_much_unread())
        });
        Ok(Counted {
            is_query: matches!(*method, Method::GET | Method::HEAD),
            taken: taken.transpose()?,
        })
    }
}

impl Counted {
    /// Counts the whole answer, or replaces it by a refusal.
    pub(crate) fn count(self, mut response: Response) -> Response {
        let Some(mut taken) = self.taken else {
            return response;
        };
        // An answer with a cookie is never refused: the browser would lose its session.
        let is_query = self.is_query
            && response.extensions().get::<CarriedOut>().is_none()
            && !response.headers().contains_key(header::SET_COOKIE);
        let size = response.body().size_hint().exact().unwrap_or(STREAM);
        if is_query && taken.grow(size).is_err() {
            return Problem::too_much_unread().into_response();
        } else if !is_query {
            taken.grow_anyway(size);
        }
        response.extensions_mut().insert(Unread::new(taken));
        response
    }
}

#[cfg(test)]
mod tests;
