//! A limit on the streams that a client has open. Each stream uses memory while it is open.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures::StreamExt;

use crate::edge::allowance::{Allowance, Taken};
use crate::edge::client::Client;
use crate::edge::problem::Problem;

/// The path of bundles of streams.
pub(crate) const BUNDLE: &str = "/api/sse/bundle";

/// The limit on the open streams of each client.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    most: u32,
    /// `None` if there is no limit.
    open: Option<Arc<Allowance>>,
}

impl Streams {
    /// Allows `most` streams for each client; 0 means no limit.
    pub(crate) fn new(most: u32) -> Self {
        let is_limited = most > 0;
        let open = is_limited.then(|| Arc::new(Allowance::new(most.into())));
        Self { most, open }
    }
}

/// An open stream, which counts until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Option<Taken>);

impl Streams {
    /// Counts a stream if the path is that of one. Refuses the stream if the client has too
    /// many.
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
    /// Counts the stream until the body of its answer is dropped: at its end, or when its
    /// client disconnects.
    pub(crate) fn hold(self, response: Response) -> Response {
        let Some(taken) = self.0.filter(|_| response.status().is_success()) else {
            return response;
        };
        response.map(|body| {
            let frames = body.into_data_stream();
            Body::from_stream(frames.inspect(move |_| {
                // The closure owns `taken`, so the count ends when the stream is dropped.
                let _: &Taken = &taken;
            }))
        })
    }
}

/// Returns true if a path is that of a stream. A bundle does not count: the streams in it do.
fn is_stream(path: &str) -> bool {
    path == "/api/events" || path.starts_with("/api/sse/") && path != BUNDLE
}
