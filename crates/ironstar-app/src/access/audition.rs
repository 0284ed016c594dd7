//! The part of the log that one caller may receive.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use ironstar_domain::{Access, Principal};
use ironstar_ports::{Envelope, Origin, Position, StoreError, StreamId};
use lru::LruCache;

use super::audience::{Audience, Audiences};
use super::gates::{Gates, Permit};
use super::resource::Resource;
use crate::caller::Caller;
use crate::command::CommandError;

/// The number of aggregates whose permits a stream keeps. A stream through a long log then looks
/// each aggregate up once in a while, and not for each event.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// Decides for each event in turn whether a caller may receive it.
#[derive(Debug)]
pub struct Audition {
    gates: Gates,
    audiences: Audiences,
    caller: Caller,
    /// The names of the caller in the metadata of events.
    actors: Vec<String>,
    /// The permits of the caller; `None` if it got none. An entry holds until the aggregate has
    /// a new event.
    permits: LruCache<StreamId, Option<Permit>>,
}

/// The rights of the caller are unknown for now, so the event may neither be sent nor skipped.
#[derive(Debug)]
pub struct Unknown;

impl Audition {
    /// The audition of a caller.
    #[must_use]
    pub fn new(gates: Gates, audiences: Audiences, caller: Caller) -> Self {
        let principals = caller.principals().iter();
        Self {
            gates,
            audiences,
            actors: principals.map(ToString::to_string).collect(),
            caller,
            permits: LruCache::new(REMEMBERED),
        }
    }

    /// The audiences of all events.
    #[must_use]
    pub fn audiences(&self) -> &Audiences {
        &self.audiences
    }

    /// Notes an event, whether the caller may receive it or not: it may give the caller access
    /// to its aggregate.
    pub fn takes_note_of(&mut self, event: &Envelope) {
        self.permits.pop(&event.stream);
    }

    /// Returns true if the caller may receive the event.
    ///
    /// # Errors
    ///
    /// If the rights of the caller are unknown for now.
    pub async fn may_hear(&mut self, event: &Envelope) -> Result<bool, Unknown> {
        match self.audiences.of(event) {
            Audience::Of(resource) if resource.open_to_all().is_some() => Ok(true),
            Audience::Of(resource) => self.may_see(&resource, event.position).await,
            Audience::User(user) => Ok(self.caller.principals().contains(&Principal::User(user))),
            Audience::NoCaller => Ok(false),
        }
    }

    /// An event as the caller may see it. The ids that its sender has chosen are hidden from
    /// other callers: the key of a command lets them predict the next.
    #[must_use]
    pub fn told<'e>(&self, event: &'e Envelope) -> Cow<'e, Envelope> {
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

    async fn may_see(&mut self, resource: &Resource, position: Position) -> Result<bool, Unknown> {
        let stream = resource.stream();
        match self.permits.get(&stream) {
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
        let permit = self.permit(resource).await?;
        let holds = match &permit {
            Some(permit) => permit.holds_at(position).await,
            None => false,
        };
        if !holds && permit.as_ref().is_some_and(|permit| !permit.is_refused()) {
            return Err(Unknown);
        }
        self.permits.put(stream, permit);
        Ok(holds)
    }

    async fn permit(&self, resource: &Resource) -> Result<Option<Permit>, Unknown> {
        let permit = self
            .gates
            .permit(resource, self.caller.clone(), Access::Read);
        permit.await.or_else(|error| {
            // Damage does not go away, and must not hold up the other events. Events of a newer
            // version do hold them up, until their reader comes to a newer server.
            let is_damaged = matches!(error, CommandError::Store(StoreError::Damaged { .. }))
                || matches!(&error, CommandError::Unreadable(error) if !error.is_of_newer_version());
            tracing::error!(
                error = &error as &dyn std::error::Error,
                %resource,
                is_damaged,
                "an aggregate cannot be read, so its audience is unknown"
            );
            if is_damaged { Ok(None) } else { Err(Unknown) }
        })
    }
}
