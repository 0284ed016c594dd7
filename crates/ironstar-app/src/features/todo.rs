//! The todo's use cases: commands on one todo, commands on many todos of a list, the queries of
//! pages, and the archiving of lists whose todos are done.

mod archiving;
mod lists;

use std::time::Duration;

use futures::FutureExt;
use ironstar_domain::Access;
use ironstar_domain::list::{ListId, ListState};
use ironstar_domain::todo::{TodoCommand, TodoError, TodoId, TodoState};

use crate::access::AudienceRule;
use crate::caller::Caller;
use crate::command::{Accepted, AcceptedOnAll, CommandContext, CommandError, CommandHandler, Pass};
use crate::feature::Feature;
use crate::process::Process;
use crate::projection::{Behind, ReadError, Registered};

pub use archiving::{ArchiveDoneLists, Archiving, ListAt, ListProgress, ListStep};
pub use lists::{
    Show, TodoCounts, TodoDocument, TodoItem, TodoLists, TodoPage, TodoProjection, counts_key,
};

/// The todo, as it registers.
pub const FEATURE: Feature = Feature {
    projections: &[
        Registered::of::<TodoProjection>(),
        Registered::of::<Process<ArchiveDoneLists>>(),
    ],
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
        let guard = || self.guard(id, command, &context.caller).boxed();
        self.commands
            .execute_guarded::<TodoState>(&id, command, context, &guard)
            .await
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
        let (show, command) = match command {
            ListWide::CompleteAll => (Show::Active, TodoCommand::Complete),
            ListWide::ReopenAll => (Show::Completed, TodoCommand::Reopen),
            ListWide::ClearCompleted => (Show::Completed, TodoCommand::Delete),
        };
        let todos = self.todos(list, show);
        let guard = || self.right(Entry::Whole(list), &context.caller).boxed();
        self.commands
            .execute_guarded_on_all::<TodoState, _>(todos, &command, context, &guard)
            .await
    }

    /// The todos of a list now.
    async fn todos(&self, list: ListId, show: Show) -> Result<Vec<TodoId>, ListWideError> {
        let head = self.commands.head().await?;
        self.lists.reach(head, CATCH_UP).await?;
        let page = self.lists.page(list, show, None, MOST_AT_ONCE).await?;
        if page.next.is_some() {
            return Err(ListWideError::TooMany);
        }
        Ok(page.todos.iter().map(|todo| todo.id).collect())
    }

    /// The guard of a command on a todo: its list.
    async fn guard(
        &self,
        id: TodoId,
        command: &TodoCommand,
        caller: &Caller,
    ) -> Result<Pass<TodoError>, CommandError<TodoError>> {
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
                    None => return Ok(Pass::refused(TodoError::NotFound)),
                }
            }
        };
        self.right(entry, caller).await
    }

    /// The caller's right to a list, which lasts while the list does not change.
    async fn right(
        &self,
        entry: Entry,
        caller: &Caller,
    ) -> Result<Pass<TodoError>, CommandError<TodoError>> {
        let list = entry.list();
        if list.is_shared() {
            return Ok(Pass::free());
        }
        let seen = self.commands.see::<ListState, _>(&list).await?;
        match (caller.access(&list, &seen.state), entry) {
            (Access::None, Entry::Known(_)) => Err(CommandError::Refused(TodoError::NotFound)),
            (Access::None, Entry::New(_) | Entry::Whole(_)) => {
                Err(CommandError::Refused(TodoError::NoSuchList))
            }
            (Access::Read, _) => Err(CommandError::Refused(TodoError::ReadOnly)),
            (Access::Edit | Access::Own, Entry::New(_))
                if matches!(seen.state, ListState::Archived(_)) =>
            {
                Ok(Pass::refused(TodoError::ListArchived))
            }
            (Access::Edit | Access::Own, _) => Ok(Pass::while_unchanged(&seen.head)),
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
