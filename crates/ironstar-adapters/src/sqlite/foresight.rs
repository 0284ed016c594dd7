//! Knowledge from one commit that speeds up the next: the position and the id of the last
//! event.
//!
//! If a backup is restored over the file while it is open, the log goes back. All that this
//! process remembers then belongs to another history. So every batch is committed on the
//! condition that the log still has the last event that this store has seen.

use sqlx::sqlite::SqliteConnection;

use super::batch::BatchError;
use crate::log::Known;

/// SQL for the id of an event: a text, or NULL if the id cannot be read.
macro_rules! event_id {
    () => {
        "CASE WHEN json_valid(metadata) THEN
            CASE json_type(metadata, '$.event_id') WHEN 'text' THEN metadata ->> 'event_id' END
        END"
    };
}

/// SQL for the last event of the log: its position and its id.
macro_rules! head {
    () => {
        concat!(
            "SELECT json_array(id, ",
            event_id!(),
            ") FROM events ORDER BY id DESC LIMIT 1"
        )
    };
}

pub(super) use {event_id, head};

const SELECT_HEAD: &str = head!();

/// The state that one commit leaves for the next.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// The last event that this store has seen. A log without it is another history.
    pub(super) known: Known,
    /// True if this event is the last of the log, unless another process has written since.
    pub(super) is_head: bool,
    /// The number of coming batches that must not guess, because a guess was wrong.
    pub(super) doubts: u32,
}

/// Parses the result of a query for the last event. No result stands for an empty log.
pub(super) fn parse_head(head: Option<&str>) -> Result<Known, serde_json::Error> {
    head.map_or_else(|| Ok(Known::default()), serde_json::from_str)
}

impl Foresight {
    /// Returns true if this batch may guess. Each call reduces the number of doubts by one.
    pub(super) fn may_guess(&mut self) -> bool {
        let is_trusted = self.doubts == 0;
        self.doubts = self.doubts.saturating_sub(1);
        is_trusted && self.is_head
    }

    /// Reads the last event when the log is opened.
    pub(super) async fn look(connection: &mut SqliteConnection) -> Result<Self, BatchError> {
        let head: Option<String> = sqlx::query_scalar(SELECT_HEAD)
            .fetch_optional(connection)
            .await?;
        Ok(Self {
            known: parse_head(head.as_deref())?,
            ..Self::default()
        })
    }
}
