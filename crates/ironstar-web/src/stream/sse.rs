//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//! frames, streams of frames, and the place from which a client continues.

use std::convert::Infallible;
use std::fmt::{self, Display, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use datastar::DatastarEvent;
use futures::{Stream, StreamExt};
use ironstar_app::EventFeed;
use ironstar_app::history::Resolved;
use ironstar_ports::{LogPlace, Position};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::stream::latest::Side;

/// The time of silence after which a stream sends a sign of life.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The range of a stream's maximum age. Each stream draws its own at random, so that streams
/// which began together do not end together.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// The sign of life of a silent stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignOfLife {
    /// A comment, which clients ignore.
    Comment,
    /// An event without data. Datastar passes it on to the page (`connection.js`); an `EventSource`
    /// ignores it. A page considers its stream lost if it is silent for long.
    Event,
}

impl SignOfLife {
    fn frame(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Comment => b": keep-alive\n\n",
            Self::Event => b"event: datastar-alive\n\n",
        })
    }
}

/// The id of an event. A client with this id has seen everything up to a place in the log. If
/// its page does not reach the end of the list, the id also tells where the page ends. As text:
/// `42.k3f9a2` or `42.k3f9a2-15`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventId {
    /// The place up to which the client has seen everything.
    pub place: LogPlace,
    /// The position of the last entry on the page; `None` if the page reaches the end.
    pub end: Option<Position>,
}

impl From<LogPlace> for EventId {
    fn from(place: LogPlace) -> Self {
        Self { place, end: None }
    }
}

impl Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        self.end.map_or(Ok(()), |end| write!(f, "-{end}"))
    }
}

impl EventId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (place, end) = match text.split_once('-') {
            Some((place, end)) => (place, Some(parse_position(end)?)),
            None => (text, None),
        };
        let place = place.parse().ok()?;
        Some(Self { place, end })
    }
}

/// The last event that a client has seen, from the header `Last-Event-ID`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastEventId {
    /// The header is missing or empty.
    Absent,
    /// The header is not an id of ours.
    Unreadable,
    /// The client has seen this event.
    At(EventId),
}

impl LastEventId {
    /// The last event that the client has seen in this log. It is `None` if the client has seen
    /// another history, which a restored backup has replaced.
    pub async fn seen(self, feed: &EventFeed) -> Option<EventId> {
        let id = match self {
            Self::At(id) => id,
            Self::Absent | Self::Unreadable => return None,
        };
        match feed.resolve(id.place).await {
            Ok(Resolved::Here(_)) => Some(id),
            Ok(Resolved::Beyond | Resolved::Elsewhere) => None,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the place of a client cannot be checked; the client begins again"
                );
                None
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // A client without an id may send an empty one.
        let value = parts.headers.get("last-event-id");
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(Self::Absent);
        };
        let id = value.to_str().ok().and_then(EventId::parse);
        Ok(id.map_or(Self::Unreadable, Self::At))
    }
}

/// Parses a position as this server writes it: digits only.
pub(crate) fn parse_position(text: &str) -> Option<Position> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(Position::new)
}

/// A frame that only tells the client its place in the log. It carries no event.
pub(crate) fn progress(place: LogPlace) -> Bytes {
    format!("id: {place}\n\n").into()
}

/// The text of one event. The id comes last, because a client stores an id as soon as it has
/// read the line. If the connection breaks within a frame, the client must not have the id yet.
pub(crate) fn frame(
    event: &str,
    data: impl IntoIterator<Item = impl AsRef<str>>,
    id: Option<LogPlace>,
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

/// The text of one of Datastar's events. It has no carriage return: in HTML that is only white
/// space, but here it would end a line.
pub fn datastar_frame(event: impl Into<DatastarEvent>, id: Option<EventId>) -> String {
    with_id(event.into(), id.map(|id| id.to_string()))
}

/// The text of one of Datastar's events, if another event of the same change follows. Its empty
/// id makes the client forget its id. So if the connection breaks here, the client begins again.
pub(crate) fn unfinished_frame(event: impl Into<DatastarEvent>) -> String {
    with_id(event.into(), Some(String::new()))
}

fn with_id(mut event: DatastarEvent, id: Option<String>) -> String {
    for data in &mut event.data {
        *data = data.replace('\r', " ");
    }
    let mut frame = event.to_string();
    if let Some(id) = id {
        // The id comes before the empty line that ends the frame.
        frame.truncate(frame.trim_end().len() + 1);
        push_field(&mut frame, "id", &id);
        frame.push('\n');
    }
    frame
}

/// A response with exactly these frames.
pub(crate) fn answer(frames: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, frames.into()).into_response()
}

