//! From a command to durable events.

use std::sync::Arc;

use ironstar_domain::Aggregate;
use ironstar_ports::{
    Append, AppendError, Appended, EventBus, EventStore, ExpectedSequence, IdSource, Key, Metadata,
    PayloadError, Position, Sequence, StoreError, StreamId,
};

use crate::codec::{DecodeError, decode, encode};

/// How many events of a stream are read at a time.
const PAGE: usize = 512;

/// How often a decision is made anew when others keep getting in first.
const ATTEMPTS: u32 = 16;

/// Decides commands on any aggregate, and has the outcome stored.
#[derive(Clone, Debug)]
pub struct CommandHandler {
    store: Arc<dyn EventStore>,
    bus: Arc<dyn EventBus>,
    ids: Arc<dyn IdSource>,
}

/// Where a stream is after a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The sequence of the stream's last event; `None` if it has none, because
    /// there was nothing to change.
    pub sequence: Option<Sequence>,
    /// The position of that event.
    pub position: Position,
}

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<E> {
    /// The aggregate refuses it.
    #[error(transparent)]
    Refused(E),
    /// The aggregate is not where the caller expects it to be.
    #[error("{}", unexpected_words(*.expected, *.actual))]
    Unexpected {
        /// Where the caller expects it to be.
        expected: Sequence,
        /// The sequence of its last event, if it has any.
        actual: Option<Sequence>,
    },
    /// Others kept changing the aggregate in between.
    #[error("others changed it at the same time, {attempts} times in a row; try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The aggregate's history cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// An event has no stored form.
    #[error("an event cannot be stored")]
    Unwritable(#[from] PayloadError),
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An aggregate, as far as its stream has been read.
#[derive(Debug)]
struct Loaded<A> {
    state: A,
    sequence: Option<Sequence>,
    position: Position,
}

impl CommandHandler {
    /// A handler on these ports.
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, bus: Arc<dyn EventBus>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, bus, ids }
    }

    /// An id that nobody else has.
    #[must_use]
    pub fn next_id(&self) -> uuid::Uuid {
        self.ids.next_id()
    }

    /// Decides a command on the aggregate's present state, and stores what
    /// follows. When somebody else changes the aggregate in between, the
    /// decision is made anew; unless the caller names the sequence that the
    /// aggregate is expected to be at, which makes that a refusal.
    ///
    /// A caller that stops waiting may or may not have had its command carried
    /// out; it is never carried out in part, nor without telling the bus.
    ///
    /// # Errors
    ///
    /// See [`CommandError`]; nothing was stored then, unless the store broke
    /// down while it confirmed a commit.
    pub async fn execute<A: Aggregate>(
        &self,
        id: &A::Id,
        command: &A::Command,
        expected: Option<Sequence>,
    ) -> Result<Accepted, CommandError<A::Error>> {
        let stream = StreamId::new(A::TYPE, id.to_string());
        let mut loaded = Loaded::<A>::default();
        for _ in 0..ATTEMPTS {
            self.catch_up(&stream, &mut loaded).await?;
            loaded.expect(command, expected)?;
            let events = loaded.decide(command)?;
            if events.is_empty() {
                return Ok(Accepted {
                    sequence: loaded.sequence,
                    position: loaded.position,
                });
            }
            let append = Append {
                stream: stream.clone(),
                expected: ExpectedSequence::after(loaded.sequence),
                events: events
                    .iter()
                    .map(|event| encode(event, self.metadata()))
                    .collect::<Result<_, _>>()?,
            };
            match self.append_and_hint(append).await {
                Ok(appended) => {
                    return Ok(Accepted {
                        sequence: Some(appended.sequence),
                        position: appended.position,
                    });
                }
                Err(AppendError::Conflict { .. }) => {}
                Err(AppendError::Store(error)) => return Err(error.into()),
                Err(error @ AppendError::Empty) => {
                    return Err(StoreError::unavailable(error).into());
                }
            }
        }
        Err(CommandError::Contended { attempts: ATTEMPTS })
    }

    /// Reads what has happened since.
    async fn catch_up<A: Aggregate>(
        &self,
        stream: &StreamId,
        loaded: &mut Loaded<A>,
    ) -> Result<(), CommandError<A::Error>> {
        loop {
            let page = self
                .store
                .load_stream(stream, loaded.sequence, PAGE)
                .await?;
            for envelope in &page {
                let (_, event) = decode::<A>(envelope)?;
                loaded.state = std::mem::take(&mut loaded.state).apply(&event);
                loaded.sequence = Some(envelope.sequence);
                loaded.position = envelope.position;
            }
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Appends, and tells the bus; both or neither, also when the caller goes
    /// away in between.
    async fn append_and_hint(&self, append: Append) -> Result<Appended, AppendError> {
        let (store, bus) = (Arc::clone(&self.store), Arc::clone(&self.bus));
        let task = tokio::spawn(async move {
            let key = Key::of_stream(&append.stream);
            let appended = store.append(append).await?;
            let hint = appended.position.to_string();
            if let Err(error) = bus.publish(&key, hint.as_bytes()).await {
                // The events are stored: feeds find them when they next poll.
                tracing::warn!(error = %error, %key, "a hint was not published");
            }
            Ok(appended)
        });
        task.await
            .unwrap_or_else(|error| Err(StoreError::unavailable(error).into()))
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            event_id: self.ids.next_id(),
        }
    }
}

impl<A: Default> Default for Loaded<A> {
    fn default() -> Self {
        Self {
            state: A::default(),
            sequence: None,
            position: Position::START,
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    fn decide(&self, command: &A::Command) -> Result<Vec<A::Event>, CommandError<A::Error>> {
        self.state.handle(command).map_err(CommandError::Refused)
    }

    /// Makes sure that the aggregate is where the caller expects it to be. Of
    /// one that does not exist, its own refusal says more.
    fn expect(
        &self,
        command: &A::Command,
        expected: Option<Sequence>,
    ) -> Result<(), CommandError<A::Error>> {
        let Some(expected) = expected.filter(|expected| self.sequence != Some(*expected)) else {
            return Ok(());
        };
        if self.sequence.is_none() {
            self.decide(command)?;
        }
        Err(CommandError::Unexpected {
            expected,
            actual: self.sequence,
        })
    }
}

fn unexpected_words(expected: Sequence, actual: Option<Sequence>) -> String {
    match actual {
        Some(actual) => {
            format!("expected to find it at sequence {expected}, but it is at sequence {actual}")
        }
        None => format!("expected to find it at sequence {expected}, but nothing has happened yet"),
    }
}
