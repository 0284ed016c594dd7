//! A check that the log is still the one in which a place was seen.
//!
//! When a backup is restored over the log, the log gets another history: it assigns the same
//! positions again, to other events. Everything that survives the restore carries a
//! [`LogPlace`]: an id that a client holds, a checkpoint, a reader in the middle of the log.
//! This module compares such a place with the event that the log has now.

use std::collections::VecDeque;
use std::sync::Arc;

use ironstar_ports::{Envelope, EventStore, LogPlace, Position, Sequence, StoreError, StreamId};

/// The number of pages that a consumer that is behind reads ahead.
const AHEAD: u64 = 3;

/// The relation of a place to the log as it is now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resolved {
    /// The log has the place. This is its form with a mark, if the mark can be read.
    Here(LogPlace),
    /// The place has no mark, and is beyond the log's end.
    Beyond,
    /// The place belongs to another history: the log has another event there, or none.
    Elsewhere,
}

/// Looks up a place in the log, by one indexed read. An event that cannot be read cannot be
/// compared, so an equal position is enough for it.
///
/// # Errors
///
/// If the store cannot be read.
pub async fn resolve(store: &dyn EventStore, place: LogPlace) -> Result<Resolved, StoreError> {
    if place.position == Position::START {
        return Ok(Resolved::Here(LogPlace::START));
    }
    let found = match store.load_after(before(place.position), 1).await {
        Err(StoreError::Damaged { position, .. }) if position == place.position => {
            return Ok(Resolved::Here(LogPlace::unmarked(position)));
        }
        page => page?.first().map(Envelope::place),
    };
    Ok(match found {
        Some(found) if found.position == place.position => resolve_by(found, place),
        Some(_) | None if place.mark.is_some() => Resolved::Elsewhere,
        Some(_) | None => Resolved::Beyond,
    })
}

/// The relation of a place to the log, if the log has an event at its position.
pub(crate) fn resolve_by(found: LogPlace, place: LogPlace) -> Resolved {
    if found.agrees_with(place) {
        Resolved::Here(found)
    } else {
        Resolved::Elsewhere
    }
}

/// The end of the log.
///
/// # Errors
///
/// If the store cannot be read.
pub async fn head(store: &dyn EventStore) -> Result<LogPlace, StoreError> {
    let head = LogPlace::unmarked(store.head().await?);
    Ok(match resolve(store, head).await? {
        Resolved::Here(place) => place,
        Resolved::Beyond | Resolved::Elsewhere => head,
    })
}

/// The sequence of a stream's last event up to a position, or `None` if the stream has no event
/// there. The search reads single events, two for each doubling of the stream's length.
///
/// # Errors
///
/// If the store cannot be read, or an event that the search reads is damaged, even if that
/// event is behind the position.
pub async fn last_of_stream(
    store: &dyn EventStore,
    stream: &StreamId,
    until: Position,
) -> Result<Option<Sequence>, StoreError> {
    let sequence_before = |number: u64| number.checked_sub(1).map(Sequence::new);
    let is_in = async |number: u64| {
        let found = store
            .load_stream(stream, sequence_before(number), 1)
            .await?;
        Ok::<_, StoreError>(found.first().is_some_and(|event| event.position <= until))
    };
    // The stream has fewer events up to the position than this power of two.
    let mut more = 1;
    while is_in(more - 1).await? {
        more *= 2;
    }
    let mut count = 0;
    while more > 1 {
        more /= 2;
        if is_in(count + more - 1).await? {
            count += more;
        }
    }
    Ok(sequence_before(count))
}

/// The reason why a feed cannot continue. No event was skipped: the next call tries again.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store breaks its contract that positions are contiguous.
    #[error("the log continues at position {found} instead of {expected}")]
    Gap {
        /// The expected next position.
        expected: Position,
        /// The position of the event that was found.
        found: Position,
    },
    /// A backup was restored over the log: the last event that was read is not part of it.
    #[error("a backup was restored over the log, which now has another history")]
    OtherHistory,
}

