//! Handing over what a guest owns to the user that the guest has become.
//!
//! The event of a sign-in names the guest. A process manager reacts to that event, so the
//! hand-over survives a crash at any moment. It hands over at once, and a second time after
//! [`LATER`], because a request that began before the sign-in can still create something for the
//! guest. Only aggregates that still belong to the guest are handed over.

mod by_owner;

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use ironstar_domain::{Aggregate, GuestId, Principal, UserEvent, UserId, UserState};
use ironstar_ports::Envelope;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::codec::decode;
use crate::command::{CommandContext, CommandError, CommandHandler};
use crate::process::{Executor, NotExecuted, ProcessManager, Reaction, State};
use crate::projection::{FoldError, Projections};

pub use by_owner::{ByOwner, hand_over_by};

/// The time after a sign-in when no request of the guest is in progress any more.
const LATER: Duration = Duration::from_secs(60);

/// Gives all aggregates of one kind to another owner. Each feature whose aggregates have owners
/// registers a `HandOver`, which [`hand_over_by`] makes. So guests lose nothing by signing in.
pub trait HandOver: Debug + Send + Sync {
    /// Hands over all that one owner has, or nothing. To hand over nothing is no error, so it may
    /// be tried again. Other streams of the context are stored in any case.
    ///
    /// # Errors
    ///
    /// If the aggregates of the owner are not known, or the commands had no effect.
    fn hand_over<'a>(
        &'a self,
        from: Principal,
        to: Principal,
        context: &'a CommandContext,
    ) -> BoxFuture<'a, Result<(), NotExecuted>>;
}

/// Hands over the aggregates of all kinds.
#[derive(Clone, Debug)]
pub struct HandOvers {
    commands: CommandHandler,
    kinds: Vec<Arc<dyn HandOver>>,
}

/// The process manager: after a sign-in, the user gets all that the guest owns.
#[derive(Debug)]
pub struct HandOverGuests;

/// A step: a user gets all that a guest owns.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Adoption {
    /// The guest.
    pub guest: GuestId,
    /// The user that the guest has become.
    pub user: UserId,
}

impl HandOvers {
    /// Hands over these kinds of aggregates.
    #[must_use]
    pub fn new(commands: CommandHandler, kinds: Vec<Arc<dyn HandOver>>) -> Self {
        Self { commands, kinds }
    }

    /// Hands over all that a guest owns. A kind that fails does not hold up the others.
    ///
    /// # Errors
    ///
    /// A failure, if anything was not handed over. A failure that may pass comes before a refusal.
    pub async fn hand_over(
        &self,
        adoption: Adoption,
        context: &CommandContext,
    ) -> Result<(), NotExecuted> {
        Self::hand_over_kinds(&self.kinds, adoption, context).await
    }

    async fn hand_over_kinds(
        kinds: &[Arc<dyn HandOver>],
        adoption: Adoption,
        context: &CommandContext,
    ) -> Result<(), NotExecuted> {
        let (from, to) = (adoption.guest.into(), adoption.user.into());
        let mut outcome = Ok(());
        for kind in kinds {
            let Err(error) = kind.hand_over(from, to, context).await else {
                continue;
            };
            tracing::warn!(
                error = &error as &dyn Error,
                %from,
                %to,
                "aggregates of one kind were not handed over yet"
            );
            if matches!(outcome, Ok(()) | Err(NotExecuted::Refused(_))) {
                outcome = Err(error);
            }
        }
        outcome
    }

    /// Runs the process manager in a task, until the feed is stopped.
    pub fn manage(self, projections: &Projections) -> JoinHandle<()> {
        projections.manage::<HandOverGuests, _>(self.commands.clone(), self, LATER)
    }
}

impl ProcessManager for HandOverGuests {
    const NAME: &'static str = "hand-over-guests";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[UserState::TYPE];

    type State = ();
    type Command = Adoption;

    fn react(
        event: &Envelope,
        _: &mut State<'_, (), Adoption>,
    ) -> Result<Reaction<Adoption>, FoldError> {
        let (user, happened) = decode::<UserState>(event)?;
        Ok(match happened {
            UserEvent::SignedIn { guest: Some(guest) } => {
                let adoption = Adoption { guest, user };
                Reaction::nothing().and(adoption).and_later(
                    guest.to_string(),
                    event.created_at,
                    adoption,
                )
            }
            UserEvent::Registered
            | UserEvent::IdentityLinked { .. }
            | UserEvent::ProfileChanged { .. }
            | UserEvent::SignedIn { guest: None }
            | UserEvent::SignedOut => Reaction::nothing(),
        })
    }
}

impl Executor<Adoption> for HandOvers {
    /// Ends the step in the append of the last kind. After a crash in between, the kinds before
    /// are handed over again, which changes nothing for those that were.
    async fn execute(
        &self,
        adoption: &Adoption,
        context: &CommandContext,
    ) -> Result<(), NotExecuted> {
        let mut context = context.clone();
        context.origin.actor = Some(Principal::User(adoption.user).to_string());
        let Some((last, others)) = self.kinds.split_last() else {
            let ended: Result<(), CommandError<Infallible>> =
                self.commands.store_also(&context).await;
            return Ok(ended?);
        };
        let without_step = CommandContext {
            also: Vec::new(),
            ..context.clone()
        };
        let handed_over = Self::hand_over_kinds(others, *adoption, &without_step).await;
        // Not even a failure of the others holds up the last kind, but then the step goes on.
        let context = if handed_over.is_ok() {
            &context
        } else {
            &without_step
        };
        let last = last.hand_over(adoption.guest.into(), adoption.user.into(), context);
        handed_over.and(last.await)
    }
}
