//! Broken event stores, each a wrapper of a working one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_adapters::system::{SystemClock, SystemIdSource};
use ironstar_ports::contract::event_store::RULES;
use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, CommandRecord, Envelope, EventStore,
    ExpectedSequence, IdSource, Mark, Outcome, Position, Sequence, StoreError, StreamAppend,
    StreamId,
};

mutants! {
    dyn EventStore, around MemoryEventStore::new(Arc::new(SystemClock));
    "empty-store" => HeadStartsAtOne,
    "round-trip" => ForgetsSchemaVersion,
    "sequences" => AnswersFirstSequence,
    "positions" => AnswersFirstPosition,
    "marks" => AnswersFirstMark,
    "expect-no-stream" => NoStreamAdmitsAnything,
    "expect-exact" => ExactAdmitsMore,
    "expect-any" => AnyMeansNoStream,
    "conflict-appends-nothing" => ConflictLeavesItsFirstEvent,
    "empty-append" => AcceptsEmptyAppend,
    "several-streams" => AnswersOneStream,
    "all-or-none" => AppendsStreamByStream,
    "immutable" => RewritesTheFirstEvent,
    "one-winner" => ChecksBeforeItWrites,
    "contiguous-under-contention" => ConflictBurnsAPosition,
    "visible-in-order" => ShowsLateEvents,
    "stream-paging" => StreamPageIncludesAfter,
    "stream-of-each-type" => ReadsStreamsOfAnyType,
    "log-paging" => LogPageIgnoresLimit,
    "command-answers-again" => AnswersWithThePresent,
    "command-outcome-is-known" => KnowsNoOutcome,
    "command-key-is-not-reused" => IgnoresTheRequest,
    "command-with-nothing-to-change" => RecordsEventsOnly,
    "command-refusal-is-not-recorded" => RecordsRefusals,
    "command-sent-many-times-at-once" => LooksBeforeItRecords,
    "command-known-by-its-second-key" => ForgetsSecondKeys,
    "command-known-by-an-earlier-key" => IgnoresEarlierKeys,
    "command-earlier-key-of-another-command" => RefusesEarlierKeys,
}

type Mutant = super::Mutant<Mutation, MemoryEventStore, Notes>;

#[derive(Debug, Default)]
struct Notes {
    /// The number of appends in progress.
    in_flight: AtomicU64,
    /// Burned positions. Each entry is the inner position that the burned one follows.
    burned: Mutex<Vec<Position>>,
    /// The commands that the mutant itself remembers.
    commands: Mutex<HashMap<CommandKey, Outcome>>,
}

impl Mutant {
    /// Applies the mutation to an append before the store gets it.
    async fn distort(&self, append: &mut Append) {
        if let Some(command) = &mut append.command {
            if self.is(Mutation::ForgetsSecondKeys) {
                command.second = None;
            }
            if self.is(Mutation::IgnoresEarlierKeys) {
                command.earlier.clear();
            }
        }
        for append in &mut append.streams {
            if self.is(Mutation::ForgetsSchemaVersion) {
                for event in &mut append.events {
                    event.schema_version = 1;
                }
            }
            append.expected = self.distort_expected(append).await;
        }
    }

    async fn distort_expected(&self, append: &StreamAppend) -> ExpectedSequence {
        let expected = append.expected;
        let actual = self.last_sequence(&append.stream).await;
        let is_let_through = match expected {
            ExpectedSequence::NoStream => self.is(Mutation::NoStreamAdmitsAnything),
            ExpectedSequence::Exact(sequence) => {
                self.is(Mutation::ExactAdmitsMore) && actual < Some(sequence)
            }
            ExpectedSequence::Any if self.is(Mutation::AnyMeansNoStream) => {
                return ExpectedSequence::NoStream;
            }
            ExpectedSequence::Any => false,
        };
        if self.is(Mutation::ChecksBeforeItWrites) && expected.admits(actual) {
            tokio::task::yield_now().await;
            return ExpectedSequence::Any;
        }
        if is_let_through {
            return ExpectedSequence::Any;
        }
        expected
    }

    async fn last_sequence(&self, stream: &StreamId) -> Option<Sequence> {
        let events = self.inner.load_stream(stream, None, usize::MAX).await;
        Some(events.expect("read").last()?.sequence)
    }

