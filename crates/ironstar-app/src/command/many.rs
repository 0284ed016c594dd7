//! One command on many aggregates, in one append.

use std::collections::HashSet;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use ironstar_domain::Aggregate;
use ironstar_ports::{
    Append, AppendError, Appended, ExpectedSequence, LogPlace, StreamAppend, StreamId,
};

use super::decide::Loaded;
use super::error::not_appended;
use super::guard::{Guard, Guarded};
use super::{CommandContext, CommandError, CommandHandler, Contest};
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
        let guarded = Guarded::free(&self.turns);
        self.decide_and_append_all::<A>(ids, command, context, guarded)
            .await
    }

    /// Like [`execute_on_all`](Self::execute_on_all), with a guard that must hold at the moment
    /// when the command is decided. The aggregates are looked up only for a caller that the
    /// guard admits, and only if the command has not run before.
    ///
    /// # Errors
    ///
    /// As [`execute_on_all`](Self::execute_on_all), and those of the guard and of the lookup
    /// (`ids`). A refusal by the guard is an error of the whole command.
    pub async fn execute_guarded_on_all<'a, A: Aggregate, E>(
        &'a self,
        ids: impl Future<Output = Result<Vec<A::Id>, E>>,
        command: &A::Command,
        context: &CommandContext,
        guard: Guard<'a, A::Error>,
    ) -> Result<AcceptedOnAll, E>
    where
        E: From<CommandError<A::Error>>,
    {
        let guarded = Guarded::ask(&self.turns, guard).await?;
        if let Some(known) = self.known(context).await? {
            let others = others(context, &guarded).count();
            return Ok(self.accepted_on_all(&known, others).await?);
        }
        let ids = ids.await?;
        let accepted = self.decide_and_append_all::<A>(&ids, command, context, guarded);
        Ok(accepted.await?)
    }

    /// Decides a command on all aggregates, and appends the events. After a lost race, decides
    /// again.
    async fn decide_and_append_all<A: Aggregate>(
        &self,
        ids: &[A::Id],
        command: &A::Command,
        context: &CommandContext,
        mut guarded: Guarded<'_, A::Error>,
    ) -> Result<AcceptedOnAll, CommandError<A::Error>> {
        let mut all = self.load_all::<A>(ids).await?;
        let mut contest = Contest::for_many(&self.turns);
        let mut contended: Vec<StreamId> = Vec::new();
        loop {
            guarded.admit()?;
            let decisions = decide_all(&all, command);
            if decisions.is_empty() && context.is_done_without_events() {
                let place = history::head(&*self.store).await?;
                return Ok(AcceptedOnAll { changed: 0, place });
            }
            let mut append = self.append_of(&all, &decisions, context)?;
            append.streams.extend(others(context, &guarded).cloned());
            match self.append_and_hint(append).await {
                Ok(appended) => {
                    let others = others(context, &guarded).count();
                    let accepted = self.accepted_on_all(&appended, others).await?;
                    self.keep_all(all, decisions, appended);
                    return Ok(accepted);
                }
                Err(AppendError::Conflict { stream, .. }) if guarded.depends_on(&stream) => {
                    // A turn at the guard's stream comes before turns at the others.
                    drop(contest);
                    guarded.lost().await?;
                    contest = Contest::for_many(&self.turns);
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
        let streams: Result<Vec<_>, CommandError<A::Error>> =
            decisions.iter().map(stream).collect();
        Ok(Append {
            streams: streams?,
            command: context.record(),
        })
    }

    /// Keeps the states that result from the events.
    fn keep_all<A: Aggregate>(
        &self,
        mut all: Vec<Loaded<A>>,
        decisions: Decisions<A>,
        appended: Appended,
    ) {
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
    }

    /// The answer for an append that also had `others` streams of no such aggregate.
    async fn accepted_on_all<E>(
        &self,
        appended: &Appended,
        others: usize,
    ) -> Result<AcceptedOnAll, CommandError<E>> {
        let changed = appended.streams.len().saturating_sub(others);
        let place = match changed {
            0 => history::head(&*self.store).await?,
            _ => appended.place(),
        };
        Ok(AcceptedOnAll { changed, place })
    }
}

/// The streams of an append in addition to those of the aggregates.
fn others<'a, E: Clone>(
    context: &'a CommandContext,
    guarded: &'a Guarded<'_, E>,
) -> impl Iterator<Item = &'a StreamAppend> {
    context.also.iter().chain(guarded.unchanged())
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
        let [one, other] = ["1", "2"].map(|id| StreamId::new("Test", id));
        let mut contended = Vec::new();
        for stream in [&one, &other, &one] {
            add(&mut contended, stream.clone());
        }
        assert_eq!(contended, [one, other]);
    }
}
