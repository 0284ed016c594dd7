//! The todo's use cases: commands on one todo, commands on many todos of a list, and the
//! queries of pages.

mod lists;

use std::time::Duration;

use ironstar_domain::list::{ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId, TodoState};
use ironstar_domain::{Access, Aggregate};
use ironstar_ports::StreamAppend;

use crate::access::AudienceRule;
use crate::caller::Caller;
use crate::command::{Accepted, AcceptedOnAll, CommandContext, CommandError, CommandHandler};
use crate::feature::Feature;
use crate::projection::{Behind, ReadError, Registered};

pub use lists::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoPage, TodoProjection, counts_key,
};

/// The todo, as it registers.
pub const FEATURE: Feature = Feature {
    projections: &[Registered::of::<TodoProjection>()],
    audiences: &[AudienceRule::part_of::<ListState, TodoState>()],
    hand_over: None,
};

/// The maximum number of todos that one command changes.
pub const MOST_AT_ONCE: usize = 10_000;

/// The time that a command on a list waits for the read model.
const CATCH_UP: Duration = Duration::from_secs(2);

/// Runs the commands on todos.
#[derive(Clone, Debug)]
pub struct TodoService {
    commands: CommandHandler,
    lists: TodoLists,
}

/// A command on the todos of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListWide {
    /// Complete all todos.
    CompleteAll,
    /// Reopen all todos.
    ReopenAll,
    /// Delete the completed todos.
    ClearCompleted,
}

/// The reason why a command on the todos of a list had no effect.
#[derive(Debug, thiserror::Error)]
pub enum ListWideError {
    /// The command concerns too many todos.
    #[error("the command concerns more than {MOST_AT_ONCE} todos, which is too many at once")]
    TooMany,
    /// The read model is still behind.
    #[error("the todos of the list are not up to date yet; try again in a moment")]
    Behind(#[from] Behind),
    /// The todos of the list cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The command had no effect.
    #[error(transparent)]
    Command(#[from] CommandError<TodoError>),
}

impl TodoService {
    /// A service on this handler and these lists.
    #[must_use]
    pub fn new(commands: CommandHandler, lists: TodoLists) -> Self {
        Self { commands, lists }
    }

    /// The queries of pages.
    #[must_use]
    pub fn lists(&self) -> &TodoLists {
        &self.lists
    }

    /// An id for a new todo.
    #[must_use]
    pub fn next_id(&self) -> TodoId {
        self.commands.next_id().into()
    }

    /// Runs a command on a todo. In a list other than the shared one, the caller needs the
    /// right to edit that list. A command that creates a todo is also refused if the list is
    /// archived.
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
        let entry = match command {
            TodoCommand::Create { list, .. } => Entry::New(*list),
            TodoCommand::Rename { .. }
            | TodoCommand::Complete
            | TodoCommand::Reopen
            | TodoCommand::Delete => {
                let todo: TodoState = self.commands.remembered(&id).await?;
                match todo.list() {
                    Some(list) => Entry::Known(list),
                    // A concurrent command may be creating the todo, in any list.
                    None => {
                        let answer = self.commands.answer_again(context).await?;
                        return answer.ok_or(CommandError::Refused(TodoError::NotFound));
                    }
                }
            }
        };
        let execute = async |context: &CommandContext| {
            let execute = self.commands.execute::<TodoState>(&id, command, context);
            execute.await
        };
        if entry.list().is_shared() {
            return execute(context).await;
        }
        let mut contest = self.commands.watching();
        loop {
            let outcome = match self.guard(entry, &context.caller).await {
                Ok(guard) => execute(&context.with(guard)).await,
                Err(CommandError::Refused(TodoError::ListArchived)) => {
                    let answer = self.commands.answer_again(context).await?;
                    answer.ok_or(CommandError::Refused(TodoError::ListArchived))
                }
                Err(error) => Err(error),
            };
            match outcome {
                Err(CommandError::OtherChanged { stream })
                    if stream.aggregate_type == ListState::TYPE =>
                {
                    contest.lost(&[stream]).await?;
                }
                outcome => return outcome,
            }
        }
    }

    /// Runs a command on the todos of a list, all in one append, if the caller may edit that
    /// list.
    ///
    /// # Errors
    ///
    /// See [`ListWideError`]. After an error nothing was stored.
    pub async fn execute_on_list(
        &self,
        list: ListId,
        command: ListWide,
        context: &CommandContext,
    ) -> Result<AcceptedOnAll, ListWideError> {
        if list.is_shared() {
            return self.execute_on_all(list, command, context).await;
        }
        let mut contest = self.commands.watching();
        loop {
            let guard = self.guard(Entry::Whole(list), &context.caller).await?;
            match self
                .execute_on_all(list, command, &context.with(guard))
                .await
            {
                Err(ListWideError::Command(CommandError::OtherChanged { stream }))
                    if stream.aggregate_type == ListState::TYPE =>
                {
                    contest.lost::<TodoError>(&[stream]).await?;
                }
                outcome => return outcome,
            }
        }
    }

    async fn execute_on_all(
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

    /// The condition that a list does not change, if the caller has the right to it.
    async fn guard(
        &self,
        entry: Entry,
        caller: &Caller,
    ) -> Result<StreamAppend, CommandError<TodoError>> {
        let list = entry.list();
        let seen = self.commands.see::<ListState, _>(&list).await?;
        let refusal = match (caller.access(&list, &seen.state), entry) {
            (Access::None, Entry::Known(_)) => Some(TodoError::NotFound),
            (Access::None, Entry::New(_) | Entry::Whole(_)) => Some(TodoError::NoSuchList),
            (Access::Read, _) => Some(TodoError::ReadOnly),
            (Access::Edit | Access::Own, Entry::New(_)) => match seen.state {
                ListState::Archived(_) => Some(TodoError::ListArchived),
                ListState::NotCreated | ListState::Open(_) => None,
            },
            (Access::Edit | Access::Own, Entry::Known(_) | Entry::Whole(_)) => None,
        };
        match refusal {
            Some(refusal) => Err(CommandError::Refused(refusal)),
            None => Ok(StreamAppend::guard(&seen.head)),
        }
    }
}

/// The part of a list that a command concerns.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// A todo that the command creates.
    New(ListId),
    /// A todo that exists or was deleted.
    Known(ListId),
    /// All todos of the list.
    Whole(ListId),
}

impl Entry {
    fn list(self) -> ListId {
        match self {
            Self::New(list) | Self::Known(list) | Self::Whole(list) => list,
        }
    }
}

impl CommandContext {
    /// The same context, with one more condition.
    fn with(&self, guard: StreamAppend) -> Self {
        let mut context = self.clone();
        context.also.push(guard);
        context
    }
}
