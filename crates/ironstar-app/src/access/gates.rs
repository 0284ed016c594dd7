//! The right to subscribe to an aggregate with an owner, and its end.
//!
//! A *gate* stands in front of each aggregate with subscribers, and knows its owner and links.
//! One task follows the log for all gates. After each event of such an aggregate, the gate
//! reads it again. The task publishes the position that it has reached. So a frame as of
//! a position waits until the gates have reached that position, and is sent only if the permit
//! holds then. No subscriber sees changes from after the end of its right, however many tasks
//! run.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use ironstar_domain::{Access, Ownership};
use ironstar_ports::{Envelope, LogPlace, Position, Sequence, StoreError, StreamId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::resource::{NoRefusal, Resource};
use crate::caller::{Caller, LinkScope};
use crate::command::{CommandError, CommandHandler};
use crate::feed::EventFeed;
use crate::history::FeedError;

/// The pause before an unreadable log is read again.
const PAUSE: Duration = Duration::from_millis(500);

/// The gates of all aggregates with subscribers.
#[derive(Clone, Debug)]
pub struct Gates {
    commands: CommandHandler,
    gates: Arc<Mutex<HashMap<StreamId, Weak<Gate>>>>,
    /// The position that the task has reached. The task owns the sender, so permits end when
    /// the task ends.
    reached: watch::Receiver<Position>,
    feed: EventFeed,
    /// Ends the task when it is dropped.
    _task: Arc<DropGuard>,
}

/// The right of one subscriber to an aggregate, as long as it holds.
#[derive(Clone, Debug)]
pub struct Permit {
    caller: Caller,
    least: Access,
    door: Door,
    reached: watch::Receiver<Position>,
    feed: EventFeed,
}

/// The reason for a permit.
#[derive(Clone, Debug)]
enum Door {
    /// The aggregate is open to all callers, with this access.
    Open(Access),
    /// The gate of the aggregate knows the caller's right.
    Gate(Arc<Gate>),
}

#[derive(Debug)]
struct Gate {
    resource: Resource,
    /// The scope of the aggregate's links, made once: each frame of each subscriber needs it.
    scope: Option<LinkScope>,
    known: watch::Sender<Known>,
}

/// The ownership of the aggregate, as the gate knows it.
#[derive(Clone, Debug, Default)]
struct Known {
    state: State,
    /// The sequence of the aggregate's last known event.
    sequence: Option<Sequence>,
}

#[derive(Clone, Debug, Default)]
enum State {
    /// The aggregate cannot be read, or was not read yet. No permit holds.
    #[default]
    Unknown,
    /// The ownership of the aggregate, or `None` if it does not exist.
    Read(Option<Ownership>),
}

impl Gates {
    /// Starts to follow the log.
    #[must_use]
    pub fn start(commands: CommandHandler, feed: &EventFeed) -> Self {
        let gates = Arc::default();
        let (sender, reached) = watch::channel(feed.head());
        let stopped = CancellationToken::new();
        let task = Arc::new(stopped.clone().drop_guard());
        let keeper = Keeper {
            commands: commands.clone(),
            gates: Arc::clone(&gates),
            reached: sender,
            last: feed.place(),
        };
        let feed = feed.clone();
        let running = keeper.run(feed.clone());
        tokio::spawn(async move { stopped.run_until_cancelled(running).await });
        Self {
            commands,
            gates,
            reached,
            feed,
            _task: task,
        }
    }

    /// A permit for a caller with at least this right to an aggregate, or `None` if the caller
    /// has less.
    ///
    /// # Errors
    ///
    /// If the aggregate cannot be read.
    pub async fn permit(
        &self,
        resource: &Resource,
        caller: Caller,
        least: Access,
    ) -> Result<Option<Permit>, CommandError<NoRefusal>> {
        let (door, caller) = match resource.open_to_all() {
            // Very many callers may subscribe to it.
            Some(access) => (Door::Open(access), Caller::anonymous()),
            None => (Door::Gate(self.gate(resource).await?), caller),
        };
        let permit = Permit {
            caller,
            least,
            door,
            reached: self.reached.clone(),
            feed: self.feed.clone(),
        };
        if permit.holds() {
            return Ok(Some(permit));
        }
        if permit.is_refused() {
            return Ok(None);
        }
        let shut = "the latest changes of the owner and the links cannot be read; try again";
        Err(StoreError::unavailable(shut).into())
    }

    async fn gate(&self, resource: &Resource) -> Result<Arc<Gate>, CommandError<NoRefusal>> {
        let gate = {
            let stream = resource.stream();
            let mut gates = self.gates.lock();
            let known = gates.get(&stream).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                // Gates without a holder are removed when the map would have to grow.
                if gates.len() == gates.capacity() {
                    gates.retain(|_, gate| gate.strong_count() > 0);
                }
                let gate = Arc::new(Gate {
                    resource: resource.clone(),
                    scope: resource.scope(),
                    known: watch::Sender::default(),
                });
                gates.insert(stream, Arc::downgrade(&gate));
                gate
            })
        };
        // The task must know the gate before the aggregate is read. So an event in between is
        // noticed by the task or by this read.
        gate.look(&self.commands).await?;
        Ok(gate)
    }
}

