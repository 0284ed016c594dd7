//! Deliberate bugs, which prove that the checks find them.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use ironstar_ports::{
    Append, AppendError, Appended, CommandKey, Envelope, EventStore, ExpectedSequence, Outcome,
    Position, Sequence, StoreError, StreamId,
};
use parking_lot::Mutex;

use crate::early::EarlyStore;

/// A deliberate bug.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// Answers before the sync, which never happens: `synchronous=OFF`.
    AcknowledgesBeforeSync,
    /// Answers before the commit, which happens a moment later.
    AcknowledgesBeforeCommit,
    /// Appends to several streams one after the other.
    SplitsAppends,
    /// Does not record the keys of commands.
    ForgetsKeys,
    /// Accepts any expected sequence.
    IgnoresExpectedSequence,
    /// Now and then reads a stream without its last event.
    ReadsStaleStreams,
    /// Now and then reads the log without one of its events.
    SkipsEvents,
    /// Reads the log in two statements, which see different moments.
    ReadsInTwoStatements,
    /// Looks for new events only when it gets a hint.
    TrustsHints,
    /// Keeps some memory for every append.
    RemembersEverything,
    /// Numbers events by a sequence of the database, and not under a lock.
    NumbersBySequence,
    /// Lets a node store documents under a lease that is over.
    ForgetsEpochs,
    /// Waits for nodes that do not report.
    WaitsForSilentNodes,
    /// Checks files that are not the files that the next start reads.
    LooksElsewhere,
}

/// The text is not the name of a bug.
#[derive(Debug, thiserror::Error)]
#[error("there is no bug named {0:?}")]
pub struct ParseBugError(String);

impl Bug {
    /// All bugs.
    pub const ALL: [Self; 14] = [
        Self::AcknowledgesBeforeSync,
        Self::AcknowledgesBeforeCommit,
        Self::SplitsAppends,
        Self::ForgetsKeys,
        Self::IgnoresExpectedSequence,
        Self::ReadsStaleStreams,
        Self::SkipsEvents,
        Self::ReadsInTwoStatements,
        Self::TrustsHints,
        Self::RemembersEverything,
        Self::NumbersBySequence,
        Self::ForgetsEpochs,
        Self::WaitsForSilentNodes,
        Self::LooksElsewhere,
    ];

    /// The name of the bug, in kebab case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AcknowledgesBeforeSync => "acknowledges-before-sync",
            Self::AcknowledgesBeforeCommit => "acknowledges-before-commit",
            Self::SplitsAppends => "splits-appends",
            Self::ForgetsKeys => "forgets-keys",
            Self::IgnoresExpectedSequence => "ignores-expected-sequence",
            Self::ReadsStaleStreams => "reads-stale-streams",
            Self::SkipsEvents => "skips-events",
            Self::ReadsInTwoStatements => "reads-in-two-statements",
            Self::TrustsHints => "trusts-hints",
            Self::RemembersEverything => "remembers-everything",
            Self::NumbersBySequence => "numbers-by-sequence",
            Self::ForgetsEpochs => "forgets-epochs",
            Self::WaitsForSilentNodes => "waits-for-silent-nodes",
            Self::LooksElsewhere => "looks-elsewhere",
        }
    }
}

impl FromStr for Bug {
    type Err = ParseBugError;

    fn from_str(name: &str) -> Result<Self, ParseBugError> {
        Self::ALL
            .into_iter()
            .find(|bug| bug.name() == name)
            .ok_or_else(|| ParseBugError(name.to_owned()))
    }
}

/// Returns the store, with the bug if there is one.
pub(crate) async fn plant(
    bug: Option<Bug>,
    store: Arc<dyn EventStore>,
) -> anyhow::Result<Arc<dyn EventStore>> {
    Ok(match bug {
        None => store,
        Some(Bug::AcknowledgesBeforeCommit) => Arc::new(EarlyStore::before(store).await?),
        Some(bug) => Arc::new(BuggyStore {
            bug,
            inner: store,
            calls: AtomicU64::new(0),
            remembered: Mutex::default(),
        }),
    })
}

/// A store with a bug.
#[derive(Debug)]
struct BuggyStore {
    bug: Bug,
    inner: Arc<dyn EventStore>,
    calls: AtomicU64,
    remembered: Mutex<Vec<Vec<u8>>>,
}

/// The number of bytes that are kept for each append.
const REMEMBERED: usize = 256 * 1024;

impl BuggyStore {
    fn now_and_then(&self) -> bool {
        self.calls.fetch_add(1, Relaxed) % 7 == 6
    }

    async fn append_one_by_one(&self, append: Append) -> Result<Appended, AppendError> {
        let mut streams = Vec::new();
        let (mut left, mut command) = (append.streams.len(), append.command);
        for to in append.streams {
            left -= 1;
            let one = Append {
                streams: vec![to],
                command: if left == 0 { command.take() } else { None },
            };
            streams.extend(self.inner.append(one).await?.streams);
        }
        Ok(Appended { streams })
    }
}

#[async_trait]
impl EventStore for BuggyStore {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        match self.bug {
            Bug::SplitsAppends => return self.append_one_by_one(append).await,
            Bug::ForgetsKeys => {
                if append.streams.iter().any(|to| !to.events.is_empty()) {
                    append.command = None;
                }
            }
            Bug::IgnoresExpectedSequence => {
                for to in &mut append.streams {
                    to.expected = ExpectedSequence::Any;
                }
            }
            Bug::RemembersEverything => self.remembered.lock().push(vec![1; REMEMBERED]),
            Bug::AcknowledgesBeforeSync
            | Bug::AcknowledgesBeforeCommit
            | Bug::ReadsStaleStreams
            | Bug::SkipsEvents
            | Bug::ReadsInTwoStatements
            | Bug::TrustsHints
            | Bug::NumbersBySequence
            | Bug::ForgetsEpochs
            | Bug::WaitsForSilentNodes
            | Bug::LooksElsewhere => {}
        }
        self.inner.append(append).await
    }

    async fn outcome(&self, key: &CommandKey) -> Result<Option<Outcome>, StoreError> {
        self.inner.outcome(key).await
    }

    async fn load_stream(
        &self,
        stream: &StreamId,
        after: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let mut page = self.inner.load_stream(stream, after, limit).await?;
        if self.bug == Bug::ReadsStaleStreams && self.now_and_then() {
            page.pop();
        }
        Ok(page)
    }

    async fn load_after(
        &self,
        position: Position,
        limit: usize,
    ) -> Result<Vec<Envelope>, StoreError> {
        let mut page = self.inner.load_after(position, limit).await?;
        if self.bug == Bug::ReadsInTwoStatements {
            let is_first = |event: &Envelope| event.metadata.event_id.as_u128().is_multiple_of(2);
            page.retain(is_first);
            let mut rest = self.inner.load_after(position, limit).await?;
            rest.retain(|event| !is_first(event));
            page.extend(rest);
            page.sort_unstable_by_key(|event| event.position);
            page.truncate(limit);
        }
        if self.bug == Bug::SkipsEvents && page.len() > 1 && self.now_and_then() {
            page.remove(0);
        }
        Ok(page)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.inner.head().await
    }
}
