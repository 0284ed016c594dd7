//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>):
//! frames, streams of them, and where a client wants to go on.

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

/// How long a stream is silent before it shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How old a stream gets. Each draws its own lot, so that those which began
/// together do not come back together.
const MIN_AGE: Duration = Duration::from_secs(15 * 60);
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// What a stream says when there is nothing to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SignOfLife {
    /// A comment, which clients ignore.
    Comment,
    /// An event without data, which Datastar hands on to the page (`page.js`), and
    /// `EventSource` to nobody. A page that has not heard of its stream for long
    /// takes it for lost.
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

/// What a client has seen when it has seen an event: everything up to a place in the
/// log; and if it shows a page that does not go to the end of its list, where that
/// page ends. As text, `42.k3f9a2` or `42.k3f9a2-15`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct EventId {
    pub(crate) place: LogPlace,
    pub(crate) end: Option<Position>,
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

/// Where a client says that it got to, in the header `Last-Event-ID`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LastEventId {
    /// It does not say.
    Absent,
    /// It says something that was never an id of ours.
    Unreadable,
    /// It has seen this.
    At(EventId),
}

impl LastEventId {
    /// What a client has seen of this log, as far as it says. Of a client that has seen
    /// another history, which a backup was restored over, that is nothing.
    pub(crate) async fn seen(self, feed: &EventFeed) -> Option<EventId> {
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
                    "whether a client has seen this log is not known; it begins again"
                );
                None
            }
        }
    }
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // A client that has no id may say so with an empty one.
        let value = parts.headers.get("last-event-id");
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(Self::Absent);
        };
        let id = value.to_str().ok().and_then(EventId::parse);
        Ok(id.map_or(Self::Unreadable, Self::At))
    }
}

/// A position as we write it: digits only.
pub(crate) fn parse_position(text: &str) -> Option<Position> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number).map(Position::new)
}

/// A frame that only says how far a client has got. It is no event.
pub(crate) fn progress(place: LogPlace) -> Bytes {
    format!("id: {place}\n\n").into()
}

/// One event's text. The id comes last: a client takes note of an id as soon as
/// it has read the line, so a connection that breaks in the middle of a frame
/// must not have shown it yet.
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

/// One of Datastar's events as text. In HTML a carriage return is white space,
/// and here it would end a line.
pub(crate) fn datastar_frame(event: impl Into<DatastarEvent>, id: Option<EventId>) -> String {
    with_id(event.into(), id.map(|id| id.to_string()))
}

/// One of Datastar's events as text, of several that belong together, and not
/// the last of them. Its id is empty, which makes a client forget the one that
/// it has: if the connection breaks here, it begins anew.
pub(crate) fn unfinished_frame(event: impl Into<DatastarEvent>) -> String {
    with_id(event.into(), Some(String::new()))
}

fn with_id(mut event: DatastarEvent, id: Option<String>) -> String {
    for data in &mut event.data {
        *data = data.replace('\r', " ");
    }
    let mut frame = event.to_string();
    if let Some(id) = id {
        // Before the empty line that ends the frame.
        frame.truncate(frame.trim_end().len() + 1);
        push_field(&mut frame, "id", &id);
        frame.push('\n');
    }
    frame
}

/// A response of these frames alone.
pub(crate) fn answer(frames: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, frames.into()).into_response()
}

/// A response that goes on until its frames end, the server does, or it is old
/// enough: clients then come back by themselves, and go on where they are. So no
/// client stays with one server for ever, and what a stream may have gathered
/// goes with it. Frames from the `sides` go out in between.
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

/// A response that goes on until its frames end.
pub(crate) fn unbuffered(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = answer(Body::from_stream(frames.map(Ok::<_, Infallible>)));
    // Proxies hold streams back otherwise.
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", no);
    response
}

/// Frames, and signs of life in between. Frames come one by one, when they are
/// asked for: nothing is kept of those that are not.
struct Alive<S> {
    frames: S,
    sides: Vec<Side>,
    /// Whether the sides have their turn.
    is_aside: bool,
    alive: SignOfLife,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    /// When the last frame went out.
    last: Instant,
    ends: Instant,
    /// Goes off no later than something is due. It is not set anew for each
    /// frame: when it goes off too early, it is set again.
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

    /// The next frame of either kind; those of one kind do not keep back the
    /// other. Ends with the frames of the first kind.
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
                // There will be no more of it.
                Poll::Ready(None) => drop(self.sides.swap_remove(index)),
                Poll::Pending => index += 1,
            }
        }
        Poll::Pending
    }

    /// A sign of life, or the end, when it is time.
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
            // A stream that never rests ends as well.
            let is_old = this.last >= this.ends;
            return frame.map(|frame| frame.filter(|_| !is_old).map(Ok));
        }
        this.poll_timer(context).map(|frame| frame.map(Ok))
    }
}

/// JSON in which no client finds the end of a line, wherever it looks for one: Python's
/// `splitlines`, JavaScript before 2019 and others take these for one. JSON escapes the
/// others by itself, and these stand in nothing but texts.
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
