//! How much of what a client has asked for may wait for the client to read it.
//!
//! An answer counts with all its bytes until the client has taken the last of them.
//! Only the server, which writes to the connection, knows when that is. So the answer
//! carries what counts, as the extension [`Unread`], and the server keeps that.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

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

/// The extension of an answer to a GET that has changed something. Such an answer is sent
/// however much is unread: its client must learn what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CarriedOut;

/// Counts what clients have not read; nothing, if there is no limit.
#[derive(Debug)]
pub(crate) struct UnreadLimit(Option<Arc<Allowance>>);

/// An answer that counts from before its request is carried out.
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

    /// Begins to count an answer, before its request is carried out: a request that is
    /// refused has changed nothing.
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
    /// Counts all of an answer, or refuses it.
    pub(crate) fn count(self, mut response: Response) -> Response {
        let Some(mut taken) = self.taken else {
            return response;
        };
        // Without the cookie, the browser would lose its session.
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
