//! How many streams a visitor may have open, and how much of other answers they may
//! leave unread: each takes memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};

use crate::bundle;
use crate::problem::Problem;
use crate::visitor::Visitor;

/// How many bytes of answers may be unread by one visitor.
const UNREAD: u64 = 64 * 1024 * 1024;

/// An answer with fewer bytes does not count. A larger one goes out in parts of this
/// size, and counts until the last part has been asked for.
const PART: usize = 16 * 1024;

/// What visitors take up.
#[derive(Debug)]
pub(crate) struct Streams {
    /// How many streams are open. 0 is any number, and then nothing is counted.
    open: Arc<Allowance>,
    /// How many bytes are unread.
    unread: Arc<Allowance>,
}

/// So much for each visitor.
#[derive(Debug)]
struct Allowance {
    most: u64,
    /// Visitors who have taken nothing are not in here.
    taken: Mutex<HashMap<Visitor, u64>>,
}

/// What counts until it is dropped.
#[derive(Debug)]
struct Taken {
    from: Arc<Allowance>,
    visitor: Visitor,
    amount: u64,
}

impl Streams {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            open: Arc::new(Allowance::new(most.into())),
            unread: Arc::new(Allowance::new(UNREAD)),
        }
    }
}

impl Allowance {
    fn new(most: u64) -> Self {
        Self {
            most,
            taken: Mutex::default(),
        }
    }

    /// Takes up so much, if the visitor may have it.
    fn take(self: &Arc<Self>, visitor: Visitor, amount: u64) -> Option<Taken> {
        let mut taken = self.taken();
        let before = taken.get(&visitor).copied().unwrap_or_default();
        let after = before.checked_add(amount).filter(|it| *it <= self.most)?;
        taken.insert(visitor, after);
        Some(Taken {
            from: Arc::clone(self),
            visitor,
            amount,
        })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Visitor, u64>> {
        // Sums are whole whenever somebody could panic.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.from.taken();
        if let Some(sum) = taken.get_mut(&self.visitor) {
            *sum -= self.amount;
            if *sum == 0 {
                taken.remove(&self.visitor);
            }
        }
    }
}

/// Refuses a stream to a visitor who has too many, and any answer to one who does not
/// read them. One that is let through counts until its body is dropped: at its end, or
/// when its client is gone.
pub(crate) async fn count(
    State(streams): State<Arc<Streams>>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let most = streams.open.most;
    if most == 0 {
        return Ok(next.run(request).await);
    }
    if !is_stream(request.uri().path()) {
        let response = next.run(request).await;
        return in_parts(response, &streams.unread, visitor).await;
    }
    let open = streams.open.take(visitor, 1);
    let open = open.ok_or_else(|| Problem::too_many_streams(most))?;
    let response = next.run(request).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    Ok(response.map(|body| {
        let frames = body.into_data_stream();
        Body::from_stream(frames.inspect(move |_| {
            // So that the stream has it, and drops it.
            let _: &Taken = &open;
        }))
    }))
}

/// The same answer, part by part as its client reads it, if there is much of it.
async fn in_parts(
    mut response: Response,
    unread: &Arc<Allowance>,
    visitor: Visitor,
) -> Result<Response, Problem> {
    let size = response.body().size_hint().exact().unwrap_or_default();
    if size <= PART as u64 {
        return Ok(response);
    }
    let taken = unread.take(visitor, size);
    let taken = taken.ok_or_else(Problem::too_much_unread)?;
    let body = std::mem::take(response.body_mut());
    let rest = to_bytes(body, usize::MAX).await;
    let rest = rest.map_err(|error| Problem::unavailable(&error))?;
    let parts = stream::unfold((rest, taken), async |(mut rest, taken)| {
        let part = rest.split_to(rest.len().min(PART));
        let is_some = !part.is_empty();
        is_some.then_some((Ok::<Bytes, axum::Error>(part), (rest, taken)))
    });
    *response.body_mut() = Body::from_stream(parts);
    let length = HeaderValue::from(size);
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

/// Whether a path is that of a stream. A bundle is none: each stream in it counts.
fn is_stream(path: &str) -> bool {
    path == "/api/events" || path.starts_with("/api/sse/") && path != bundle::PATH
}

#[cfg(test)]
mod tests;
