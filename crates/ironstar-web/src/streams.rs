//! How many streams a visitor may have open: each takes memory, and a
//! connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;

use crate::problem::Problem;
use crate::visitor::Visitor;

/// The open streams of each visitor.
#[derive(Debug)]
pub(crate) struct Streams {
    /// How many of one visitor; 0 is any number.
    most: u32,
    /// Visitors who have none are not in here.
    open: Mutex<HashMap<Visitor, u32>>,
}

impl Streams {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            open: Mutex::default(),
        }
    }

    /// Takes up one more stream, if the visitor may have it.
    fn open(self: &Arc<Self>, visitor: Visitor) -> Option<OpenStream> {
        let mut counts = self.counts();
        let count = counts.get(&visitor).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        counts.insert(visitor, count + 1);
        Some(OpenStream {
            streams: Arc::clone(self),
            visitor,
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Visitor, u32>> {
        // Counts are whole whenever somebody could panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that counts until it is dropped.
#[derive(Debug)]
struct OpenStream {
    streams: Arc<Streams>,
    visitor: Visitor,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        if let Some(count) = counts.get_mut(&self.visitor) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.visitor);
            }
        }
    }
}

/// Refuses a stream to a visitor who has too many. One that is let through
/// counts until its body is dropped: at its end, or when its client is gone.
pub(crate) async fn count(
    State(streams): State<Arc<Streams>>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if streams.most == 0 || !is_stream(request.uri().path()) {
        return Ok(next.run(request).await);
    }
    let open = streams
        .open(visitor)
        .ok_or_else(|| Problem::too_many_streams(streams.most))?;
    let response = next.run(request).await;
    if !response.status().is_success() {
        return Ok(response);
    }
    Ok(response.map(|body| {
        let frames = body.into_data_stream();
        Body::from_stream(frames.inspect(move |_| {
            // So that the stream has it, and drops it.
            let _: &OpenStream = &open;
        }))
    }))
}

/// Whether a path is that of a stream.
fn is_stream(path: &str) -> bool {
    path == "/api/events" || path.starts_with("/api/sse/")
}