    /// Executes an append with a mutation of commands. Returns `None` for other mutations.
    async fn append_command(&self, append: &Append) -> Option<Result<Appended, AppendError>> {
        let command = append.command.as_ref()?;
        let count = count_events(append);
        if self.is(Mutation::RecordsEventsOnly) && count == 0 {
            return Some(self.inner.append(without_command(append)).await);
        }
        if self.is(Mutation::RefusesEarlierKeys) {
            let earlier = command.earlier.first()?;
            let known = self.inner.outcome(&earlier.key).await.expect("read")?;
            return (known.request != earlier.request).then_some(Err(AppendError::KeyReused));
        }
        if self.is(Mutation::IgnoresTheRequest) {
            let known = self.inner.outcome(&command.key).await.expect("read")?;
            return Some(Ok(known.appended));
        }
        if self.is(Mutation::AnswersWithThePresent) && count > 0 {
            let known = self.inner.outcome(&command.key).await.expect("read")?;
            if known.request != command.request {
                return None;
            }
            let mut streams = known.appended.streams;
            for head in &mut streams {
                head.sequence = self.last_sequence(&head.stream).await;
            }
            return Some(Ok(Appended { streams }));
        }
        if self.is(Mutation::LooksBeforeItRecords) {
            let known = {
                let commands = self.notes.commands.lock().expect("the lock");
                let earlier = command.earlier.iter().map(|earlier| &earlier.key);
                let mut keys = command.keys().chain(earlier);
                keys.find_map(|key| commands.get(key)).cloned()
            };
            let is_other = |known: &Outcome| known.request != command.request;
            let is_earlier = !command.earlier.is_empty();
            if let Some(known) = known.filter(|known| !(is_earlier && is_other(known))) {
                return Some(if known.request == command.request {
                    Ok(known.appended)
                } else {
                    Err(AppendError::KeyReused)
                });
            }
            tokio::task::yield_now().await;
            // Under a key that no other caller has.
            let mut once = append.clone();
            let own = SystemIdSource.next_id().to_string();
            once.command = Some(CommandRecord::new(
                own.parse().expect("a key"),
                command.request.clone(),
            ));
            let outcome = self.inner.append(once).await;
            if let Ok(appended) = &outcome {
                self.record(command, appended.clone());
            }
            return Some(outcome);
        }
        None
    }

    fn record(&self, command: &CommandRecord, appended: Appended) {
        let outcome = Outcome {
            request: command.request.clone(),
            appended,
        };
        let mut commands = self.notes.commands.lock().expect("the lock");
        commands.extend(command.keys().map(|key| (key.clone(), outcome.clone())));
    }

    async fn append_mutated(&self, append: Append) -> Result<Appended, AppendError> {
        if self.is(Mutation::AcceptsEmptyAppend) && append.is_empty() {
            return Ok(Appended { streams: vec![] });
        }
        if let Some(outcome) = self.append_command(&append).await {
            return outcome;
        }
        if self.is(Mutation::AppendsStreamByStream) && append.command.is_none() {
            return self.append_stream_by_stream(append).await;
        }
        let mut outcome = self.inner.append(append.clone()).await;
        match &mut outcome {
            Ok(appended) => self.distort_answer(appended, &append),
            Err(AppendError::Conflict { .. }) => self.after_conflict(append).await,
            Err(_) => {}
        }
        outcome
    }

    async fn append_stream_by_stream(&self, append: Append) -> Result<Appended, AppendError> {
        let mut streams = Vec::new();
        for append in append.streams {
            let one = Append {
                streams: vec![append],
                command: None,
            };
            streams.extend(self.inner.append(one).await?.streams);
        }
        Ok(Appended { streams })
    }

