//! How many streams a client may have open: each takes memory for as long as it is.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;

use crate::edge::allowance::{Allowance, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// Where bundles of streams are served.
pub(crate) const BUNDLE: &str = "/api/sse/bundle";

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

/// A stream, which counts until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Option<Taken>);

impl Streams {
    /// Counts the stream that a request asks for, if it asks for one. Refuses it to a
    /// client that has too many.
    pub(crate) fn open(&self, client: Client, path: &str) -> Result<OpenStream, Problem> {
        let Some(open) = self.open.as_ref().filter(|_| is_stream(path)) else {
            return Ok(OpenStream(None));
        };
        let taken = open.take(client, 1);
        let taken = taken.map_err(|_| Problem::too_many_streams(self.most))?;
        Ok(OpenStream(Some(taken)))
    }
}

impl OpenStream {
    /// Counts until the body of the answer is dropped: at its end, or when its client is
    /// gone.
    pub(crate) fn hold(self, response: Response) -> Response {
        let Some(taken) = self.0.filter(|_| response.status().is_success()) else {
            return response;
        };
        response.map(|body| {
            let frames = body.into_data_stream();
            Body::from_stream(frames.inspect(move |_| {
                // So that the stream has it, and drops it.
                let _: &Taken = &taken;
            }))
        })
    }
}

/// Whether a path is that of a stream. A bundle is none: each stream in it counts.
fn is_stream(path: &str) -> bool {
    path == "/api/events" || path.starts_with("/api/sse/") && path != BUNDLE
}
