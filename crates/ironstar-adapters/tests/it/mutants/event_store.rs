//! Broken event stores, each around one that works.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use ironstar_adapters::memory::MemoryEventStore;
use ironstar_adapters::system::SystemClock;
use ironstar_ports::contract::event_store::RULES;
use ironstar_ports::{
    Append, AppendError, Appended, Envelope, EventStore, ExpectedSequence, Position, Sequence,
    StoreError, StreamId,
};

use crate::contract::broken_rules;

/// Each rule, and what is broken to see it fail.
const MUTANTS: &[(&str, Mutation)] = &[
    ("empty-store", Mutation::HeadStartsAtOne),
    ("round-trip", Mutation::ForgetsSchemaVersion),
    ("sequences", Mutation::AnswersFirstSequence),
    ("positions", Mutation::AnswersFirstPosition),
    ("expect-no-stream", Mutation::NoStreamAdmitsAnything),
    ("expect-exact", Mutation::ExactAdmitsMore),
    ("expect-any", Mutation::AnyMeansNoStream),
    (
        "conflict-appends-nothing",
        Mutation::ConflictLeavesItsFirstEvent,
    ),
    ("empty-append", Mutation::AcceptsEmptyAppend),
    ("one-winner", Mutation::ChecksBeforeItWrites),
    (
        "contiguous-under-contention",
        Mutation::ConflictBurnsAPosition,
    ),
    ("visible-in-order", Mutation::ShowsLateEvents),
    ("stream-paging", Mutation::StreamPageIncludesAfter),
    ("log-paging", Mutation::LogPageIgnoresLimit),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mutation {
    HeadStartsAtOne,
    ForgetsSchemaVersion,
    AnswersFirstSequence,
    AnswersFirstPosition,
    NoStreamAdmitsAnything,
    ExactAdmitsMore,
    AnyMeansNoStream,
    ConflictLeavesItsFirstEvent,
    AcceptsEmptyAppend,
    ChecksBeforeItWrites,
    ConflictBurnsAPosition,
    ShowsLateEvents,
    StreamPageIncludesAfter,
    LogPageIgnoresLimit,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_breaks_its_rule_and_no_other() {
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    let covered: Vec<&str> = MUTANTS.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(covered, rules);
    for &(rule, mutation) in MUTANTS {
        let broken = broken_rules(RULES, async || Mutant::with(mutation)).await;
        assert_eq!(broken, [rule], "{mutation:?}");
    }
}

/// A store with one mutation.
#[derive(Debug)]
struct Mutant {
    mutation: Mutation,
    inner: MemoryEventStore,
    /// How many appends are under way.
    in_flight: AtomicU64,
    /// Positions that were burned, as the inner positions that they follow.
    burned: Mutex<Vec<Position>>,
}

impl Mutant {
    fn with(mutation: Mutation) -> Arc<dyn EventStore> {
        Arc::new(Self {
            mutation,
            inner: MemoryEventStore::new(Arc::new(SystemClock)),
            in_flight: AtomicU64::new(0),
            burned: Mutex::default(),
        })
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == mutation
    }

    /// What the mutation makes of an append before the store sees it.
    fn distort(&self, mut append: Append) -> Append {
        if self.is(Mutation::ForgetsSchemaVersion) {
            for event in &mut append.events {
                event.schema_version = 1;
            }
        }
        append.expected = match append.expected {
            ExpectedSequence::NoStream if self.is(Mutation::NoStreamAdmitsAnything) => {
                ExpectedSequence::Any
            }
            ExpectedSequence::Any if self.is(Mutation::AnyMeansNoStream) => {
                ExpectedSequence::NoStream
            }
            expected @ (ExpectedSequence::NoStream
            | ExpectedSequence::Exact(_)
            | ExpectedSequence::Any) => expected,
        };
        append
    }

    async fn last_sequence(&self, stream: &StreamId) -> Option<Sequence> {
        let events = self.inner.load_stream(stream, None, usize::MAX).await;
        Some(events.expect("read").last()?.sequence)
    }

    async fn append_mutated(&self, mut append: Append) -> Result<Appended, AppendError> {
        let count = append.events.len() as u64;
        if self.is(Mutation::AcceptsEmptyAppend) && count == 0 {
            return Ok(Appended {
                sequence: Sequence::FIRST,
                position: Position::new(1),
            });
        }
        if let (Mutation::ExactAdmitsMore, ExpectedSequence::Exact(expected)) =
            (self.mutation, append.expected)
            && self.last_sequence(&append.stream).await < Some(expected)
        {
            append.expected = ExpectedSequence::Any;
        }
        if self.is(Mutation::ChecksBeforeItWrites)
            && append
                .expected
                .admits(self.last_sequence(&append.stream).await)
        {
            tokio::task::yield_now().await;
            append.expected = ExpectedSequence::Any;
        }
        let mut outcome = self.inner.append(append.clone()).await;
        if let Err(AppendError::Conflict { .. }) = outcome {
            self.after_conflict(append).await;
        }
        if let Ok(appended) = &mut outcome {
            if self.is(Mutation::AnswersFirstSequence) {
                appended.sequence = Sequence::new(appended.sequence.get() + 1 - count);
            }
            if self.is(Mutation::AnswersFirstPosition) {
                appended.position = Position::new(appended.position.get() + 1 - count);
            }
        }
        outcome
    }

    async fn after_conflict(&self, mut append: Append) {
        if self.is(Mutation::ConflictLeavesItsFirstEvent) && append.events.len() > 1 {
            append.events.truncate(1);
            append.expected = ExpectedSequence::Any;
            self.inner.append(append).await.expect("appended");
        }
        if self.is(Mutation::ConflictBurnsAPosition) && self.in_flight.load(SeqCst) > 1 {
            let head = self.inner.head().await.expect("read");
            self.burned.lock().expect("the lock").push(head);
        }
    }

    /// Where an event appears to be, given the burned positions.
    fn displace(&self, position: Position) -> Position {
        let burned = self.burned.lock().expect("the lock");
        let below = burned.iter().filter(|&&burned| burned < position).count();
        Position::new(position.get() + below as u64)
    }
}

#[async_trait]
impl EventStore for Mutant {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.in_flight.fetch_add(1, SeqCst);
        if self.is(Mutation::ConflictBurnsAPosition) {
            tokio::task::yield_now().await;
        }
        let outcome = self.append_mutated(self.distort(append)).await;
        self.in_flight.fetch_sub(1, SeqCst);
        outcome
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
        self.inner.load_stream(stream, after, limit).await
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
