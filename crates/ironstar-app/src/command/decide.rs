//! From an aggregate's stream to a decision.

use ironstar_domain::Aggregate;
use ironstar_ports::{Append, AppendError, ExpectedSequence, Sequence, StreamHead, StreamId};

use super::error::not_appended;
use super::guard::Guarded;
use super::{Accepted, Admit, CommandContext, CommandError, CommandHandler, Contest, Seen};
use crate::codec::decode;
use crate::snapshots::is_due;

/// The number of events of a stream that are read at a time.
const PAGE: usize = 512;

/// An aggregate, as far as its stream has been read.
#[derive(Clone, Debug)]
pub(super) struct Loaded<A> {
    pub(super) state: A,
    pub(super) head: StreamHead,
    /// True if the state was in memory. A remembered state without events skips the lookup of a
    /// snapshot. The time of that lookup would reveal that the aggregate does not exist.
    pub(super) is_remembered: bool,
    /// True if the state was read from the store for this command.
    pub(super) is_fresh: bool,
}

impl CommandHandler {
    /// Decides a command on the aggregate's state, and appends the events. After a lost race,
    /// decides again.
    pub(super) async fn decide_and_append<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
        admit: Admit<'_, A>,
        guarded: &mut Guarded<'_, A::Error>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let is_named = context.expected.is_some();
        let mut contest = Contest::join(&self.turns, &stream, is_named).await?;
        let mut loaded = self.recall::<A>(id);
        loop {
            guarded.admit()?;
            let events = match loaded.decide(command, context.expected, admit) {
                Ok(events) if !events.is_empty() => events,
                // A decision without events counts only on a state that is not behind the log.
                _ if !loaded.is_fresh => {
                    self.catch_up(&mut loaded).await?;
                    continue;
                }
                decision => decision?,
            };
            if events.is_empty() && context.is_done_without_events() {
                return Ok(loaded.accepted());
            }
            let mut append = Append::to_stream(
                loaded.head.stream.clone(),
                ExpectedSequence::after(loaded.head.sequence),
                self.encode(&loaded.state, &events, &context.origin())?,
            );
            let others = context.also.iter().chain(guarded.unchanged());
            append.streams.extend(others.cloned());
            append.command = context.record();
            match self.append_and_hint(append).await {
                Ok(appended) => {
                    return Ok(self.keep(loaded, &events, appended));
                }
                Err(AppendError::Conflict { stream, .. }) if stream == loaded.head.stream => {
                    contest.lost(&[stream]).await?;
                    let known = self.recall::<A>(id);
                    if known.head.sequence > loaded.head.sequence {
                        loaded = known;
                    } else {
                        self.catch_up(&mut loaded).await?;
                    }
                }
                Err(AppendError::Conflict { stream, .. }) if guarded.depends_on(&stream) => {
                    // A turn at the guard's stream comes before a turn at this one.
                    drop(contest);
                    guarded.lost().await?;
                    contest = Contest::join(&self.turns, &loaded.head.stream, is_named).await?;
                }
                Err(error) => return Err(not_appended(error)),
            }
        }
    }

    /// An aggregate as it is in memory, or otherwise as it is now. Use it only for data that
    /// never changes, such as the parent of a part. `E` is the error type of the calling code.
    ///
    /// # Errors
    ///
    /// If the aggregate's history cannot be read.
    pub async fn remembered<A: Aggregate, E>(&self, id: &A::Id) -> Result<A, CommandError<E>> {
        let mut loaded = self.recall::<A>(id);
        if loaded.head.sequence.is_none() {
            self.catch_up(&mut loaded).await?;
        }
        Ok(loaded.state)
    }

    /// An aggregate as it is now. `E` is the error type of the calling code, which may belong
    /// to another aggregate.
    ///
    /// # Errors
    ///
    /// If the aggregate's history cannot be read.
    pub async fn see<A: Aggregate, E>(&self, id: &A::Id) -> Result<Seen<A>, CommandError<E>> {
        let mut loaded = self.recall::<A>(id);
        self.catch_up(&mut loaded).await?;
        self.warm.put(loaded.state.clone(), loaded.head.clone());
        Ok(Seen {
            state: loaded.state,
            head: loaded.head,
        })
    }

    /// The aggregate as it is in memory, or an empty one if it is not there. Most aggregates
    /// that are not in memory are about to be created. For all others, the append or a refusal
    /// shows that the log has more events.
    pub(super) fn recall<A: Aggregate>(&self, id: &A::Id) -> Loaded<A> {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let remembered = self.warm.get(&stream);
        let is_remembered = remembered.is_some();
        let (state, head) = remembered.unwrap_or_else(|| (A::default(), StreamHead::empty(stream)));
        Loaded {
            state,
            head,
            is_remembered,
            is_fresh: false,
        }
    }

    /// Reads the events that were appended since.
    pub(super) async fn catch_up<A: Aggregate, E>(
        &self,
        loaded: &mut Loaded<A>,
    ) -> Result<(), CommandError<E>> {
        if loaded.head.sequence.is_none()
            && !loaded.is_remembered
            && let Some((state, head)) = self
                .snapshots
                .load::<A>(&*self.store, &loaded.head.stream)
                .await?
        {
            loaded.state = state;
            loaded.head = head;
        }
        let before = loaded.head.sequence;
        loop {
            let page = self
                .store
                .load_stream(&loaded.head.stream, loaded.head.sequence, PAGE)
                .await?;
            for envelope in &page {
                let (_, event) = decode::<A>(envelope)?;
                loaded.state = std::mem::take(&mut loaded.state).apply(&event);
                loaded.head.sequence = Some(envelope.sequence);
                loaded.head.position = envelope.position;
                loaded.head.mark = envelope.place().mark;
            }
            if page.len() < PAGE {
                break;
            }
        }
        loaded.is_fresh = true;
        self.snapshot(before, &loaded.state, &loaded.head);
        Ok(())
    }

    /// Saves a snapshot of a state, if that is due.
    pub(super) fn snapshot<A: Aggregate>(
        &self,
        before: Option<Sequence>,
        state: &A,
        head: &StreamHead,
    ) {
        if is_due(before, head.sequence) {
            self.snapshots.save(state.clone(), head.clone());
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    pub(super) fn accepted(self) -> Accepted {
        Accepted::at(self.head)
    }

    /// The events that result from a command, if the aggregate is at the sequence that the
    /// sender expects. If the aggregate does not exist, its own refusal comes first, because it
    /// says more.
    fn decide(
        &self,
        command: &A::Command,
        expected: Option<Sequence>,
        admit: Admit<'_, A>,
    ) -> Result<Vec<A::Event>, CommandError<A::Error>> {
        admit(&self.state).map_err(CommandError::Refused)?;
        let actual = self.head.sequence;
        let unexpected = expected.filter(|expected| actual != Some(*expected));
        if let (Some(expected), Some(_)) = (unexpected, actual) {
            return Err(CommandError::Unexpected { expected, actual });
        }
        let events = self.state.handle(command).map_err(CommandError::Refused)?;
        match unexpected {
            Some(expected) => Err(CommandError::Unexpected { expected, actual }),
            None => Ok(events),
        }
    }
}
