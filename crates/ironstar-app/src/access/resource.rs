//! An aggregate with an owner, whatever its type.

use std::fmt::{self, Debug, Display};

use futures::FutureExt;
use futures::future::BoxFuture;
use ironstar_domain::{Access, DomainError, Owned, Ownership, Refusal};
use ironstar_ports::{Sequence, StreamId};

use crate::caller::LinkScope;
use crate::command::{CommandError, CommandHandler};

/// An aggregate with an owner, as far as access to it is concerned.
#[derive(Clone)]
pub struct Resource {
    kind: Kind,
    /// The id of the aggregate, as its `Display` form.
    id: String,
}

/// The type of the aggregate, as functions of an id.
#[derive(Clone, Copy)]
struct Kind {
    aggregate_type: &'static str,
    open_to_all: fn(&str) -> Option<Access>,
    scope: fn(&str) -> Option<LinkScope>,
    read: for<'a> fn(&'a CommandHandler, &'a str) -> Reading<'a>,
}

type Reading<'a> = BoxFuture<'a, Result<Seen, CommandError<NoRefusal>>>;

/// The ownership of an aggregate, as of an event of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// `None` if the aggregate does not exist.
    pub(super) ownership: Option<Ownership>,
    /// The sequence of the aggregate's last event.
    pub(super) sequence: Option<Sequence>,
}

/// The refusal of a read, which is never refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoRefusal {}

impl DomainError for NoRefusal {
    fn refusal(&self) -> Refusal {
        match *self {}
    }
}

impl Resource {
    /// The aggregate with this id.
    #[must_use]
    pub fn of<A: Owned>(id: &A::Id) -> Self {
        Self {
            kind: Kind::of::<A>(),
            id: id.to_string(),
        }
    }

    /// The stream of the aggregate.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::new(self.kind.aggregate_type, &*self.id)
    }

    /// The access of every caller to an aggregate that has no owner and no events.
    #[must_use]
    pub fn open_to_all(&self) -> Option<Access> {
        (self.kind.open_to_all)(&self.id)
    }

    /// The scope of the aggregate's links; `None` if no aggregate can have the id.
    pub(super) fn scope(&self) -> Option<LinkScope> {
        (self.kind.scope)(&self.id)
    }

    /// The ownership of the aggregate now.
    pub(super) async fn read(
        &self,
        commands: &CommandHandler,
    ) -> Result<Seen, CommandError<NoRefusal>> {
        (self.kind.read)(commands, &self.id).await
    }
}

impl Kind {
    fn of<A: Owned>() -> Self {
        Self {
            aggregate_type: A::TYPE,
            open_to_all: |id| A::open_to_all(&id.parse().ok()?),
            scope: |id| Some(LinkScope::of::<A>(&id.parse().ok()?)),
            read: |commands, id| read::<A>(commands, id).boxed(),
        }
    }
}

async fn read<A: Owned>(
    commands: &CommandHandler,
    id: &str,
) -> Result<Seen, CommandError<NoRefusal>> {
    let Ok(id) = id.parse() else {
        return Ok(Seen::default());
    };
    let seen = commands.see::<A, _>(&id).await?;
    Ok(Seen {
        ownership: seen.state.ownership().cloned(),
        sequence: seen.head.sequence,
    })
}

impl Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({self})")
    }
}

impl Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.aggregate_type, self.id)
    }
}
