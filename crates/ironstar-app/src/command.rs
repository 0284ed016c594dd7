//! From a command to durable events.

mod contest;
mod context;
mod error;
mod keyed;
mod many;

use std::sync::Arc;

use ironstar_domain::Aggregate;
use ironstar_ports::{
    Append, AppendError, Appended, EventBus, EventStore, ExpectedSequence, IdSource, Key, LogPlace,
    Metadata, NewEvent, Origin, PayloadError, Position, Sequence, SnapshotStore, StreamAppend,
    StreamHead, StreamId,
};

use crate::codec::{decode, encode};
use crate::finish::finish;
use crate::snapshots::{Snapshots, is_due};
use crate::turns::Turns;
use crate::warm::WarmStates;

pub(crate) use contest::Contest;
pub use context::CommandContext;
use error::not_appended;

pub use error::CommandError;
pub use keyed::KeyedRequest;
pub use many::AcceptedOnAll;

/// The number of events of a stream that are read at a time.
const PAGE: usize = 512;

/// Decides commands on any aggregate, and stores the resulting events.
#[derive(Clone, Debug)]
pub struct CommandHandler {
    store: Arc<dyn EventStore>,
    bus: Arc<dyn EventBus>,
    ids: Arc<dyn IdSource>,
    snapshots: Snapshots,
    warm: WarmStates,
    turns: Turns,
}

/// A condition on the state that a command is decided on.
pub(crate) type Admit<'a, A> =
    &'a (dyn Fn(&A) -> Result<(), <A as Aggregate>::Error> + Send + Sync);

/// An aggregate's state, and the head of its stream at that state.
#[derive(Clone, Debug)]
pub struct Seen<A> {
    /// The state.
    pub state: A,
    /// The head of the stream.
    pub head: StreamHead,
}

/// The place of an aggregate after a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The id of the aggregate. A repeated command returns the id of the aggregate that the
    /// first run acted on.
    pub aggregate_id: String,
    /// The sequence of the stream's last event; `None` if the stream is empty, because there
    /// was nothing to change.
    pub sequence: Option<Sequence>,
    /// The place of that event in the log.
    pub place: LogPlace,
}

/// An aggregate, as far as its stream has been read.
#[derive(Clone, Debug)]
struct Loaded<A> {
    state: A,
    head: StreamHead,
    /// True if the state was in memory. A remembered state without events skips the lookup of a
    /// snapshot. The time of that lookup would reveal that the aggregate does not exist.
    is_remembered: bool,
    /// True if the state was read from the store for this command.
    is_fresh: bool,
}

impl CommandHandler {
    /// A handler on these ports.
    #[must_use]
    pub fn new(
        store: Arc<dyn EventStore>,
        snapshots: Arc<dyn SnapshotStore>,
        bus: Arc<dyn EventBus>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self {
            store,
            bus,
            ids,
            snapshots: Snapshots::new(snapshots),
            warm: WarmStates::new(),
            turns: Turns::default(),
        }
    }

    /// A new unique id.
    #[must_use]
    pub fn next_id(&self) -> uuid::Uuid {
        self.ids.next_id()
    }

