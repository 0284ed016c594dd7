//! The callers that an event may be sent to, if they ask for events as such.

use std::fmt;

use ironstar_domain::{Aggregate, Owned, UserId, UserState};
use ironstar_ports::{Envelope, StreamId};

use super::resource::Resource;

/// The callers that an event may be sent to.
#[derive(Clone, Debug)]
pub enum Audience {
    /// All callers that may see an aggregate with an owner.
    Of(Resource),
    /// One user only.
    User(UserId),
    /// No caller. This is the default for an event without a declared audience.
    NoCaller,
}

/// The audience of one aggregate's events.
#[derive(Clone, Copy)]
pub struct AudienceRule {
    /// The type of the aggregate.
    pub aggregate_type: &'static str,
    audience: fn(&Envelope) -> Audience,
    parent: fn(&Envelope) -> Option<StreamId>,
}

/// The audiences of all events that programs may receive. The events of an aggregate without a
/// rule reach no subscriber.
#[derive(Clone, Debug)]
pub struct Audiences(Vec<AudienceRule>);

impl AudienceRule {
    /// The events of an aggregate with an owner reach all callers that may see the aggregate.
    #[must_use]
    pub const fn owned<A: Owned>() -> Self {
        Self {
            aggregate_type: A::TYPE,
            audience: |event| audience_of::<A>(&event.stream.aggregate_id),
            parent: parent_of::<A>,
        }
    }

    /// The events of an aggregate `P` that is a part of an aggregate `A` with an owner reach all
    /// callers that may see `A`.
    #[must_use]
    pub const fn part_of<A: Owned, P: Aggregate>() -> Self {
        Self {
            aggregate_type: P::TYPE,
            audience: |event| match parent_of::<P>(event) {
                Some(parent) if parent.aggregate_type == A::TYPE => {
                    audience_of::<A>(&parent.aggregate_id)
                }
                Some(_) | None => Audience::NoCaller,
            },
            parent: parent_of::<P>,
        }
    }

    /// The events of a user reach that user.
    #[must_use]
    pub const fn user() -> Self {
        Self {
            aggregate_type: UserState::TYPE,
            audience: |event| {
                let id = event.stream.aggregate_id.parse();
                id.map_or(Audience::NoCaller, Audience::User)
            },
            parent: parent_of::<UserState>,
        }
    }
}

impl Audiences {
    /// The audiences by these rules.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = AudienceRule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// The types of aggregates whose events a subscriber may receive.
    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|rule| rule.aggregate_type)
    }

    /// The audience of an event.
    #[must_use]
    pub fn of(&self, event: &Envelope) -> Audience {
        match self.rule(event) {
            Some(rule) => (rule.audience)(event),
            None => Audience::NoCaller,
        }
    }

    /// The parent of the aggregate that an event belongs to, if it has one.
    #[must_use]
    pub fn parent_of(&self, event: &Envelope) -> Option<StreamId> {
        self.rule(event).and_then(|rule| (rule.parent)(event))
    }

    fn rule(&self, event: &Envelope) -> Option<&AudienceRule> {
        let aggregate_type = &*event.stream.aggregate_type;
        let mut rules = self.0.iter();
        rules.find(|rule| rule.aggregate_type == aggregate_type)
    }
}

/// The parent of the aggregate `A` that an event belongs to, if it has one.
#[must_use]
pub fn parent_of<A: Aggregate>(event: &Envelope) -> Option<StreamId> {
    let parent = event.metadata.parent.clone();
    parent.or_else(|| {
        let parent = A::earliest_parent()?;
        Some(StreamId::new(parent.aggregate_type, parent.aggregate_id))
    })
}

fn audience_of<A: Owned>(id: &str) -> Audience {
    match id.parse() {
        Ok(id) => Audience::Of(Resource::of::<A>(&id)),
        Err(_) => Audience::NoCaller,
    }
}

impl fmt::Debug for AudienceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AudienceRule")
            .field(&self.aggregate_type)
            .finish()
    }
}
