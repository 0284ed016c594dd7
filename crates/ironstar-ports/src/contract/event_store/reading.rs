//! The rules of reading page by page.

use super::Store;
use super::support::{
    NoStream, append, exact, position_numbers, sequence_numbers, some_events, stream,
};
use crate::contract::{Verdict, equal, failed};
use crate::{Position, Sequence, StreamId};

/// A stream is read in pages, after a sequence.
pub(super) async fn stream_paging(store: Store) -> Verdict {
    append(&store, stream(2), NoStream, some_events(3)).await?;
    append(&store, stream(1), NoStream, some_events(5)).await?;
    append(&store, stream(2), exact(2), some_events(3)).await?;
    for (after, limit, expected) in [
        (None, 2, vec![0, 1]),
        (Some(1), 2, vec![2, 3]),
        (Some(3), 2, vec![4]),
        (Some(4), 2, vec![]),
        (Some(9), 2, vec![]),
        (None, 5, vec![0, 1, 2, 3, 4]),
    ] {
        let page = store
            .load_stream(&stream(1), after.map(Sequence::new), limit)
            .await
            .map_err(failed("load_stream"))?;
        equal("page", sequence_numbers(&page), expected)?;
        let foreign = page.iter().any(|envelope| envelope.stream != stream(1));
        equal("foreign events", foreign, false)?;
    }
    Ok(())
}

/// Streams of two types do not mix, even if they have the same id.
pub(super) async fn stream_of_each_type(store: Store) -> Verdict {
    let other = StreamId::new("Other", stream(1).aggregate_id);
    append(&store, stream(1), NoStream, some_events(2)).await?;
    append(&store, other.clone(), NoStream, some_events(3)).await?;
    append(&store, stream(1), exact(1), some_events(1)).await?;
    for of_type in [stream(1), other] {
        let page = store
            .load_stream(&of_type, None, 9)
            .await
            .map_err(failed("load_stream"))?;
        equal("page", sequence_numbers(&page), vec![0, 1, 2])?;
        let foreign = page.iter().any(|envelope| envelope.stream != of_type);
        equal("foreign events", foreign, false)?;
    }
    Ok(())
}

/// The log is read in pages, after a position.
pub(super) async fn log_paging(store: Store) -> Verdict {
    append(&store, stream(1), NoStream, some_events(3)).await?;
    append(&store, stream(2), NoStream, some_events(2)).await?;
    for (after, limit, expected) in [
        (0, 2, vec![1, 2]),
        (2, 2, vec![3, 4]),
        (4, 2, vec![5]),
        (5, 2, vec![]),
        (9, 2, vec![]),
        (0, 5, vec![1, 2, 3, 4, 5]),
    ] {
        let page = store
            .load_after(Position::new(after), limit)
            .await
            .map_err(failed("load_after"))?;
        equal("page", position_numbers(&page), expected)?;
    }
    Ok(())
}
