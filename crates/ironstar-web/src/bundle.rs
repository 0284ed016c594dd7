//! The streams of several pages over one connection.
//!
//! Over HTTP/1.1 a browser opens at most six connections to a site, for all its pages
//! together. So its pages share one connection for their streams (`static/bundle.js`,
//! docs/adr/0010).
//!
//! A *bundle* requests each stream separately, through the same routes and layers as any other
//! request. Only these decide the content of a stream, its start, and the number of streams
//! that a client may hold. The bundle knows the addresses of streams and nothing of their
//! content, so a new stream below `/api/sse/` needs no change here.
//!
//! Each chunk of a stream's body is one or more whole frames. A comment line before the chunk
//! names the stream:
//!
//! - `:2` and frames: the frames up to the next such line belong to the third stream.
//! - `:2 200` alone: the third stream has begun, or was refused with that status.
//! - `:2 end` alone: the third stream has ended. The bundle ends with its last stream.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use serde::Deserialize;
use tower::ServiceExt;

use crate::edge::client::Client;
use crate::edge::headers::DRAWN_FOR;
use crate::edge::problem::Problem;
use crate::edge::streams::{BUNDLE, Streams};
use crate::session::Session;
use crate::stream::sse;

/// The maximum number of streams in a bundle. With it, the address of a bundle fits into the
/// 8 KiB that proxies commonly allow. `static/bundle.js` has the same number.
const MOST: usize = 24;

/// A comment line that names a stream, and the chunk of frames after it.
type Marked = (Bytes, Bytes);

/// The query of a request for a bundle.
#[derive(Debug, Deserialize)]
struct Asked {
    /// A JSON array of [`Wanted`].
    streams: String,
}

/// A requested stream of a bundle.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The address of the stream, from the root of the site.
    path: String,
    /// The `Last-Event-ID` of the stream.
    id: Option<String>,
    /// The visitor for whom the stream's page was drawn.
    drawn_for: Option<String>,
}

/// The route of bundles of the streams that `pages` serves. Each of these streams counts
/// against the client's limit.
pub(crate) fn routes(pages: Router, streams: &Streams) -> Router {
    let pages = Pages {
        router: pages,
        streams: streams.clone(),
    };
    Router::new().route(BUNDLE, get(bundle)).with_state(pages)
}

/// `GET /api/sse/bundle?streams=…`
async fn bundle(
    State(pages): State<Pages>,
    client: Client,
    asked: Result<Query<Asked>, QueryRejection>,
    session: Session,
    request: Request,
) -> Result<Response, Problem> {
    let Query(asked) = asked.map_err(|_| malformed())?;
    let wanted: Vec<Wanted> = serde_json::from_str(&asked.streams).map_err(|_| malformed())?;
    if wanted.is_empty() || wanted.len() > MOST {
        return Err(malformed());
    }
    // The session is opened first, because the head of this answer carries a renewed cookie,
    // and the streams begin only after that head.
    session.open().await?;
    let (parts, _) = request.into_parts();
    let streams = wanted.into_iter().enumerate().map(|(number, wanted)| {
        let request = wanted.request(parts.clone())?;
        Ok(marked(number, pages.clone().answer(client, request)))
    });
    let streams: Vec<_> = streams.collect::<Result<_, Problem>>()?;
    // No other stream comes between a line and its frames.
    let chunks =
        stream::select_all(streams).flat_map(|(mark, frames)| stream::iter([mark, frames]));
    Ok(sse::unbuffered(chunks))
}

/// The routes and the limit that serve each stream of a bundle.
#[derive(Clone, Debug)]
struct Pages {
    router: Router,
    streams: Streams,
}

impl Pages {
    async fn answer(self, client: Client, request: Request) -> Response {
        match self.streams.open(client, request.uri().path()) {
            Ok(stream) => {
                let Ok(response) = self.router.oneshot(request).await;
                stream.hold(response)
            }
            Err(problem) => problem.into_response(),
        }
    }
}

impl Wanted {
    /// The request that a page with its own connection would have sent.
    fn request(self, mut parts: Parts) -> Result<Request, Problem> {
        let uri: Uri = self.path.parse().map_err(|_| malformed())?;
        let is_stream = uri.path().starts_with("/api/sse/") && uri.path() != BUNDLE;
        if uri.authority().is_some() || !is_stream {
            return Err(malformed());
        }
        parts.uri = uri;
        for (name, value) in [
            (HeaderName::from_static("last-event-id"), self.id),
            (HeaderName::from_static(DRAWN_FOR), self.drawn_for),
        ] {
            parts.headers.remove(&name);
            if let Some(value) = value {
                let value = HeaderValue::try_from(value).map_err(|_| malformed())?;
                parts.headers.insert(name, value);
            }
        }
        Ok(Request::from_parts(parts, Body::empty()))
    }
}

/// A stream of a bundle, with its number before each chunk.
fn marked(
    number: usize,
    response: impl Future<Output = Response> + Send + 'static,
) -> BoxStream<'static, Marked> {
    let note = move |what: &str| {
        (
            format!(":{number} {what}\n").into(),
            Bytes::from_static(b"\n"),
        )
    };
    stream::once(response)
        .flat_map(move |response| {
            let status = response.status();
            let begun = stream::once(future::ready(note(status.as_str())));
            if status != StatusCode::OK {
                return begun.boxed();
            }
            let mark = Bytes::from(format!(":{number}\n"));
            let frames = response.into_body().into_data_stream();
            let frames = frames
                // If a body fails, its stream ends.
                .take_while(|frames| future::ready(frames.is_ok()))
                .filter_map(|frames| future::ready(frames.ok()))
                .map(move |frames| (mark.clone(), frames));
            let ended = stream::once(future::ready(note("end")));
            begun.chain(frames).chain(ended).boxed()
        })
        .boxed()
}

fn malformed() -> Problem {
    let detail = format!(
        "'streams' must be a JSON array of 1 to {MOST} objects, each with the 'path' of a stream \
         below /api/sse/, and optionally its 'id' and 'drawn_for'"
    );
    Problem::invalid("invalid-value", detail)
}
