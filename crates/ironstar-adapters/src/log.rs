//! The rules of the log that are the same for every database.
//!
//! A batch commits many appends in one transaction, and checks each append separately. The
//! [numbering](Numbering) decides which appends succeed, and gives their events their numbers.

mod batching;
mod numbering;

use ironstar_ports::{
    AppendError, Appended, Envelope, LogPlace, LogPlaceError, Position, StoreError,
};
use serde::Deserialize;

pub(crate) use self::batching::{BATCH, wait_for_more};
pub(crate) use self::numbering::{End, NewCommand, NumberedEvent, Numbering};

/// The answers to all callers of a batch, in the order of the appends.
pub(crate) type Answers = Vec<Result<Appended, AppendError>>;

/// A stored event, or the error for a damaged event.
pub(crate) type Read = Result<Envelope, StoreError>;

/// An event in the log: its position, and its id if that can be read. Position 0 stands for
/// an empty log.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub(crate) struct Known(pub(crate) Position, pub(crate) Option<String>);

impl Known {
    /// Returns true if the log is still the same. `same` is the event that the log now has at
    /// this position, if any. Events with unreadable ids count as the same.
    pub(crate) fn is_still(&self, same: Option<&Self>) -> bool {
        let Self(position, id) = self;
        let Some(Self(_, now)) = same else {
            return *position == Position::START;
        };
        id.as_ref()
            .zip(now.as_ref())
            .is_none_or(|(id, now)| id == now)
    }
}

/// Returns the events before the first damaged one. A caller that continues from there reads
/// the damaged event first, and gets its error.
pub(crate) fn until_damaged(events: Vec<Read>) -> Result<Vec<Envelope>, StoreError> {
    let mut page = Vec::with_capacity(events.len());
    for event in events {
        match event {
            Ok(event) => page.push(event),
            Err(error) if page.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(page)
}

/// Converts the two columns of a place.
pub(crate) fn place(position: i64, mark: Option<&str>) -> Result<LogPlace, LogPlaceError> {
    Ok(LogPlace {
        position: Position::new(position.unsigned_abs()),
        mark: mark.map(str::parse).transpose()?,
    })
}

/// Converts a number to the signed integers of a database. A number that does not fit is past every
/// row.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
