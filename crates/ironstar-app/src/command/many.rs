//! One command on many aggregates, in one append.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use ironstar_domain::Aggregate;
use ironstar_ports::{
    Append, AppendError, Appended, ExpectedSequence, LogPlace, StreamAppend, StreamId,
};

use super::{CommandContext, CommandError, CommandHandler, Contest, Loaded, not_appended};
use crate::history;

/// The number of streams that are read at the same time.
const READERS: usize = 4;

/// The effect of a command on many aggregates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AcceptedOnAll {
    /// The number of aggregates that the command has changed.
    pub changed: usize,
    /// The place of the last new event; the end of the whole log, if nothing changed.
    pub place: LogPlace,
}

/// The aggregates that change, by index, with their new events.
type Decisions<A> = Vec<(usize, Vec<<A as Aggregate>::Event>)>;

impl CommandHandler {
    /// Decides a command on each of these aggregates, and stores all resulting events or none.
    /// Aggregates that refuse the command are left out; all others are changed.
    ///
    /// # Errors
    ///
    /// See [`CommandError`]; no error is a refusal.
    pub async fn execute_on_all<A: Aggregate>(
        &self,
        ids: &[A::Id],
        command: &A::Command,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, CommandError<A::Error>> {
        let mut all = self.load_all::<A>(ids).await?;
        let mut contest = Contest::for_many(&self.turns);
        let mut contended: Vec<StreamId> = Vec::new();
        loop {
            let decisions = decide_all(&all, command);
            if decisions.is_empty() && context.is_done_without_events() {
                let place = history::head(&*self.store).await?;
                return Ok(AcceptedOnAll { changed: 0, place });
            }
            let append = self.append_of(&all, &decisions, context)?;
            match self.append_and_hint(append).await {
                Ok(appended) => {
                    return self.accept_all(all, decisions, appended, context).await;
                }
                Err(AppendError::Conflict { stream, .. }) if !context.depends_on(&stream) => {
                    add(&mut contended, stream);
                    contest.lost(&contended).await?;
                    let before = std::mem::replace(&mut all, self.load_all::<A>(ids).await?);
                    // The streams that have changed just now may well cause the next conflict.
                    for stream in moved(&before, &all) {
                        add(&mut contended, stream);
                    }
                }
                Err(error) => return Err(not_appended(error)),
            }
        }
    }

    /// The answer to an earlier run of the same command, if there was one.
    ///
    /// # Errors
    ///
    /// If the key belongs to another command, or the store fails.
    pub async fn answer_again_on_all<E>(
        &self,
        context: &CommandContext,
    ) -> Result<Option<AcceptedOnAll>, CommandError<E>> {
        match self.known(context).await? {
            Some(appended) => Ok(Some(self.accepted_on_all(&appended, context).await?)),
            None => Ok(None),
        }
    }

    /// Stores the events that a context adds, without a command of their own.
    ///
    /// # Errors
    ///
    /// If a stream of the context has changed, or the store fails.
    pub(crate) async fn store_also<E>(
        &self,
        context: &CommandContext,
    ) -> Result<(), CommandError<E>> {
        let append = Append {
            streams: context.also.clone(),
            command: context.record(),
        };
        self.append_and_hint(append).await.map_err(not_appended)?;
        Ok(())
    }

    /// The aggregates as they are now.
    async fn load_all<A: Aggregate>(
        &self,
        ids: &[A::Id],
    ) -> Result<Vec<Loaded<A>>, CommandError<A::Error>> {
        // Boxed, because the compiler cannot prove that futures of all lifetimes are `Send`.
        let loading: Vec<BoxFuture<'_, _>> =
            ids.iter().map(|id| self.load_one(id).boxed()).collect();
        stream::iter(loading).buffered(READERS).try_collect().await
    }

    async fn load_one<A: Aggregate>(
        &self,
        id: &A::Id,
    ) -> Result<Loaded<A>, CommandError<A::Error>> {
        let mut loaded = self.recall::<A>(id);
        self.catch_up(&mut loaded).await?;
        Ok(loaded)
    }

    fn append_of<A: Aggregate>(
        &self,
        all: &[Loaded<A>],
        decisions: &Decisions<A>,
        context: &CommandContext,
    ) -> Result<Append, CommandError<A::Error>> {
        let origin = context.origin();
        let stream = |(index, events): &(usize, Vec<A::Event>)| {
            let loaded = &all[*index];
            Ok(StreamAppend {
                stream: loaded.head.stream.clone(),
                expected: ExpectedSequence::after(loaded.head.sequence),
                events: self.encode(&loaded.state, events, &origin)?,
            })
        };
        let also = context.also.iter().cloned().map(Ok);
        let streams: Result<Vec<_>, CommandError<A::Error>> =
            decisions.iter().map(stream).chain(also).collect();
        Ok(Append {
            streams: streams?,
            command: context.record(),
        })
    }

    /// Keeps the states that result from the events.
    async fn accept_all<A: Aggregate>(
        &self,
        mut all: Vec<Loaded<A>>,
        decisions: Decisions<A>,
        appended: Appended,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, CommandError<A::Error>> {
        let accepted = self.accepted_on_all(&appended, context).await?;
        for ((index, events), head) in decisions.into_iter().zip(appended.streams) {
            let loaded = &mut all[index];
            let loaded = Loaded {
                state: std::mem::take(&mut loaded.state),
                head: loaded.head.clone(),
                is_remembered: true,
                is_fresh: true,
            };
            let appended = Appended {
                streams: vec![head],
            };
            self.keep(loaded, &events, appended);
        }
        Ok(accepted)
    }

    async fn accepted_on_all<E>(
        &self,
        appended: &Appended,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, CommandError<E>> {
        let changed = appended.streams.len().saturating_sub(context.also.len());
        let place = match changed {
            0 => history::head(&*self.store).await?,
            _ => appended.place(),
        };
        Ok(AcceptedOnAll { changed, place })
    }
}

/// The streams that have changed between two reads.
fn moved<A>(before: &[Loaded<A>], after: &[Loaded<A>]) -> impl Iterator<Item = StreamId> {
    let pairs = before.iter().zip(after);
    let moved = pairs.filter(|(before, after)| before.head.sequence != after.head.sequence);
    moved.map(|(_, after)| after.head.stream.clone())
}

fn add(streams: &mut Vec<StreamId>, stream: StreamId) {
    if !streams.contains(&stream) {
        streams.push(stream);
    }
}

/// The events that result from a command, for each aggregate that it changes. A repeated
/// aggregate counts once.
fn decide_all<A: Aggregate>(all: &[Loaded<A>], command: &A::Command) -> Decisions<A> {
    let mut streams = HashSet::new();
    all.iter()
        .enumerate()
        .filter(|(_, loaded)| streams.insert(&loaded.head.stream))
        .filter_map(|(index, loaded)| Some((index, loaded.state.handle(command).ok()?)))
        .filter(|(_, events)| !events.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_is_contended_once() {
        let [one, other] = ["1", "2"].map(|id| StreamId::new("Todo", id));
        let mut contended = Vec::new();
        for stream in [&one, &other, &one] {
            add(&mut contended, stream.clone());
        }
        assert_eq!(contended, [one, other]);
    }
}
