//! The rules of concurrent appends.

use futures::future::join_all;

use super::Store;
use super::support::{
    NoStream, append, exact, last_sequence, log, position_numbers, sequence_numbers, some_events,
    stream, stream_events,
};
use crate::contract::{Verdict, Violation, equal, failed, let_others_run};
use crate::{Append, AppendError, ExpectedSequence, Position, StreamId};

/// If several concurrent appends expect the same sequence, exactly one succeeds.
pub(super) async fn one_winner(store: Store) -> Verdict {
    append(&store, stream(1), NoStream, some_events(1)).await?;
    for round in 0..8 {
        let outcomes = join_all(
            (0..16)
                .map(|_| store.append(Append::to_stream(stream(1), exact(round), some_events(1)))),
        )
        .await;
        let winners = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        equal("winners", winners, 1)?;
        for error in outcomes.into_iter().filter_map(Result::err) {
            if !matches!(error, AppendError::Conflict { .. }) {
                return Err(failed("a loser must see a conflict")(error));
            }
        }
    }
    let stored = stream_events(&store, &stream(1)).await?;
    equal("stored", sequence_numbers(&stored), (0..9).collect())
}

/// Positions and sequences have no gaps and no duplicates, even if many appends run concurrently
/// and some are refused.
pub(super) async fn contiguous_under_contention(store: Store) -> Verdict {
    let rivals = join_all((0..32).map(|_| contend(&store)));
    let loners = join_all((1..=32).map(|id| extend(&store, stream(id), 8)));
    let (rivals, loners) = futures::join!(rivals, loners);
    let won: u64 = rivals
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?
        .iter()
        .sum();
    loners.into_iter().collect::<Verdict>()?;
    let stored = log(&store).await?;
    let total = won + 32 * 8;
    equal("log", position_numbers(&stored), (1..=total).collect())?;
    for id in 1..=32 {
        let stored = stream_events(&store, &stream(id)).await?;
        equal("one stream", sequence_numbers(&stored), (0..8).collect())?;
    }
    Ok(())
}

/// A reader that follows the log during appends never sees an event before the events with lower
/// positions.
pub(super) async fn visible_in_order(store: Store) -> Verdict {
    let follow = async {
        let mut last = Position::START;
        while last.get() < 8 * 25 {
            let page = store.load_after(last, 50).await;
            for envelope in page.map_err(failed("load_after"))? {
                equal("the next position", envelope.position, last.next())?;
                last = envelope.position;
            }
            let_others_run().await;
        }
        Ok(())
    };
    let write = join_all((1..=8).map(|id| extend(&store, stream(id), 25)));
    let (followed, written) = futures::join!(follow, write);
    written.into_iter().collect::<Verdict>().and(followed)
}

/// Appends `count` events to a stream, one at a time.
async fn extend(store: &Store, stream: StreamId, count: u64) -> Verdict {
    let mut expected = NoStream;
    for _ in 0..count {
        let appended = append(store, stream.clone(), expected, some_events(1)).await?;
        expected = ExpectedSequence::Exact(last_sequence(&appended)?);
        let_others_run().await;
    }
    Ok(())
}

/// Tries several times to append the first event of stream 0. Returns the number of successes.
async fn contend(store: &Store) -> Result<u64, Violation> {
    let mut won = 0;
    for _ in 0..4 {
        let attempt = Append::to_stream(stream(0), NoStream, some_events(1));
        match store.append(attempt).await {
            Ok(_) => won += 1,
            Err(AppendError::Conflict { .. }) => {}
            Err(error) => return Err(failed("append")(error)),
        }
        let_others_run().await;
    }
    Ok(won)
}
