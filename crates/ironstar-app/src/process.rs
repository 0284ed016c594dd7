//! Process managers: reactions to events across aggregates, at once or after a period without
//! changes.
//!
//! A [`ProcessManager`] defines only its reaction to an event, as a pure function of its state.
//! The commands that it asks for are its steps. Steps are a read model like any other:
//! documents that are folded from the log and stored with their checkpoint. A task beside the
//! read model runs the steps.
//!
//! - A step is part of the append that it causes, as an event of the step's own stream, which
//!   must be empty. So a step happens once, even after a crash, a restart, a rebuild of the
//!   read model, or with a second server.
//! - A step that cannot run now is tried again until it can. Other steps, including later ones,
//!   run meanwhile. A step that the domain refuses is over, and its refusal is in the log, too.
//! - A timer is a step that waits. Later reactions of the process manager can replace or cancel
//!   it. When it is due, it becomes a step like any other.

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

use crate::codec::DecodeError;
use crate::command::{CommandContext, CommandError};
use crate::projection::{Documents, FoldError, Projection};

pub use plan::{ProcessDocument, State, Step, Timer};
pub(crate) use plan::{STEPS, TIMERS};

/// A reaction to events.
///
/// It is as pure as a projection: its state is all that it knows.
pub trait ProcessManager: Debug + Send + Sync + 'static {
    /// The name of the process manager, in kebab case. Operators see it, and the store and the
    /// log contain it.
    const NAME: &'static str;

    /// The version of the code. Raise it when the result of `react` changes; then the state is
    /// folded again. A step is identified by its event and by its number among the reactions to
    /// that event (`and`, `and_later`). So add a new command after all existing ones. Otherwise
    /// it is taken for an existing step.
    const VERSION: u32;

    /// The types of the aggregates whose events it reacts to.
    const AGGREGATES: &'static [&'static str];

    /// A part of the state. A process manager with several kinds of state uses an `enum`.
    type State: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// The commands that it asks for.
    type Command: Clone + Debug + DeserializeOwned + PartialEq + Send + Serialize + Sync + 'static;

    /// Reacts to an event of any age: changes the state, and returns the commands.
    ///
    /// It may run more than once for an event. Only a run without an error counts.
    ///
    /// # Errors
    ///
    /// If the event cannot be read, or its state is not loaded.
    fn react(
        event: &Envelope,
        state: &mut State<'_, Self::State, Self::Command>,
    ) -> Result<Reaction<Self::Command>, FoldError>;
}

/// The commands that result from an event. The default is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Reaction<C> {
    asked: Vec<Asked<C>>,
}

/// One command that results from an event.
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

/// Runs the commands of a process manager.
pub trait Executor<C>: Send + Sync + 'static {
    /// Runs a command with this context. The context contains the step, so the step is over
    /// exactly if the command is stored. The implementation may do any other work that the
    /// command needs.
    fn execute(
        &self,
        command: &C,
        context: &CommandContext,
    ) -> impl Future<Output = Result<(), NotExecuted>> + Send;
}

/// The reason why a command did not run.
#[derive(Debug, thiserror::Error)]
pub enum NotExecuted {
    /// The step was over before.
    #[error("the step is already over")]
    Over,
    /// The command is refused.
    #[error("{0}")]
    Refused(String),
    /// The command failed. It is tried again after longer and longer pauses, while other steps
    /// run.
    #[error(transparent)]
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// The command needs an event of a newer version of the program. A newer server can run it.
    #[error(transparent)]
    TooNew(DecodeError),
    /// No command can run at the moment.
    #[error(transparent)]
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
}

/// The numbers of steps and timers of a process manager, each at most [`MOST`](Self::MOST).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ToDo {
    /// Steps that must run now.
    pub steps: usize,
    /// Steps that wait.
    pub timers: usize,
}

impl ToDo {
    /// The count stops at this number.
    pub const MOST: usize = 1_000;

    /// The open steps and timers of a build of a process manager.
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

/// A process manager as a projection of its state and its steps.
#[derive(Debug)]
pub struct Process<M>(PhantomData<fn() -> M>);

impl<C> Default for Reaction<C> {
    fn default() -> Self {
        Self { asked: Vec::new() }
    }
}

impl<C> Reaction<C> {
    /// A reaction without commands.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Adds a command that must run now.
    #[must_use]
    pub fn and(mut self, command: C) -> Self {
        self.asked.push(Asked::Now(command));
        self
    }

    /// Adds a command that runs after a waiting time, counted from `since`. It replaces the
    /// timer with the same name.
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

    /// Cancels the timer with this name, if there is one.
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
                "the name of a process manager must be in kebab case"
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
            CommandError::Unreadable(error) if error.is_of_newer_version() => Self::TooNew(error),
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
    use ironstar_domain::UserError;
    use ironstar_ports::StreamId;

    use super::*;

    #[test]
    fn step_is_over_when_its_own_stream_has_changed() {
        let changed = |aggregate_type| {
            let stream = StreamId::new(aggregate_type, "1");
            NotExecuted::from(CommandError::<UserError>::OtherChanged { stream })
        };
        assert!(matches!(changed(StepState::TYPE), NotExecuted::Over));
        assert!(matches!(changed("Note"), NotExecuted::Failed(_)));
    }
}