/// A response that ends with its frames, at shutdown, or at its maximum age. Clients then
/// reconnect by themselves, and continue from their last place. So no client stays with one
/// server for ever, and the memory of a stream is freed from time to time. Frames from the
/// `sides` go out in between.
pub(crate) fn respond<S>(
    frames: S,
    sides: Vec<Side>,
    alive: SignOfLife,
    shutdown: CancellationToken,
) -> Response
where
    S: Stream<Item = Bytes> + Send + Unpin + 'static,
{
    let frames = Alive::new(frames, sides, alive, shutdown).map(|Ok(frame)| frame);
    unbuffered(frames)
}

/// A response that ends with its frames.
pub(crate) fn unbuffered(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = answer(Body::from_stream(frames.map(Ok::<_, Infallible>)));
    // Without this header, some proxies buffer streams.
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", no);
    response
}

/// Frames, with signs of life in between. Each frame is made only when the client is ready for
/// it, so no frames queue up.
struct Alive<S> {
    frames: S,
    sides: Vec<Side>,
    /// True if the sides were polled first this time.
    is_aside: bool,
    alive: SignOfLife,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The time at which the last frame went out.
    last: Instant,
    ends: Instant,
    /// Fires no later than the next sign of life or the end. It is not reset for each frame. If
    /// it fires too early, it is set again.
    timer: Pin<Box<Sleep>>,
}

impl<S: Stream<Item = Bytes> + Unpin> Alive<S> {
    fn new(frames: S, sides: Vec<Side>, alive: SignOfLife, shutdown: CancellationToken) -> Self {
        let now = Instant::now();
        let age = fastrand::u64(MIN_AGE.as_secs()..=MAX_AGE.as_secs());
        Self {
            frames,
            sides,
            is_aside: false,
            alive,
            shutdown: Box::pin(shutdown.cancelled_owned()),
            last: now,
            ends: now + Duration::from_secs(age),
            timer: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
        }
    }

    /// The next frame of the view or of the sides, in turn, so that neither delays the other. The
    /// stream ends when the view's frames end.
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.is_aside = !self.is_aside;
        if self.is_aside {
            let side = self.poll_sides(context);
            if side.is_ready() {
                return side;
            }
        }
        let frame = self.frames.poll_next_unpin(context);
        if frame.is_ready() || self.is_aside {
            return frame;
        }
        self.poll_sides(context)
    }

    fn poll_sides(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut index = 0;
        while let Some(side) = self.sides.get_mut(index) {
            match side.poll_next_unpin(context) {
                Poll::Ready(Some(frame)) => return Poll::Ready(Some(frame)),
                // This side has ended.
                Poll::Ready(None) => drop(self.sides.swap_remove(index)),
                Poll::Pending => index += 1,
            }
        }
        Poll::Pending
    }

    /// A sign of life or the end, when it is due.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while self.timer.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.ends {
                return Poll::Ready(None);
            }
            let is_silent = now >= self.last + KEEP_ALIVE;
            if is_silent {
                self.last = now;
            }
            let due = (self.last + KEEP_ALIVE).min(self.ends);
            self.timer.as_mut().reset(due);
            if is_silent {
                return Poll::Ready(Some(self.alive.frame()));
            }
        }
        Poll::Pending
    }
}

impl<S: Stream<Item = Bytes> + Unpin> Stream for Alive<S> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.shutdown.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let frame = this.poll_frame(context);
        if frame.is_ready() {
            this.last = Instant::now();
            // A stream that is never silent ends at its maximum age, too.
            let is_old = this.last >= this.ends;
            return frame.map(|frame| frame.filter(|_| !is_old).map(Ok));
        }
        this.poll_timer(context).map(|frame| frame.map(Ok))
    }
}

/// Escapes the characters in JSON that some clients take for the end of a line, such as Python's
/// `splitlines` and JavaScript before 2019. The JSON writer escapes all other such characters
/// itself. These three can occur only within strings.
pub(crate) fn on_one_line(json: String) -> String {
    const ENDS: [(char, &str); 3] = [
        ('\u{85}', "\\u0085"),
        ('\u{2028}', "\\u2028"),
        ('\u{2029}', "\\u2029"),
    ];
    if json.is_ascii() || !json.contains(ENDS.map(|(end, _)| end)) {
        return json;
    }
    let escape = |json: String, (end, escaped)| json.replace(end, escaped);
    ENDS.into_iter().fold(json, escape)
}

/// Adds a field, with one line for each line of its value. A carriage return ends a line, too,
/// so that no value can forge a field.
fn push_field(frame: &mut String, name: &str, value: &str) {
    for line in value.split(['\n', '\r']) {
        // Writing to a string cannot fail.
        let _ = writeln!(frame, "{name}: {line}");
    }
}

#[cfg(test)]
mod tests;
