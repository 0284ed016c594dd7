//! The raw event stream, for programs: the log as JSON, live; of it, what whoever
//! asks may see.

mod audition;
mod hearing;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use futures::{StreamExt, future, stream};
use ironstar_ports::{KeyExpr, Position};
use serde::Deserialize;

use audition::Audition;
use hearing::{Hearing, Listener};

use crate::Services;
use crate::origin::RequestOrigin;
use crate::private::PrivateNews;
use crate::problem::Problem;
use crate::rate::Charge;
use crate::session::Session;
use crate::sse::{self, EventId, LastEventId, SignOfLife};
use crate::turns::Turns;

/// The routes of this module.
pub(crate) fn routes(services: Services, news: PrivateNews) -> Router {
    Router::new()
        .route("/api/events", get(events))
        .with_state((services, news, Turns::default()))
}

/// What a program wants to see.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    /// The keys of the streams, as a key expression.
    key: Option<String>,
    /// The position after which to begin.
    after: Option<String>,
    /// What lets its holder see one list more.
    link: Option<String>,
}

/// `GET /api/events?key=…&after=…&link=…`: the envelopes of matching events, as JSON,
/// if they are of the shared list, or of one that the sender may see. Of others,
/// it does not even tell that there are any.
///
/// Begins after `Last-Event-ID`, else after `after`, else at the present. An
/// unreadable `Last-Event-ID`, or one beyond the head, is of another log: then
/// it begins at the start of this one.
async fn events(
    State((services, news, turns)): State<(Services, PrivateNews, Turns)>,
    selection: Result<Query<Selection>, QueryRejection>,
    charge: Charge,
    session: Session,
    origin: RequestOrigin,
    last_event_id: LastEventId,
) -> Result<Response, Problem> {
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
    let head = services.store.head().await?;
    let after = match (last_event_id, &selection.after) {
        (LastEventId::At(EventId { position, .. }), _) if position <= head => position,
        (LastEventId::At(_) | LastEventId::Unreadable, _) => Position::START,
        (LastEventId::Absent, Some(after)) => parse_after(after, head)?,
        (LastEventId::Absent, None) => head,
    };
    let link = selection.link.and_then(|link| link.parse().ok());
    let caller = origin.by_link(&services.links, link).caller;
    let audition = Audition::new(services.gates.clone(), caller);
    let hearing = Hearing::new(keys, audition);
    let listener = Listener::new(services.feed, services.store, hearing, after);
    if let Some(events) = listener.events_to_read() {
        charge.catch_up(events)?;
    }
    let frames = listener.listen(turns.of(charge.visitor()));
    // Also who is cut off before the first event knows where to go on.
    let frames = stream::once(future::ready(sse::progress(after))).chain(frames);
    let frames = match news.hear(&session).await? {
        // Who somebody is changes when they sign in or out.
        Some(heard) => frames.take_until(heard.ended()).boxed(),
        None => frames.boxed(),
    };
    let (alive, shutdown) = (SignOfLife::Comment, services.shutdown);
    Ok(sse::respond(frames, vec![], alive, shutdown))
}

fn parse_after(after: &str, head: Position) -> Result<Position, Problem> {
    let refuse = |detail| Problem::invalid("invalid-position", detail);
    let position = sse::parse_position(after)
        .ok_or_else(|| refuse(format!("'after' must be a position, such as {head}")))?;
    if position > head {
        return Err(refuse(format!(
            "'after' must not be beyond the log, which ends at {head}"
        )));
    }
    Ok(position)
}