    fn distort_answer(&self, appended: &mut Appended, append: &Append) {
        if self.is(Mutation::AnswersOneStream) {
            appended.streams.truncate(1);
        }
        let head = &mut appended.streams[0];
        let earlier = (append.streams[0].events.len() as u64).saturating_sub(1);
        let is_single = append.streams.len() == 1 && append.command.is_none();
        if self.is(Mutation::AnswersFirstSequence) && is_single {
            head.sequence = head
                .sequence
                .map(|sequence| Sequence::new(sequence.get() - earlier));
        }
        if self.is(Mutation::AnswersFirstMark)
            && is_single
            && let Some(first) = append.streams[0].events.first()
        {
            head.mark = Some(Mark::of(first.metadata.event_id));
        }
        if self.is(Mutation::AnswersFirstPosition) && is_single {
            head.position = Position::new(head.position.get() - earlier);
        }
    }

    async fn after_conflict(&self, append: Append) {
        if let Some(command) = &append.command
            && self.is(Mutation::RecordsRefusals)
        {
            self.record(command, Appended { streams: vec![] });
        }
        if self.is(Mutation::ConflictLeavesItsFirstEvent)
            && append.streams.len() == 1
            && count_events(&append) > 1
        {
            let mut first = without_command(&append);
            first.streams[0].events.truncate(1);
            first.streams[0].expected = ExpectedSequence::Any;
            self.inner.append(first).await.expect("appended");
        }
        if self.is(Mutation::ConflictBurnsAPosition) && self.notes.in_flight.load(SeqCst) > 1 {
            let head = self.inner.head().await.expect("read");
            self.notes.burned.lock().expect("the lock").push(head);
        }
    }

    /// Returns the position at which an event appears, after the burned positions.
    fn displace(&self, position: Position) -> Position {
        let burned = self.notes.burned.lock().expect("the lock");
        let below = burned.iter().filter(|&&burned| burned < position).count();
        Position::new(position.get() + below as u64)
    }
}

fn count_events(append: &Append) -> usize {
    append
        .streams
        .iter()
        .map(|append| append.events.len())
        .sum()
}

fn without_command(append: &Append) -> Append {
    Append {
        streams: append.streams.clone(),
        command: None,
    }
}

#[async_trait]
impl EventStore for Mutant {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        self.notes.in_flight.fetch_add(1, SeqCst);
        if self.is(Mutation::ConflictBurnsAPosition) {
            tokio::task::yield_now().await;
        }
        self.distort(&mut append).await;
        let outcome = self.append_mutated(append).await;
        self.notes.in_flight.fetch_sub(1, SeqCst);
        outcome
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        if self.is(Mutation::KnowsNoOutcome) {
            return Ok(None);
        }
        let own = self
            .notes
            .commands
            .lock()
            .expect("the lock")
            .get(key)
            .cloned();
        let known = match own {
            Some(own) => Some(own),
            None => self.inner.outcome(key).await?,
        };
        Ok(known)
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let after = if self.is(Mutation::StreamPageIncludesAfter) {
            after.and_then(|after| after.get().checked_sub(1).map(Sequence::new))
        } else {
            after
        };
        if !self.is(Mutation::ReadsStreamsOfAnyType) {
            return self.inner.load_stream(stream, after, limit).await;
        }
        let mut log = self.inner.load_after(Position::START, usize::MAX).await?;
        log.retain(|event| {
            let is_later = after.is_none_or(|after| event.sequence > after);
            event.stream.aggregate_id == stream.aggregate_id && is_later
        });
        log.truncate(limit);
        Ok(log)
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        const LATE: Position = Position::new(100);

        let limit = if self.is(Mutation::LogPageIgnoresLimit) {
            usize::MAX
        } else {
            limit
        };
        let head = self.inner.head().await?.get();
        let is_hidden = self.is(Mutation::ShowsLateEvents) && head < LATE.get() + 5;
        let mut page = self.inner.load_after(Position::START, usize::MAX).await?;
        for envelope in &mut page {
            envelope.position = self.displace(envelope.position);
            if self.is(Mutation::RewritesTheFirstEvent)
                && head > 1
                && envelope.payload.as_str() == r#"{"first":true}"#
            {
                envelope.event_type = "rewritten".to_owned();
            }
        }
        page.retain(|envelope| envelope.position > position);
        page.retain(|envelope| !(is_hidden && envelope.position == LATE));
        page.truncate(limit);
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head = self.inner.head().await?;
        if self.is(Mutation::HeadStartsAtOne) {
            return Ok(head.max(Position::new(1)));
        }
        Ok(self.displace(head))
    }
}
