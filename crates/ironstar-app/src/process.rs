//! Process managers: what follows from events across aggregates, at once or
//! when nothing has happened for a while.
//!
//! [`ProcessManager`] is all that one has to say: how it reacts to an event, as
//! a pure function of its state. What it asks for, its steps, is a read model
//! like any other: documents that are folded from the log and stored with their
//! checkpoint. A task beside it has the steps carried out.
//!
//! - A step is part of the append that it leads to, as an event of its own
//!   stream, which has to be empty. So it is taken once, whatever happens in
//!   between: a crash, a restart, a second server, a rebuild of the read model.
//! - A step that cannot be taken now is tried again until it can; others, also
//!   later ones, are taken meanwhile. One that the domain refuses is over, and the
//!   refusal is in the log, too.
//! - A timer is a step that waits. Whatever the process does about it in the
//!   meantime replaces or cancels it; when it is due it becomes a step like any
//!   other.

mod plan;
mod runner;

use std::fmt::Debug;
use std::marker::PhantomData;

use ironstar_domain::{Aggregate, StepState};
use ironstar_ports::{
    BuildId, DocumentPage, DocumentQuery, DocumentSource, Envelope, Place, ProjectionStore,
    StoreError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;

use crate::projection::{Documents, FoldError, Projection};
use crate::{CommandContext, CommandError};

pub use plan::{ProcessDocument, State, Step, Timer};
pub(crate) use plan::{STEPS, TIMERS};

/// What follows from events.
///
/// It is as pure as a projection: its state is all that it knows.
pub trait ProcessManager: Debug + Send + Sync + 'static {
    /// Names the process manager, in kebab case; for people, in the store, and
    /// in the log.
    const NAME: &'static str;

    /// The version of its code. Whoever changes what it makes of the log counts
    /// it up, and its state is folded anew. A step is known by the event that it
    /// follows from and its number among what that is reacted to with (`and`,
    /// `and_later`): who asks for something more asks for it last, or it is
    /// taken for what was there before.
    const VERSION: u32;

    /// The types of the aggregates whose events it reacts to.
    const AGGREGATES: &'static [&'static str];

    /// A part of its state. One process manager may have several sorts, as an
    /// `enum`.
    type State: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// What it asks for.
    type Command: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// Reacts to an event, whenever that has happened: the state after it, and
    /// what is to be done.
    ///
    /// It may be called more than once for an event, and only counts when it
    /// succeeds.
    ///
    /// # Errors
    ///
    /// If the event cannot be read, or its state not be had.
    fn react(
        event: &Envelope,
        state: &mut State<'_, Self::State, Self::Command>,
    ) -> Result<Reaction<Self::Command>, FoldError>;
}

/// What is to be done because of an event. The default is nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Reaction<C> {
    asked: Vec<Asked<C>>,
}

/// One thing that is to be done.
#[derive(Clone, Debug, PartialEq)]
enum Asked<C> {
    Now(C),
    Later {
        timer: String,
        since: OffsetDateTime,
        command: C,
    },
    Never {
        timer: String,
    },
}

/// Has the commands of a process manager carried out.
pub trait Executor<C>: Send + Sync + 'static {
    /// Carries out a command with this context, whatever else it has to do for
    /// it: the step is part of the context, so that it is over then and only
    /// then.
    fn execute(
        &self,
        command: &C,
        context: &CommandContext,
    ) -> impl Future<Output = Result<(), NotExecuted>> + Send;
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotExecuted {
    /// Its step was over before.
    #[error("the step is over already")]
    Over,
    /// It is refused.
    #[error("{0}")]
    Refused(String),
    /// It has to be tried again, later each time, while others are carried out.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// Nothing can be carried out for now.
    #[error(transparent)]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

/// How many steps and timers a process manager has, at the most [`MOST`](Self::MOST)
/// of each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToDo {
    /// Steps that are to be taken at once.
    pub steps: usize,
    /// Steps that wait.
    pub timers: usize,
}

impl ToDo {
    /// Who has more is said to have so many.
    pub const MOST: usize = 1_000;

