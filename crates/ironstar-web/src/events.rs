//! The raw event stream, for programs: the events of the log that the caller may see, as JSON
//! and live.

mod hearing;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use ironstar_app::access::{Audiences, Audition};
use ironstar_app::history::{self, Resolved};
use ironstar_ports::{KeyExpr, LogPlace};
use serde::Deserialize;

use hearing::{Hearing, Listener};

use crate::account::news::PrivateNews;
use crate::edge::cost::Cost;
use crate::edge::problem::Problem;
use crate::edge::turns::Turns;
use crate::services::Services;
use crate::session::Session;
use crate::session::origin::RequestOrigin;
use crate::stream::sse::{self, LastEventId, SignOfLife};

/// The routes of this module.
pub(crate) fn routes(services: &Services, news: &PrivateNews, audiences: Audiences) -> Router {
    Router::new()
        .route("/api/events", get(events))
        .with_state(Events {
            services: services.clone(),
            news: news.clone(),
            audiences,
            turns: Turns::default(),
        })
}

/// The event that tells a program to begin again. Its name cannot be that of an event type in
/// the log, since these have no hyphen.
const RESET: &str = "log-reset";

/// The services of the handler.
#[derive(Clone, Debug)]
struct Events {
    services: Services,
    news: PrivateNews,
    audiences: Audiences,
    turns: Turns,
}

/// The query of a request for events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// The keys of the streams, as a key expression.
    key: Option<String>,
    /// The place after which to begin.
    after: Option<String>,
    /// The token of a link, which opens one further list.
    link: Option<String>,
}

/// `GET /api/events?key=…&after=…&link=…`: the envelopes of matching events, as JSON. The caller
/// gets events of the shared list, and of lists that the caller may see. The stream does not
/// reveal that there are others.
///
/// The stream begins after `Last-Event-ID`, or else after `after`, or else with new events only.
/// If the log does not have that place, or the `Last-Event-ID` is unreadable, the place belongs
/// to another history. Then the first event is [`RESET`], and the stream begins at the start of
/// the log.
async fn events(
    Cost(charge): Cost,
    State(events): State<Events>,
    selection: Result<Query<Selection>, QueryRejection>,
    session: Session,
    origin: RequestOrigin,
    last_event_id: LastEventId,
) -> Result<Response, Problem> {
    let services = events.services;
    let Query(selection) = selection.map_err(|_| {
        Problem::invalid(
            "invalid-value",
            "the query has the parameters 'key', 'after' and 'link', once each",
        )
    })?;
    let keys = match &selection.key {
        Some(keys) => keys
            .parse()
            .map_err(|error| Problem::invalid("invalid-key-expression", error))?,
        None => KeyExpr::all_events(),
    };
    let after = begin(&services, last_event_id, selection.after.as_deref()).await?;
    let link = selection.link.and_then(|link| link.parse().ok());
    let caller = origin.by_link(&services.links, link).caller;
    let audition = Audition::new(services.gates.clone(), events.audiences, caller);
    let hearing = Hearing::new(keys, audition);
    let from = after.unwrap_or_default();
    let listener = Listener::new(services.feed, services.store, hearing, from);
    if let Some(events) = listener.events_to_read() {
        charge.catch_up(events)?;
    }
    let turns = events.turns.of(charge.client());
    let frames = listener.listen(turns, charge);
    // The first frame carries a place, so that a client which is cut off before the first event
    // knows where to continue.
    let first = after.map_or_else(reset, sse::progress);
    let frames = stream::once(future::ready(first)).chain(frames);
    let frames = match events.news.hear(&session).await? {
        // The stream ends when its visitor signs in or out, because its caller changes.
        Some(heard) => frames.take_until(heard.ended()).boxed(),
        None => frames.boxed(),
    };
    let (alive, shutdown) = (SignOfLife::Comment, services.shutdown);
    Ok(sse::respond(frames, vec![], alive, shutdown))
}

/// The place after which a program begins; `None` if this log does not have that place.
async fn begin(
    services: &Services,
    last_event_id: LastEventId,
    after: Option<&str>,
) -> Result<Option<LogPlace>, Problem> {
    let refuse = |detail| Problem::invalid("invalid-position", detail);
    let place = match (last_event_id, after) {
        (LastEventId::At(id), _) => id.place,
        (LastEventId::Unreadable, _) => return Ok(None),
        (LastEventId::Absent, Some(after)) => after
            .parse::<LogPlace>()
            .map_err(|error| refuse(format!("in 'after': {error}")))?,
        (LastEventId::Absent, None) => return Ok(Some(history::head(&*services.store).await?)),
    };
    match services.feed.resolve(place).await? {
        Resolved::Here(place) => Ok(Some(place)),
        Resolved::Beyond if last_event_id == LastEventId::Absent => {
            let head = services.store.head().await?;
            let detail = format!("'after' must not be beyond the log, which ends at {head}");
            Err(refuse(detail))
        }
        Resolved::Beyond | Resolved::Elsewhere => Ok(None),
    }
}

/// Tells a program to discard all earlier events, since all events of this log follow.
fn reset() -> Bytes {
    let data = r#"{"reason":"other-history"}"#;
    sse::frame(RESET, [data], Some(LogPlace::START)).into()
}
