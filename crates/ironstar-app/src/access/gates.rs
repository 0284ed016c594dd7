//! The right to subscribe to a list, and its end.
//!
//! A *gate* stands in front of each list with subscribers, and knows the list's owner and
//! links. One task follows the log for all gates. After each event of such a list, the gate
//! reads the list again. The task publishes the position that it has reached. So a frame as of
//! a position waits until the gates have reached that position, and is sent only if the permit
//! holds then. No subscriber sees changes from after the end of its right, however many tasks
//! run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::StreamExt;
use ironstar_domain::{Access, Aggregate, ListError, ListId, ListState};
use ironstar_ports::{Envelope, LogPlace, Position, Sequence, StoreError};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Caller;
use crate::{CommandError, CommandHandler, EventFeed, FeedError};

/// The pause before an unreadable log is read again.
const PAUSE: Duration = Duration::from_millis(500);

/// The gates of all lists with subscribers.
#[derive(Clone, Debug)]
pub struct Gates {
    commands: CommandHandler,
    gates: Arc<Mutex<HashMap<ListId, Weak<Gate>>>>,
    /// The position that the task has reached. The task owns the sender, so permits end when
    /// the task ends.
    reached: watch::Receiver<Position>,
    feed: EventFeed,
    /// Ends the task when it is dropped.
    _task: Arc<DropGuard>,
}

/// The right of one subscriber to a list, as long as it holds.
#[derive(Clone, Debug)]
pub struct Permit {
    list: ListId,
    caller: Caller,
    least: Access,
    /// `None` for the shared list, which every caller may see.
    gate: Option<Arc<Gate>>,
    reached: watch::Receiver<Position>,
    feed: EventFeed,
}

#[derive(Debug)]
struct Gate {
    list: watch::Sender<Known>,
}

/// The state of the list, as the gate knows it.
#[derive(Clone, Debug, Default)]
struct Known {
    /// `None` if the list cannot be read. Then no permit holds.
    state: Option<ListState>,
    /// The sequence of the list's last known event.
    sequence: Option<Sequence>,
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

    /// A permit for a caller with at least this right to a list, or `None` if the caller has
    /// less.
    ///
    /// # Errors
    ///
    /// If the list cannot be read.
    pub async fn permit(
        &self,
        list: ListId,
        caller: Caller,
        least: Access,
    ) -> Result<Option<Permit>, CommandError<ListError>> {
        let (gate, caller) = if list.is_shared() {
            // Any caller may subscribe to the shared list, and very many may do so.
            (None, Caller::anonymous())
        } else {
            (Some(self.gate(list).await?), caller)
        };
        let permit = Permit {
            list,
            caller,
            least,
            gate,
            reached: self.reached.clone(),
            feed: self.feed.clone(),
        };
        if permit.holds() {
            return Ok(Some(permit));
        }
        if permit.is_refused() {
            return Ok(None);
        }
        let shut = "the latest changes of the list cannot be read; try again";
        Err(StoreError::unavailable(shut).into())
    }

    async fn gate(&self, list: ListId) -> Result<Arc<Gate>, CommandError<ListError>> {
        let gate = {
            let mut gates = lock(&self.gates);
            let known = gates.get(&list).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                // Gates without a holder are removed when the map would have to grow.
                if gates.len() == gates.capacity() {
                    gates.retain(|_, gate| gate.strong_count() > 0);
                }
                let gate = Arc::new(Gate {
                    list: watch::Sender::default(),
                });
                gates.insert(list, Arc::downgrade(&gate));
                gate
            })
        };
        // The task must know the gate before the list is read. So an event in between is
        // noticed by the task or by this read.
        gate.look(&self.commands, list).await?;
        Ok(gate)
    }
}

impl Permit {
    /// The caller's right to the list, as far as it is known.
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.gate {
            None => self.caller.access(self.list, &ListState::default()),
            Some(gate) => gate.access(self.list, &self.caller),
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
        if self.gate.is_none() {
            return true;
        }
        let mut reached = self.reached.clone();
        let is_known = reached.wait_for(|reached| *reached >= position).await;
        is_known.is_ok() && self.holds()
    }

    /// Returns true if the permit does not hold because its caller has too few rights.
    /// Otherwise a permit that does not hold is for a list that could not be read: its caller
    /// may get a new one.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let gate = self.gate.as_ref();
        let access = gate.and_then(|gate| gate.known_access(self.list, &self.caller));
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
        let Some(gate) = &self.gate else {
            return std::future::pending().await;
        };
        let mut list = gate.list.subscribe();
        // The sender is in the gate that is held here.
        while self.holds() && list.changed().await.is_ok() {}
    }
}

impl Gate {
    fn access(&self, list: ListId, caller: &Caller) -> Access {
        self.known_access(list, caller).unwrap_or(Access::None)
    }

    /// The right of a caller; `None` if it is unknown.
    fn known_access(&self, list: ListId, caller: &Caller) -> Option<Access> {
        let known = self.list.borrow();
        let state = known.state.as_ref();
        state.map(|state| caller.access(list, state))
    }

    /// Lets no permit hold until the list has been read again, with all its known events.
    fn shut(&self, happened: Option<Sequence>) {
        self.list.send_modify(|known| {
            known.state = None;
            known.sequence = known.sequence.max(happened);
        });
    }

    /// Reads the list again.
    async fn look(
        &self,
        commands: &CommandHandler,
        list: ListId,
    ) -> Result<(), CommandError<ListError>> {
        let seen = commands.see::<ListState, _>(&list).await?;
        self.list.send_if_modified(|known| {
            let sequence = seen.head.sequence;
            let is_news = if known.state.is_some() {
                sequence > known.sequence
            } else {
                sequence >= known.sequence
            };
            if is_news {
                *known = Known {
                    state: Some(seen.state),
                    sequence,
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
    gates: Arc<Mutex<HashMap<ListId, Weak<Gate>>>>,
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
        if event.stream.aggregate_type == ListState::TYPE
            && let Ok(list) = event.stream.aggregate_id.parse()
            && let Some(gate) = self.gate(list)
            && let Err(error) = gate.look(&self.commands, list).await
        {
            gate.shut(Some(event.sequence));
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %list,
                "a list cannot be read; all permits for it end"
            );
        }
        self.reach(event.place());
    }

    /// Shuts all gates, because an event that cannot be read may concern any list. Returns true
    /// if the task continues behind the event.
    async fn stop_at(&mut self, error: &FeedError) -> bool {
        self.shut_all();
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the rights to all lists are unknown; all permits end, and subscribers must ask for new ones"
        );
        if let FeedError::Store(StoreError::Damaged { position, .. }) = error {
            self.reach(LogPlace::unmarked(*position));
            return true;
        }
        tokio::time::sleep(PAUSE).await;
        false
    }

    fn shut_all(&self) {
        let gates: Vec<_> = lock(&self.gates)
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

    fn gate(&self, list: ListId) -> Option<Arc<Gate>> {
        lock(&self.gates).get(&list).and_then(Weak::upgrade)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics between changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