    /// Decides a command on the aggregate's current state, and stores the resulting events. If
    /// another caller changes the aggregate in between, the command is decided again. If the
    /// caller names the sequence at which it expects the aggregate, the change is a refusal
    /// instead.
    ///
    /// If the caller stops waiting, the command may or may not run. It never runs in part, and
    /// never without a hint on the bus. A command with a record runs once, however often it is
    /// sent.
    ///
    /// # Errors
    ///
    /// See [`CommandError`]. After an error nothing was stored, unless the store failed while
    /// it confirmed a commit.
    pub async fn execute<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let anybody: Admit<'_, A> = &|_| Ok(());
        self.execute_if(id, command, context, anybody).await
    }

    /// Like [`execute`](Self::execute), with a condition on the very state that the command is
    /// decided on.
    ///
    /// # Errors
    ///
    /// As [`execute`](Self::execute), and if the condition refuses the state.
    pub(crate) async fn execute_if<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
        admit: Admit<'_, A>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let outcome = self.decide_and_append(id, command, context, admit).await;
        if outcome.is_err()
            && let Some(answer) = self.answer_again(context).await?
        {
            // The command is refused because it has run before. If it would be accepted a
            // second time, the append recognises it.
            return Ok(answer);
        }
        outcome
    }

    /// The answer to an earlier run of the same command, if there was one.
    ///
    /// # Errors
    ///
    /// If the key belongs to another command, or the store fails.
    pub async fn answer_again<E>(
        &self,
        context: &CommandContext,
    ) -> Result<Option<Accepted>, CommandError<E>> {
        let known = self.known(context).await?;
        let first = known.and_then(|appended| appended.streams.into_iter().next());
        Ok(first.map(Accepted::at))
    }

    /// The append of an earlier run of the same command.
    async fn known<E>(
        &self,
        context: &CommandContext,
    ) -> Result<Option<Appended>, CommandError<E>> {
        let Some(record) = context.record() else {
            return Ok(None);
        };
        for key in record.keys() {
            match self.store.outcome(key).await? {
                None => {}
                Some(known) if known.request == record.request => return Ok(Some(known.appended)),
                Some(_) => return Err(CommandError::KeyReused),
            }
        }
        for earlier in &record.earlier {
            let known = self.store.outcome(&earlier.key).await?;
            if let Some(known) = known.filter(|known| known.request == earlier.request) {
                return Ok(Some(known.appended));
            }
        }
        Ok(None)
    }

    async fn decide_and_append<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        context: &CommandContext,
        admit: Admit<'_, A>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let is_named = context.expected.is_some();
        let mut contest = Contest::join(&self.turns, &stream, is_named).await?;
        let mut loaded = self.recall::<A>(id);
        loop {
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
            append.streams.extend(context.also.iter().cloned());
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
                Err(error) => return Err(not_appended(error)),
            }
        }
    }

    /// The races of a caller that depends on a stream which other callers change.
    pub(crate) fn watching(&self) -> Contest<'_> {
        Contest::watching(&self.turns)
    }

    /// An aggregate as it is in memory, or otherwise as it is now. Use it only for data that
    /// never changes.
    ///
    /// # Errors
    ///
    /// If the aggregate's history cannot be read.
    pub(crate) async fn remembered<A: Aggregate, E>(
        &self,
        id: &A::Id,
    ) -> Result<A, CommandError<E>> {
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

    /// The first event of an aggregate, to be stored together with the events of a command on
    /// another aggregate: see [`CommandContext::also`].
    ///
    /// # Errors
    ///
    /// If the event has no stored form.
    pub fn first_event<A: Aggregate>(
        &self,
        id: &A::Id,
        event: &A::Event,
        origin: &Origin,
    ) -> Result<StreamAppend, PayloadError> {
        Ok(StreamAppend {
            stream: StreamId::new(A::TYPE, id.to_string()),
            expected: ExpectedSequence::NoStream,
            events: self.encode(&A::default(), std::slice::from_ref(event), origin)?,
        })
    }

    /// The position of the last event in the log.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn head<E>(&self) -> Result<Position, CommandError<E>> {
        Ok(self.store.head().await?)
    }

    /// The aggregate as it is in memory, or an empty one if it is not there. Most aggregates
    /// that are not in memory are about to be created. For all others, the append or a refusal
    /// shows that the log has more events.
    fn recall<A: Aggregate>(&self, id: &A::Id) -> Loaded<A> {
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
    async fn catch_up<A: Aggregate, E>(
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
    fn snapshot<A: Aggregate>(&self, before: Option<Sequence>, state: &A, head: &StreamHead) {
        if is_due(before, head.sequence) {
            self.snapshots.save(state.clone(), head.clone());
        }
    }

    /// Makes the events that were decided on a state ready to be stored.
    fn encode<A: Aggregate>(
        &self,
        state: &A,
        events: &[A::Event],
        origin: &Origin,
    ) -> Result<Vec<NewEvent>, PayloadError> {
        // Events that create an aggregate also name its parent.
        let parent = state
            .parent()
            .or_else(|| events.iter().fold(state.clone(), A::apply).parent())
            .map(|parent| StreamId::new(parent.aggregate_type, parent.aggregate_id));
        events
            .iter()
            .map(|event| {
                let metadata = Metadata {
                    event_id: self.ids.next_id(),
                    origin: origin.clone(),
                    parent: parent.clone(),
                };
                encode(event, metadata)
            })
            .collect()
    }

    /// Keeps the state that results from the events, and returns its place.
    ///
    /// If the store recognised a repeated command, it has returned the answer of the first run.
    /// Then these events were not stored, and the state is not kept.
    fn keep<A: Aggregate>(
        &self,
        loaded: Loaded<A>,
        events: &[A::Event],
        appended: Appended,
    ) -> Accepted {
        let Some(head) = appended.streams.into_iter().next() else {
            return loaded.accepted();
        };
        let appended = head.sequence.map(Sequence::get);
        let before = loaded.head.sequence.map_or(0, |last| last.get() + 1);
        let is_ours = head.stream == loaded.head.stream
            && appended.map(|last| last + 1) == Some(before + events.len() as u64);
        if is_ours {
            let state = events.iter().fold(loaded.state, A::apply);
            self.snapshot(loaded.head.sequence, &state, &head);
            self.warm.put(state, head.clone());
        }
        Accepted::at(head)
    }

    /// Appends the events and publishes the hints: both or neither, even if the caller is
    /// dropped in between.
    async fn append_and_hint(&self, append: Append) -> Result<Appended, AppendError> {
        let (store, bus) = (Arc::clone(&self.store), Arc::clone(&self.bus));
        finish(async move {
            // Streams that are only guarded have not changed.
            let changed = append.streams.iter();
            let changed = changed.filter(|append| !append.events.is_empty());
            let keys: Vec<Key> = changed.flat_map(keys).collect();
            let appended = store.append(append).await?;
            let hint = appended.place().position.to_string();
            for key in keys {
                if let Err(error) = bus.publish(&key, hint.as_bytes()).await {
                    // The events are stored: feeds find them at their next poll.
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        %key,
                        "a hint was not published"
                    );
                }
            }
            Ok(appended)
        })
        .await
    }
}

/// The keys at which an append is announced: one for subscribers of its stream, and one for
/// subscribers of its parent.
fn keys(append: &StreamAppend) -> impl Iterator<Item = Key> {
    let parent = append.events.first();
    let part = parent
        .and_then(|event| event.metadata.parent.as_ref())
        .map(|parent| Key::of_part(parent, &append.stream));
    std::iter::once(Key::of_stream(&append.stream)).chain(part)
}

impl Accepted {
    fn at(head: StreamHead) -> Self {
        Self {
            place: head.place(),
            aggregate_id: head.stream.aggregate_id,
            sequence: head.sequence,
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    fn accepted(self) -> Accepted {
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
