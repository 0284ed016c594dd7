//! What of the log somebody may hear.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use ironstar_app::Caller;
use ironstar_app::access::{Audience, Gates, Permit};
use ironstar_domain::{Access, Aggregate, ListId, ListState, Principal};
use ironstar_ports::{Envelope, Origin, Position};
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

    pub(super) async fn may_hear(&mut self, event: &Envelope) -> bool {
        match Audience::of(event) {
            Audience::OfList(list) => list.is_shared() || self.may_see(list, event.position).await,
            Audience::OfUser(user) => self.caller.principals().contains(&Principal::User(user)),
            Audience::Nobody => false,
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

    async fn may_see(&mut self, list: ListId, position: Position) -> bool {
        if !self.permits.contains(&list) {
            let permit = self.permit(list).await;
            self.permits.put(list, permit);
        }
        match self.permits.get(&list) {
            Some(Some(permit)) => permit.holds_at(position).await,
            Some(None) | None => false,
        }
    }

    async fn permit(&self, list: ListId) -> Option<Permit> {
        let permit = self.gates.permit(list, self.caller.clone(), Access::Read);
        permit.await.unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %list,
                "a list cannot be read, so nobody hears of it"
            );
            None
        })
    }
}
