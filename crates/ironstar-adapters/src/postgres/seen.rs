//! The last event of the log that this process has seen.
//!
//! A standby may take over that lacks the last events, or a backup may be restored. Then the log
//! lacks events that callers and visitors have seen, and new events get their positions. So each
//! new connection must find the last seen event. Otherwise the server refuses all requests until
//! an operator starts it again.

use std::error::Error;
use std::sync::Arc;

use ironstar_ports::{Envelope, Position};
use parking_lot::Mutex;
use sqlx::postgres::PgConnection;

use crate::log::Known;

const SELECT_EVENT: &str = "SELECT coalesce(metadata ->> 'event_id', '') FROM events WHERE id = $1";

/// The log no longer has an event that this process has seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the log no longer has the event at position {position}, which this server has seen: a standby \
     took over that lacks the last events, or a backup was restored. This server now \
     answers 503. Restore the events. If they cannot be restored, start all servers again: they \
     continue after the last event that is left"
)]
pub struct LostEvents {
    /// The position of the event.
    pub position: Position,
}

/// The last seen event, shared by all connections of a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last: Known,
    lost: Option<LostEvents>,
}

impl Seen {
    /// Notes an event that callers get to see.
    pub(super) fn note(&self, event: &Known) {
        let mut state = self.0.lock();
        if state.last.0 < event.0 {
            state.last = event.clone();
        }
    }

    /// Notes the last event of a page that begins after a position. Refuses a page that lacks the
    /// event that was seen last before it was read, or has another one in its place.
    pub(super) fn check_page(
        &self,
        seen: &Known,
        after: Position,
        page: &[Envelope],
        is_last: bool,
    ) -> Result<(), LostEvents> {
        let end = page.last().map_or(after, |event| event.position);
        let is_shorter = is_last && end < seen.0;
        let mut same = page.iter().filter(|event| event.position == seen.0);
        let is_other = same.any(|event| {
            let id = event.metadata.event_id;
            seen.1.as_ref().is_some_and(|seen| seen.parse() != Ok(id))
        });
        if is_shorter || is_other {
            return Err(self.lose(seen.0));
        }
        if let Some(last) = page.last() {
            self.note(&Known(
                last.position,
                Some(last.metadata.event_id.to_string()),
            ));
        }
        Ok(())
    }

    /// Returns the last seen event.
    pub(super) fn last(&self) -> Known {
        self.0.lock().last.clone()
    }

    /// Refuses to go on if events were lost.
    pub(super) fn check(&self) -> Result<(), LostEvents> {
        self.0.lock().lost.map_or(Ok(()), Err)
    }

    /// Makes all later checks fail, because the log lacks the event at this position.
    pub(super) fn lose(&self, position: Position) -> LostEvents {
        let lost = LostEvents { position };
        let mut state = self.0.lock();
        if state.lost.is_none() {
            tracing::error!(
                error = &lost as &dyn Error,
                "the server serves this log no longer, because an event that it has seen is missing"
            );
        }
        *state.lost.get_or_insert(lost)
    }

    /// Checks that a new connection leads to a log with the last seen event.
    pub(super) async fn compare(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Result<(), LostEvents>, sqlx::Error> {
        let last = self.last();
        if last.0 == Position::START {
            return Ok(self.check());
        }
        let id: Option<String> = sqlx::query_scalar(SELECT_EVENT)
            .bind(i64::try_from(last.0.get()).unwrap_or(i64::MAX))
            .fetch_optional(connection)
            .await?;
        let same = id.map(|id| Known(last.0, Some(id).filter(|id| !id.is_empty())));
        if !last.is_still(same.as_ref()) {
            return Ok(Err(self.lose(last.0)));
        }
        Ok(self.check())
    }
}
