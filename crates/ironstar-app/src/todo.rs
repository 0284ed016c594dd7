//! The todo's use cases: its commands, those on many todos of a list at once,
//! and what pages show.

mod lists;

use std::time::Duration;

use ironstar_domain::{Aggregate, ListId, ListState, TodoCommand, TodoError, TodoId, TodoState};
use ironstar_ports::{Envelope, StreamAppend, StreamId};

use crate::projection::{Behind, ReadError};
use crate::{Accepted, AcceptedOnAll, CommandContext, CommandError, CommandHandler};

pub use lists::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoPage, TodoProjection, counts_key,
};

/// How many todos are changed together at the most.
pub const MOST_AT_ONCE: usize = 10_000;

/// How long a command on a list waits for its todos to be known.
const CATCH_UP: Duration = Duration::from_secs(2);

/// How often a todo is created anew when its list keeps changing.
const ATTEMPTS: u32 = 4;

/// Carries out what is asked of todos.
#[derive(Clone, Debug)]
pub struct TodoService {
    commands: CommandHandler,
    lists: TodoLists,
}

/// What can be asked of the todos of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListWide {
    /// Mark all as done.
    CompleteAll,
    /// Mark all as not done.
    ReopenAll,
    /// Remove those that are done.
    ClearCompleted,
}

/// Why a command on the todos of a list had no effect.
#[derive(Debug, thiserror::Error)]
pub enum ListWideError {
    /// It concerns too many.
    #[error("this concerns more than {MOST_AT_ONCE} todos, which is too many at once")]
    TooMany,
    /// What the list holds by now is not known yet.
    #[error("the todos of the list are not known yet; try again in a moment")]
    Behind(#[from] Behind),
    /// What the list holds cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The command had no effect.
    #[error(transparent)]
    Command(#[from] CommandError<TodoError>),
}

/// The aggregate that an event's own is part of, if it is.
///
/// Before there were lists, events did not say; all todos were in the shared
/// one.
#[must_use]
pub fn parent_of(event: &Envelope) -> Option<StreamId> {
    let is_todo = event.stream.aggregate_type == TodoState::TYPE;
    let shared = || StreamId::new(ListState::TYPE, ListId::SHARED.to_string());
    event
        .metadata
        .parent
        .clone()
        .or_else(|| is_todo.then(shared))
}

impl TodoService {
    /// A service on this handler and these lists.
    #[must_use]
    pub fn new(commands: CommandHandler, lists: TodoLists) -> Self {
        Self { commands, lists }
    }

    /// What pages show.
    #[must_use]
    pub fn lists(&self) -> &TodoLists {
        &self.lists
    }

    /// An id for a new todo.
    #[must_use]
    pub fn next_id(&self) -> TodoId {
        self.commands.next_id().into()
    }

    /// Carries out a command on a todo. One that creates it in a list other
    /// than the shared one is refused unless that list is in use.
    ///
    /// # Errors
    ///
    /// As [`CommandHandler::execute`].
    pub async fn execute(
        &self,
        id: TodoId,
        command: &TodoCommand,
        context: &CommandContext,
    ) -> Result<Accepted, CommandError<TodoError>> {
        let list = match command {
            TodoCommand::Create { list, .. } if !list.is_shared() => *list,
            TodoCommand::Create { .. }
            | TodoCommand::Rename { .. }
            | TodoCommand::Complete
            | TodoCommand::Reopen
            | TodoCommand::Delete => {
                return self
                    .commands
                    .execute::<TodoState>(&id, command, context)
                    .await;
            }
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome = match self.guard(list).await {
                Ok(guard) => {
                    let mut context = context.clone();
                    context.also.push(guard);
                    self.commands
                        .execute::<TodoState>(&id, command, &context)
                        .await
                }
                Err(refusal) => match self.commands.answer_again(context).await? {
                    Some(answer) => Ok(answer),
                    None => Err(refusal),
                },
            };
            match outcome {
                Err(CommandError::OtherChanged { stream })
                    if stream.aggregate_type == ListState::TYPE && attempts < ATTEMPTS => {}
                outcome => return outcome,
            }
        }
    }

    /// Carries out a command on the todos of a list, all in one append.
    ///
    /// # Errors
    ///
    /// See [`ListWideError`]; nothing was stored then.
    pub async fn execute_on_list(
        &self,
        list: ListId,
        command: ListWide,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, ListWideError> {
        if let Some(answer) = self.commands.answer_again_on_all(context).await? {
            return Ok(answer);
        }
        let (show, command) = match command {
            ListWide::CompleteAll => (Show::Active, TodoCommand::Complete),
            ListWide::ReopenAll => (Show::Completed, TodoCommand::Reopen),
            ListWide::ClearCompleted => (Show::Completed, TodoCommand::Delete),
        };
        let head = self.commands.head().await?;
        self.lists.reach(head, CATCH_UP).await?;
        let page = self.lists.page(list, show, None, MOST_AT_ONCE).await?;
        if page.next.is_some() {
            return Err(ListWideError::TooMany);
        }
        let ids: Vec<TodoId> = page.todos.iter().map(|todo| todo.id).collect();
        let accepted = self
            .commands
            .execute_on_all::<TodoState>(&ids, &command, context)
            .await?;
        Ok(accepted)
    }

    /// A list that takes new todos, as it is now.
    async fn guard(&self, list: ListId) -> Result<StreamAppend, CommandError<TodoError>> {
        let seen = self.commands.see::<ListState, _>(&list).await?;
        match seen.state {
            ListState::Open { .. } => Ok(StreamAppend::guard(&seen.head)),
            ListState::NotCreated => Err(CommandError::Refused(TodoError::NoSuchList)),
            ListState::Archived { .. } => Err(CommandError::Refused(TodoError::ListArchived)),
        }
    }
}