impl FeedError {
    /// Returns true if another try cannot succeed, because the content of the log will not
    /// change.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Store(StoreError::Unavailable(_)) => false,
            Self::Store(StoreError::Damaged { .. }) | Self::Gap { .. } | Self::OtherHistory => true,
        }
    }
}

/// A page of events that continues without a gap.
pub(crate) type Page = Result<VecDeque<Arc<Envelope>>, FeedError>;

/// Events as they were read, to be verified by [`goes_on_behind`].
pub(crate) type Unverified = Result<VecDeque<Arc<Envelope>>, StoreError>;

/// Reads up to `limit` events after a place. Verifies that they continue without a gap, in the
/// history of the place. A damaged event must be the next one, too.
pub(crate) async fn read_page(store: &dyn EventStore, last: LogPlace, limit: usize) -> Page {
    loop {
        let page = match read_from(store, last.position, limit).await {
            // The last event can no longer be compared, or the event behind it is damaged.
            Err(StoreError::Damaged { .. }) => {
                return read_after(store, last.position, limit).await;
            }
            page => goes_on_behind(last, page?)?,
        };
        if !page.is_empty() || last.position == Position::START {
            return Ok(page);
        }
        // There are no more events, or the next event is damaged. Events that were appended in
        // between are read again, behind the place.
        if read_after(store, last.position, limit).await?.is_empty() {
            return Ok(page);
        }
    }
}

/// Reads the event at a position, and up to `limit` events after it.
pub(crate) async fn read_from(
    store: &dyn EventStore,
    position: Position,
    limit: usize,
) -> Unverified {
    let limit = match position {
        Position::START => limit,
        _ => limit.saturating_add(1),
    };
    let page = store.load_after(before(position), limit).await?;
    Ok(page.into_iter().map(Arc::new).collect())
}

/// The events after a place, from a page that begins at that place.
pub(crate) fn goes_on_behind(last: LogPlace, mut page: VecDeque<Arc<Envelope>>) -> Page {
    if last.position == Position::START {
        return goes_on(last.position, page);
    }
    let found = page.pop_front().ok_or(FeedError::OtherHistory)?.place();
    if found.position != last.position {
        return Err(FeedError::Gap {
            expected: last.position,
            found: found.position,
        });
    }
    if !found.agrees_with(last) {
        return Err(FeedError::OtherHistory);
    }
    goes_on(last.position, page)
}

async fn read_after(store: &dyn EventStore, last: Position, limit: usize) -> Page {
    match store.load_after(last, limit).await {
        Err(StoreError::Damaged { position, .. }) if position != last.next() => {
            Err(FeedError::Gap {
                expected: last.next(),
                found: position,
            })
        }
        page => goes_on(last, page?.into_iter().map(Arc::new).collect()),
    }
}

/// A page, if it continues after a position without a gap.
fn goes_on(mut last: Position, page: VecDeque<Arc<Envelope>>) -> Page {
    for envelope in &page {
        if envelope.position != last.next() {
            return Err(FeedError::Gap {
                expected: last.next(),
                found: envelope.position,
            });
        }
        last = envelope.position;
    }
    Ok(page)
}

/// The next whole pages that the log has for a consumer to read ahead. Returns the positions
/// after which they begin.
pub(crate) fn whole_pages(
    last: Position,
    head: Position,
    page: usize,
) -> impl Iterator<Item = Position> {
    let page = page as u64;
    let pages = (0..AHEAD).map(move |number| last.get() + number * page);
    let whole = pages.take_while(move |after| after + page <= head.get());
    whole.map(Position::new)
}

fn before(position: Position) -> Position {
    Position::new(position.get().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_are_read_in_advance() {
        for (head, expected) in [
            (10, vec![]),
            (13, vec![]),
            (14, vec![10]),
            (17, vec![10]),
            (18, vec![10, 14]),
            (22, vec![10, 14, 18]),
            (100, vec![10, 14, 18]),
        ] {
            let pages = whole_pages(Position::new(10), Position::new(head), 4);
            let pages: Vec<u64> = pages.map(Position::get).collect();
            assert_eq!(pages, expected, "up to {head}");
        }
    }
}