impl Permit {
    /// The caller's right to the aggregate, as far as it is known.
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.door {
            Door::Open(access) => *access,
            Door::Gate(gate) => gate.access(&self.caller).unwrap_or(Access::None),
        }
    }

    /// Returns true if the permit holds, as far as it is known.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.access() >= self.least
    }

    /// Returns true if the permit held as of a position, and still holds. Waits until that is
    /// known.
    pub async fn holds_at(&self, position: Position) -> bool {
        if matches!(self.door, Door::Open(_)) {
            return true;
        }
        let mut reached = self.reached.clone();
        let is_known = reached.wait_for(|reached| *reached >= position).await;
        is_known.is_ok() && self.holds()
    }

    /// Returns true if the permit does not hold because its caller has too few rights.
    /// Otherwise a permit that does not hold is for an aggregate that could not be read: its
    /// caller may get a new one.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let access = match &self.door {
            Door::Open(access) => Some(*access),
            Door::Gate(gate) => gate.access(&self.caller),
        };
        access.is_some_and(|access| access < self.least)
    }

    /// Returns true if the permit holds as of the end of the log.
    pub async fn holds_by_now(&self) -> bool {
        self.holds_at(self.feed.head()).await
    }

    /// The same permit, which also ends when its caller's right is less than `least`.
    #[must_use]
    pub fn demanding(self, least: Access) -> Self {
        let least = self.least.max(least);
        Self { least, ..self }
    }

    /// Waits until the permit no longer holds.
    pub async fn ended(&self) {
        let Door::Gate(gate) = &self.door else {
            return std::future::pending().await;
        };
        let mut known = gate.known.subscribe();
        // The sender is in the gate that is held here.
        while self.holds() && known.changed().await.is_ok() {}
    }
}

impl Gate {
    /// The right of a caller; `None` if it is unknown.
    fn access(&self, caller: &Caller) -> Option<Access> {
        match &self.known.borrow().state {
            State::Unknown => None,
            State::Read(ownership) => Some(match &self.scope {
                Some(scope) => caller.access_by(scope, ownership.as_ref()),
                None => Access::None,
            }),
        }
    }

    /// Lets no permit hold until the aggregate has been read again, with all its known events.
    fn shut(&self, happened: Option<Sequence>) {
        self.known.send_modify(|known| {
            known.state = State::Unknown;
            known.sequence = known.sequence.max(happened);
        });
    }

    /// Reads the aggregate again.
    async fn look(&self, commands: &CommandHandler) -> Result<(), CommandError<NoRefusal>> {
        let seen = self.resource.read(commands).await?;
        self.known.send_if_modified(|known| {
            let is_news = match known.state {
                State::Read(_) => seen.sequence > known.sequence,
                State::Unknown => seen.sequence >= known.sequence,
            };
            if is_news {
                *known = Known {
                    state: State::Read(seen.ownership),
                    sequence: seen.sequence,
                };
            }
            is_news
        });
        Ok(())
    }
}

/// The task that keeps the gates up to date.
struct Keeper {
    commands: CommandHandler,
    gates: Arc<Mutex<HashMap<StreamId, Weak<Gate>>>>,
    reached: watch::Sender<Position>,
    /// The reached position, as a place.
    last: LogPlace,
}

impl Keeper {
    async fn run(mut self, feed: EventFeed) {
        loop {
            let mut events = feed.subscribe(self.last);
            loop {
                match events.next().await {
                    Some(Ok(event)) => self.take(&event).await,
                    // Permits end with the task, and so do the streams that need them.
                    Some(Err(FeedError::OtherHistory)) => return self.shut_all(),
                    Some(Err(error)) => {
                        if self.stop_at(&error).await {
                            break;
                        }
                    }
                    None => return,
                }
            }
        }
    }

    async fn take(&mut self, event: &Envelope) {
        if let Some(gate) = self.gate(&event.stream)
            && let Err(error) = gate.look(&self.commands).await
        {
            gate.shut(Some(event.sequence));
            tracing::error!(
                error = &error as &dyn std::error::Error,
                stream = %event.stream,
                "an aggregate cannot be read; all permits for it end"
            );
        }
        self.reach(event.place());
    }

    /// Shuts all gates, because an event that cannot be read may concern any of them. Returns true
    /// if the task continues behind the event.
    async fn stop_at(&mut self, error: &FeedError) -> bool {
        self.shut_all();
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the rights of all callers are unknown; all permits end, and subscribers must ask for new ones"
        );
        if let FeedError::Store(StoreError::Damaged { position, .. }) = error {
            self.reach(LogPlace::unmarked(*position));
            return true;
        }
        tokio::time::sleep(PAUSE).await;
        false
    }

    fn shut_all(&self) {
        let gates: Vec<_> = self
            .gates
            .lock()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        for gate in gates {
            gate.shut(None);
        }
    }

    fn reach(&mut self, place: LogPlace) {
        self.last = place;
        self.reached.send_replace(place.position);
    }

    fn gate(&self, stream: &StreamId) -> Option<Arc<Gate>> {
        self.gates.lock().get(stream).and_then(Weak::upgrade)
    }
}