    /// What a build of a process manager has to do.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn of(build: BuildId, store: &dyn ProjectionStore) -> Result<Self, StoreError> {
        let count = async |collection: &str| {
            let page = DocumentPage {
                collections: vec![collection.to_owned()],
                after: None,
                limit: Self::MOST,
            };
            let query = DocumentQuery {
                keys: Vec::new(),
                page: Some(page),
            };
            let found = store.find(&DocumentSource::Build(build), &query).await?;
            Ok::<_, StoreError>(found.map_or(0, |found| found.page.len()))
        };
        Ok(Self {
            steps: count(STEPS).await?,
            timers: count(TIMERS).await?,
        })
    }
}

/// A process manager as a projection: of its state and of what is to be done.
#[derive(Debug)]
pub struct Process<M>(PhantomData<fn() -> M>);

impl<C> Default for Reaction<C> {
    fn default() -> Self {
        Self { asked: Vec::new() }
    }
}

impl<C> Reaction<C> {
    /// Nothing follows.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// This is to be done at once.
    #[must_use]
    pub fn and(mut self, command: C) -> Self {
        self.asked.push(Asked::Now(command));
        self
    }

    /// This is to be done when it has been waited for long enough since a
    /// moment. It takes the place of whatever waits under the same name.
    #[must_use]
    pub fn and_later(
        mut self,
        timer: impl Into<String>,
        since: OffsetDateTime,
        command: C,
    ) -> Self {
        self.asked.push(Asked::Later {
            timer: timer.into(),
            since,
            command,
        });
        self
    }

    /// What waits under this name, if anything does, is not to be done.
    #[must_use]
    pub fn and_never(mut self, timer: impl Into<String>) -> Self {
        self.asked.push(Asked::Never {
            timer: timer.into(),
        });
        self
    }
}

impl<M: ProcessManager> Process<M> {
    /// The name is a part of the ids of steps.
    const HAS_A_NAME: () = {
        let name = M::NAME.as_bytes();
        let mut index = 0;
        assert!(!name.is_empty(), "a process manager needs a name");
        while index < name.len() {
            let is_letter = name[index].is_ascii_lowercase() || name[index].is_ascii_digit();
            let joins = name[index] == b'-' && index > 0 && index + 1 < name.len();
            assert!(
                is_letter || joins && name[index - 1] != b'-',
                "the name of a process manager is in kebab case"
            );
            index += 1;
        }
    };
}

impl<M: ProcessManager> Projection for Process<M> {
    const NAME: &'static str = M::NAME;
    const VERSION: u32 = M::VERSION;
    const AGGREGATES: &'static [&'static str] = M::AGGREGATES;
    const IS_PROCESS: bool = true;

    type Document = ProcessDocument<M::State, M::Command>;

    fn is_about(aggregate_type: &str) -> bool {
        aggregate_type == StepState::TYPE || M::AGGREGATES.contains(&aggregate_type)
    }

    fn fold(event: &Envelope, documents: &mut Documents<Self::Document>) -> Result<(), FoldError> {
        let () = Self::HAS_A_NAME;
        plan::fold::<M>(event, documents)
    }

    fn place(document: &Self::Document) -> Option<Place> {
        document.place()
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<CommandError<E>> for NotExecuted {
    fn from(error: CommandError<E>) -> Self {
        match error {
            CommandError::OtherChanged { stream } if stream.aggregate_type == StepState::TYPE => {
                Self::Over
            }
            CommandError::Refused(refusal) => Self::Refused(refusal.to_string()),
            CommandError::Unexpected { .. }
            | CommandError::Contended { .. }
            | CommandError::OtherChanged { .. }
            | CommandError::KeyReused
            | CommandError::Unreadable(_)
            | CommandError::Unwritable(_)
            | CommandError::Store(StoreError::Damaged { .. }) => Self::Failed(error.into()),
            CommandError::Overloaded | CommandError::Store(StoreError::Unavailable(_)) => {
                Self::Unavailable(error.into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ironstar_domain::TodoError;
    use ironstar_ports::StreamId;

    use super::*;

    #[test]
    fn step_is_over_when_its_own_stream_has_changed() {
        let changed = |aggregate_type| {
            let stream = StreamId::new(aggregate_type, "1");
            NotExecuted::from(CommandError::<TodoError>::OtherChanged { stream })
        };
        assert!(matches!(changed(StepState::TYPE), NotExecuted::Over));
        assert!(matches!(changed("List"), NotExecuted::Failed(_)));
    }
}
