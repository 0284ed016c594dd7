//! How many streams a client may have open: each takes memory for as long as it is.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;

use crate::bundle;
use crate::edge::allowance::{Allowance, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// Counts the streams of clients; none, if there is no limit.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    most: u32,
    open: Option<Arc<Allowance>>,
}

impl Streams {
    /// So many for each client, or any number if 0.
    pub(crate) fn new(most: u32) -> Self {
        let is_limited = most > 0;
        let open = is_limited.then(|| Arc::new(Allowance::new(most.into())));
        Self { most, open }
    }
}

/// Refuses a stream to a client who has too many. One that is let through counts until
/// its body is dropped: at its end, or when its client is gone.
pub(crate) async fn count(
    State(Streams { most, open }): State<Streams>,
    client: Client,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Some(open) = open.filter(|_| is_stream(request.uri().path())) else {
        return Ok(next.run(request).await);
    };
    let open = open.take(client, 1);
    let open = open.map_err(|_| Problem::too_many_streams(most))?;
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

/// Whether a path is that of a stream. A bundle is none: each stream in it counts.
fn is_stream(path: &str) -> bool {
    path == "/api/events" || path.starts_with("/api/sse/") && path != bundle::PATH
}
