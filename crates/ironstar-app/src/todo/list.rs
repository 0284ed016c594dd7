//! The list of all todos, folded from the log.

use std::collections::{BTreeMap, HashMap};

use ironstar_domain::{Aggregate, TodoEvent, TodoId, TodoState, TodoText};
use ironstar_ports::{Envelope, Position};

use crate::codec::{DecodeError, decode};

/// Every todo that is not deleted, in the order in which they were created.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TodoList {
    /// By the position of the event that created them.
    todos: BTreeMap<Position, TodoItem>,
    created: HashMap<TodoId, Position>,
    completed: usize,
}

/// A todo in the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TodoItem {
    /// Which todo.
    pub id: TodoId,
    /// What it says.
    pub text: TodoText,
    /// Whether it is done.
    pub completed: bool,
}

/// What an event has changed about the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TodoChange {
    /// This todo is new, at the end.
    Added(TodoItem),
    /// This todo is like this now.
    Changed(TodoItem),
    /// This todo is gone.
    Removed(TodoId),
}

impl TodoList {
    /// The todos, in order.
    pub fn iter(&self) -> impl Iterator<Item = &TodoItem> {
        self.todos.values()
    }

    /// How many todos there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.todos.len()
    }

    /// Whether there is no todo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.todos.is_empty()
    }

    /// How many todos are not done.
    #[must_use]
    pub fn active(&self) -> usize {
        self.todos.len() - self.completed
    }

    /// Takes an event of the log into account. Events of other aggregates, and
    /// events that change nothing in the list, are none of its business.
    ///
    /// # Errors
    ///
    /// If it is a todo's event and cannot be read as one.
    pub fn apply(&mut self, envelope: &Envelope) -> Result<Option<TodoChange>, DecodeError> {
        if envelope.stream.aggregate_type != TodoState::TYPE {
            return Ok(None);
        }
        let (id, event) = decode::<TodoState>(envelope)?;
        Ok(match event {
            TodoEvent::Created { text } => self.add(id, text, envelope.position),
            TodoEvent::Renamed { text } => self.change(id, |todo| todo.text = text),
            TodoEvent::Completed => self.change(id, |todo| todo.completed = true),
            TodoEvent::Reopened => self.change(id, |todo| todo.completed = false),
            TodoEvent::Deleted => self.remove(id),
        })
    }

    fn add(&mut self, id: TodoId, text: TodoText, position: Position) -> Option<TodoChange> {
        if self.created.contains_key(&id) {
            return None;
        }
        let todo = TodoItem {
            id,
            text,
            completed: false,
        };
        self.created.insert(id, position);
        self.todos.insert(position, todo.clone());
        Some(TodoChange::Added(todo))
    }

    fn change(&mut self, id: TodoId, change: impl FnOnce(&mut TodoItem)) -> Option<TodoChange> {
        let todo = self.todos.get_mut(self.created.get(&id)?)?;
        self.completed -= usize::from(todo.completed);
        change(todo);
        self.completed += usize::from(todo.completed);
        Some(TodoChange::Changed(todo.clone()))
    }

    fn remove(&mut self, id: TodoId) -> Option<TodoChange> {
        let todo = self.todos.remove(&self.created.remove(&id)?)?;
        self.completed -= usize::from(todo.completed);
        Some(TodoChange::Removed(id))
    }
}

#[cfg(test)]
mod tests;
