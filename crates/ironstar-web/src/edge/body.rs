//! Receives the bodies of requests, and limits the bytes of incomplete requests.
//!
//! The server handles a request only when all of it has arrived. Until then the request uses
//! memory, for as long as its client likes. So the server counts the received bytes for each
//! client and for all clients together, across all connections and streams.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::time::timeout;

use crate::edge::allowance::{Allowance, Refused, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// The maximum size of a request's body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// The time in which a request's body has to arrive.
const DEADLINE: Duration = Duration::from_secs(30);

/// The maximum number of bytes in incomplete requests, from one client and from all clients.
const EACH: u64 = 4 * 1024 * 1024;
const ALL: u64 = 64 * 1024 * 1024;

/// The number of bytes that a client may send even if others have used up [`ALL`]. It is enough
/// for the command of a page.
const SPARE: u64 = 8 * 1024;

/// The number of bytes that a request's body counts as from the start. Once more has arrived,
/// the body counts with its size.
const GRAIN: u64 = 1024;

/// The limit on incomplete requests; `None` if there is none.
#[derive(Debug)]
pub(crate) struct Bodies(Option<Arc<Allowance>>);

impl Bodies {
    pub(crate) fn new(is_limited: bool) -> Self {
        Self::of(is_limited.then(|| Allowance::shared(EACH, ALL, SPARE)))
    }

    fn of(allowance: Option<Allowance>) -> Self {
        Self(allowance.map(Arc::new))
    }

    fn begin(&self, client: Client, parts: &Parts) -> Result<Option<Taken>, Problem> {
        let taken = self.0.as_ref().map(|allowance| {
            let amount = GRAIN + head_size(parts);
            allowance.take(client, amount).map_err(refusal)
        });
        taken.transpose()
    }

    /// Waits for the whole request. The server checks nothing before, not even the session,
    /// because the visitor may sign out before all has arrived. Whatever the answer, the
    /// connection stays usable, because the request has been read completely.
    pub(crate) async fn whole(&self, client: Client, request: Request) -> Result<Request, Problem> {
        if request.body().is_end_stream() {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        if body.size_hint().lower() > BODY_LIMIT as u64 {
            // A client that waits for permission (`Expect`) does not have to send the body.
            return Err(Problem::too_large(BODY_LIMIT));
        }
        let taken = self.begin(client, &parts)?;
        let received = timeout(DEADLINE, receive(body, taken)).await;
        let body = received.map_err(|_| Problem::overdue(DEADLINE))??;
        if is_encoded(&parts.headers) {
            return Err(Problem::unsupported_encoding());
        }
        Ok(Request::from_parts(parts, body.into()))
    }
}

/// Receives a body. Each frame is copied as it arrives: the buffer behind a frame may be much
/// larger than the frame, and a single byte of the frame would keep it in memory.
async fn receive(body: Body, mut taken: Option<Taken>) -> Result<Bytes, Problem> {
    let mut frames = body.into_data_stream();
    let mut whole = Vec::new();
    let mut counted = GRAIN;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_| Problem::malformed())?;
        let size = whole.len() + frame.len();
        if size > BODY_LIMIT {
            return Err(Problem::too_large(BODY_LIMIT));
        }
        let more = (size as u64).saturating_sub(counted);
        if let Some(taken) = &mut taken {
            taken.grow(more).map_err(refusal)?;
            counted += more;
        }
        whole.extend_from_slice(&frame);
    }
    Ok(whole.into())
}

/// The approximate memory that the head of a request uses, in bytes.
fn head_size(parts: &Parts) -> u64 {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, str::len);
    let fields = parts.headers.iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len());
    (target + fields.sum::<usize>()) as u64
}

/// Returns true if a body has to be decoded before it can be read.
fn is_encoded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = codings.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| {
        let coding = coding.trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    })
}

fn refusal(refused: Refused) -> Problem {
    match refused {
        Refused::Client => Problem::too_many_incomplete(),
        Refused::Server => Problem::overloaded(),
    }
}

#[cfg(test)]
mod tests;
