//! Who may watch a list, and until when.
//!
//! A *gate* stands in front of each list that somebody watches, and knows whose it
//! is and which links it has. One task follows the log for all gates. Each time that
//! something happens to such a list, the gate looks at the list anew; and the task
//! says how far it has got. So what is to be told as of a position waits until the
//! gates have got there, and is told if it may be told then: nobody is shown
//! what came after they were shut out, however many tasks are at work.

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

/// How long to wait before a log that cannot be read is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// The gates of the lists that somebody watches.
#[derive(Clone, Debug)]
pub struct Gates {
    commands: CommandHandler,
    gates: Arc<Mutex<HashMap<ListId, Weak<Gate>>>>,
    /// How far the task has got. Its sender belongs to the task, so that permits
    /// end when the task does.
    reached: watch::Receiver<Position>,
    feed: EventFeed,
    /// Ends the task.
    _task: Arc<DropGuard>,
}

/// What lets somebody watch a list, for as long as it holds.
#[derive(Clone, Debug)]
pub struct Permit {
    list: ListId,
    caller: Caller,
    least: Access,
    /// Nothing for the list that is always there, for everyone.
    gate: Option<Arc<Gate>>,
    reached: watch::Receiver<Position>,
    feed: EventFeed,
}

#[derive(Debug)]
struct Gate {
    list: watch::Sender<Known>,
}

/// What a gate knows of its list.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Nothing, if it cannot be read: then nobody gets through any more.
    state: Option<ListState>,
    /// The last thing that is known to have happened to it.
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

    /// Lets somebody watch a list who may do at least this with it; nothing, if
    /// they may not.
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
            // It takes nothing to watch it, and very many may.
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
        let shut = "what has happened to the list meanwhile cannot be read; try again";
        Err(StoreError::unavailable(shut).into())
    }

    async fn gate(&self, list: ListId) -> Result<Arc<Gate>, CommandError<ListError>> {
        let gate = {
            let mut gates = lock(&self.gates);
            let known = gates.get(&list).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                // Those that nobody holds any more go when the map would have to grow.
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
        // First in the way of the task, then a look: what happens in between is
        // noticed by either.
        gate.look(&self.commands, list).await?;
        Ok(gate)
    }
}

impl Permit {
    /// What its holder may do with the list, as far as is known.
    #[must_use]
    pub fn access(&self) -> Access {
        match &self.gate {
            None => self.caller.access(self.list, &ListState::default()),
            Some(gate) => gate.access(self.list, &self.caller),
        }
    }

    /// Whether it holds, as far as is known.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.access() >= self.least
    }

    /// Whether it holds as of a position, and still does. Waits until that is
    /// known.
    pub async fn holds_at(&self, position: Position) -> bool {
        if self.gate.is_none() {
            return true;
        }
        let mut reached = self.reached.clone();
        let is_known = reached.wait_for(|reached| *reached >= position).await;
        is_known.is_ok() && self.holds()
    }

    /// Whether it does not hold because its holder may not do so much. Otherwise, one
    /// that does not hold is of a list that could not be read: whoever asks for a new
    /// permit may be let in.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let gate = self.gate.as_ref();
        let access = gate.and_then(|gate| gate.known_access(self.list, &self.caller));
        access.is_some_and(|access| access < self.least)
    }

    /// Whether it holds for what may be told by now, as of whichever position.
    pub async fn holds_by_now(&self) -> bool {
        self.holds_at(self.feed.head()).await
    }

    /// The same permit, which ends also if its holder may do less than that.
    #[must_use]
    pub fn demanding(self, least: Access) -> Self {
        let least = self.least.max(least);
        Self { least, ..self }
    }

    /// Waits until it does not hold any more.
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

    /// What somebody may do; nothing, if that is not known.
    fn known_access(&self, list: ListId, caller: &Caller) -> Option<Access> {
        let known = self.list.borrow();
        let state = known.state.as_ref();
        state.map(|state| caller.access(list, state))
    }

    /// Lets nobody through any more, until the list has been read as it is after all
    /// that has happened to it, as far as that is known.
    fn shut(&self, happened: Option<Sequence>) {
        self.list.send_modify(|known| {
            known.state = None;
            known.sequence = known.sequence.max(happened);
        });
    }

    /// Looks at the list anew.
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

/// The task that keeps gates up to date.
struct Keeper {
    commands: CommandHandler,
    gates: Arc<Mutex<HashMap<ListId, Weak<Gate>>>>,
    reached: watch::Sender<Position>,
    /// The same, as a place.
    last: LogPlace,
}

impl Keeper {
    async fn run(mut self, feed: EventFeed) {
        loop {
            let mut events = feed.subscribe(self.last);
            loop {
                match events.next().await {
                    Some(Ok(event)) => self.take(&event).await,
                    // Permits end with the task, and so do those who hold them.
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
                "a list cannot be read; nobody can watch it any more"
            );
        }
        self.reach(event.place());
    }

    /// Shuts all gates in front of an event that cannot be read, which may be about
    /// any of them, and goes on behind it: whether it does.
    async fn stop_at(&mut self, error: &FeedError) -> bool {
        self.shut_all();
        tracing::error!(
            error = error as &dyn std::error::Error,
            "whether lists may still be watched is not known, so nobody does until they ask again"
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
    // Nothing panics between the changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
