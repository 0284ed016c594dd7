//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//! frames, streams of them, and where a client wants to go on.

use std::fmt::Write;
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use datastar::DatastarEvent;
use futures::{Stream, StreamExt, stream};
use ironstar_ports::Position;
use tokio_util::sync::CancellationToken;

/// How long a stream is silent before it shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment, which clients ignore.
const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// Where a client says that it got to, in the header `Last-Event-ID`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LastEventId {
    /// It does not say.
    Absent,
    /// It says something that was never an id of ours.
    Unreadable,
    /// It has seen everything up to here.
    At(Position),
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(value) = parts.headers.get("last-event-id") else {
            return Ok(Self::Absent);
        };
        let position = value.to_str().ok().and_then(parse_position);
        Ok(position.map_or(Self::Unreadable, Self::At))
    }
}

/// A position as we write it: digits only.
pub(crate) fn parse_position(text: &str) -> Option<Position> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(Position::new)
}

/// A frame that only says how far a client has got. It is no event.
pub(crate) fn progress(position: Position) -> Bytes {
    format!("id: {position}\n\n").into()
}

/// One event's text. The id comes last: a client takes note of an id as soon as
/// it has read the line, so a connection that breaks in the middle of a frame
/// must not have shown it yet.
pub(crate) fn frame(
    event: &str,
    data: impl IntoIterator<Item = impl AsRef<str>>,
    id: Option<Position>,
) -> String {
    let mut frame = String::new();
    push_field(&mut frame, "event", event);
    for data in data {
        push_field(&mut frame, "data", data.as_ref());
    }
    if let Some(id) = id {
        push_field(&mut frame, "id", &id.to_string());
    }
    frame.push('\n');
    frame
}

/// One of Datastar's events as text. In HTML a carriage return is white space,
/// and here it would end a line.
pub(crate) fn datastar_frame(event: impl Into<DatastarEvent>, id: Option<Position>) -> String {
    let mut event = event.into();
    for data in &mut event.data {
        *data = data.replace('\r', " ");
    }
    let mut frame = event.to_string();
    if let Some(id) = id {
        // Before the empty line that ends the frame.
        frame.truncate(frame.trim_end().len() + 1);
        push_field(&mut frame, "id", &id.to_string());
        frame.push('\n');
    }
    frame
}

/// A response that goes on until its frames end, or the server does.
pub(crate) fn respond<S>(frames: S, shutdown: CancellationToken) -> Response
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let alive = stream::unfold(
        (Box::pin(frames), shutdown),
        |(mut frames, shutdown)| async {
            let frame = tokio::select! {
                () = shutdown.cancelled() => None,
                frame = tokio::time::timeout(KEEP_ALIVE, frames.next()) => frame.unwrap_or(Some(COMMENT)),
            };
            frame.map(|frame| (Ok::<_, std::convert::Infallible>(frame), (frames, shutdown)))
        },
    );
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store"),
            // Proxies hold streams back otherwise.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        Body::from_stream(alive),
    )
        .into_response()
}

/// Adds a field, one line for each line of its value. A carriage return ends a
/// line too, so that none can get in between.
fn push_field(frame: &mut String, name: &str, value: &str) {
    for line in value.split(['\n', '\r']) {
        // Writing to a string cannot fail.
        let _ = writeln!(frame, "{name}: {line}");
    }
}

#[cfg(test)]
mod tests;
