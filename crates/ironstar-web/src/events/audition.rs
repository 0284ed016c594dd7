//! What of the log somebody may hear.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use ironstar_app::access::{Audience, Gates, Permit};
use ironstar_app::{Caller, CommandError};
use ironstar_domain::{Access, Aggregate, ListId, ListState, Principal};
use ironstar_ports::{Envelope, Origin, Position, StoreError};
use lru::LruCache;

/// Of how many lists a stream remembers whether its holder may see them: whoever goes
/// through a long log of many lists has each looked up once in a while, and not for
/// each event.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Somebody who hears the log, event by event.
#[derive(Debug)]
pub(super) struct Audition {
    gates: Gates,
    caller: Caller,
    /// What the caller is called who acts.
    actors: Vec<String>,
    /// What was found of lists; nothing, where there was no permit. That holds until
    /// something happens to the list.
    permits: LruCache<ListId, Option<Permit>>,
}

/// It cannot be found out now whether an event may be told: neither is it, nor may it
/// be passed over.
#[derive(Debug)]
pub(super) struct Unknown;

impl Audition {
    pub(super) fn new(gates: Gates, caller: Caller) -> Self {
        let principals = caller.principals().iter();
        Self {
            gates,
            actors: principals.map(ToString::to_string).collect(),
            caller,
            permits: LruCache::new(REMEMBERED),
        }
    }

    /// Whoever could not see a list may, once something has happened to it.
    pub(super) fn takes_note_of(&mut self, event: &Envelope) {
        if event.stream.aggregate_type == ListState::TYPE
            && let Ok(list) = event.stream.aggregate_id.parse()
        {
            self.permits.pop(&list);
        }
    }

    /// Whether the event may be told.
    pub(super) async fn may_hear(&mut self, event: &Envelope) -> Result<bool, Unknown> {
        match Audience::of(event) {
            Audience::OfList(list) if list.is_shared() => Ok(true),
            Audience::OfList(list) => self.may_see(list, event.position).await,
            Audience::OfUser(user) => Ok(self.caller.principals().contains(&Principal::User(user))),
            Audience::Nobody => Ok(false),
        }
    }

    /// What may be told of an event that may be heard. The ids that its sender has made
    /// up are nobody else's: who knows the key of a command can foresee the next.
    pub(super) fn told<'e>(&self, event: &'e Envelope) -> Cow<'e, Envelope> {
        let origin = &event.metadata.origin;
        let is_own = |actor: &String| self.actors.contains(actor);
        if origin.actor.as_ref().is_some_and(is_own) {
            return Cow::Borrowed(event);
        }
        let of_others = Origin {
            correlation_id: None,
            causation_id: None,
            traceparent: None,
            ..origin.clone()
        };
        if of_others == *origin {
            return Cow::Borrowed(event);
        }
        let mut told = event.clone();
        told.metadata.origin = of_others;
        Cow::Owned(told)
    }

    async fn may_see(&mut self, list: ListId, position: Position) -> Result<bool, Unknown> {
        match self.permits.get(&list) {
            Some(None) => return Ok(false),
            Some(Some(permit)) => {
                if permit.holds_at(position).await {
                    return Ok(true);
                }
                if permit.is_refused() {
                    return Ok(false);
                }
            }
            None => {}
        }
        let permit = self.permit(list).await?;
        let holds = match &permit {
            Some(permit) => permit.holds_at(position).await,
            None => false,
        };
        if !holds && permit.as_ref().is_some_and(|permit| !permit.is_refused()) {
            return Err(Unknown);
        }
        self.permits.put(list, permit);
        Ok(holds)
    }

    async fn permit(&self, list: ListId) -> Result<Option<Permit>, Unknown> {
        let permit = self.gates.permit(list, self.caller.clone(), Access::Read);
        permit.await.or_else(|error| {
            // Damage does not go away, and what else there is need not wait for that.
            let is_damaged = matches!(
                error,
                CommandError::Unreadable(_) | CommandError::Store(StoreError::Damaged { .. })
            );
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %list,
                is_damaged,
                "who may hear of a list is not known, as it cannot be read"
            );
            if is_damaged { Ok(None) } else { Err(Unknown) }
        })
    }
}
