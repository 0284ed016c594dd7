//! The todo's use cases: its commands, and the list of all todos.

mod list;

use ironstar_domain::{TodoCommand, TodoError, TodoId, TodoState};

use crate::{Accepted, CommandContext, CommandError, CommandHandler};

pub use list::{TodoChange, TodoItem, TodoList};

/// Carries out what is asked of todos.
#[derive(Clone, Debug)]
pub struct TodoService {
    commands: CommandHandler,
}

impl TodoService {
    /// A service on this handler.
    #[must_use]
    pub fn new(commands: CommandHandler) -> Self {
        Self { commands }
    }

    /// An id for a new todo.
    #[must_use]
    pub fn next_id(&self) -> TodoId {
        self.commands.next_id().into()
    }

    /// Carries out a command on a todo.
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
        self.commands
            .execute::<TodoState>(&id, command, context)
            .await
    }
}
