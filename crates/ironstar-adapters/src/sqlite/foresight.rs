//! What a commit tells about the next one: where the log ends, and with which event.
//!
//! A backup that is restored over the file while it is open takes the log back, and
//! whatever this process believes is of another history then. So every batch is
//! committed on condition that the log still has the last event that was seen.

use ironstar_ports::Position;
use serde::Deserialize;
use sqlx::sqlite::SqliteConnection;

use super::batch::BatchError;

/// The id of an event, if it can be read: SQL for a text or NULL.
macro_rules! event_id {
    () => {
        "CASE WHEN json_valid(metadata) THEN
            CASE json_type(metadata, '$.event_id') WHEN 'text' THEN metadata ->> 'event_id' END
        END"
    };
}

/// The last event of the log: its position and its id.
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

/// An event that the log has: its position, and its id if that can be read. At position
/// 0, there is none.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub(super) struct Known(pub(super) Position, pub(super) Option<String>);

/// What the last commit tells about the next.
#[derive(Debug, Default)]
pub(super) struct Foresight {
    /// The last event that this store has seen. A log without it is another history.
    pub(super) known: Known,
    /// Whether the log ends with it, if no other process has written to the log since.
    pub(super) is_head: bool,
    /// How many batches are to be read first, since a guess was wrong.
    pub(super) doubts: u32,
}

impl Known {
    /// What a query for the last event answers; nothing, if there is none.
    pub(super) fn read(head: Option<&str>) -> Result<Self, serde_json::Error> {
        head.map_or_else(|| Ok(Self::default()), serde_json::from_str)
    }

    /// Whether the log that has this event, or none, at the position is still the same.
    /// An event that cannot be read is not told from others.
    pub(super) fn is_still(&self, same: Option<&Self>) -> bool {
        let Self(position, id) = self;
        let Some(Self(_, now)) = same else {
            return *position == Position::START;
        };
        id.as_ref()
            .zip(now.as_ref())
            .is_none_or(|(id, now)| id == now)
    }
}

impl Foresight {
    /// Whether to guess in this batch. After a wrong guess, as many batches as there are
    /// doubts do not.
    pub(super) fn is_trusted(&mut self) -> bool {
        let is_trusted = self.doubts == 0;
        self.doubts = self.doubts.saturating_sub(1);
        is_trusted
    }

    /// What the log ends with when it is opened.
    pub(super) async fn look(connection: &mut SqliteConnection) -> Result<Self, BatchError> {
        let head: Option<String> = sqlx::query_scalar(SELECT_HEAD)
            .fetch_optional(connection)
            .await?;
        Ok(Self {
            known: Known::read(head.as_deref())?,
            ..Self::default()
        })
    }
}
