//! The data that pages show of todos: each list's todos in order, and their counts.

use std::time::Duration;

use ironstar_domain::Aggregate;
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoEvent, TodoId, TodoState, TodoText};
use ironstar_ports::{DocumentPage, Envelope, LogPlace, Place, Position};
use serde::{Deserialize, Serialize};

use crate::codec::decode;
use crate::projection::{Behind, Documents, FoldError, Projection, ReadError, ReadModel};

/// The projection: a document for each todo that is not deleted, and one for the counts of each
/// list with todos.
#[derive(Debug)]
pub struct TodoProjection;

/// A document of the projection.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TodoDocument {
    /// A todo.
    Todo(TodoItem),
    /// The counts of a list.
    Counts(TodoCounts),
}

/// A todo in a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TodoItem {
    /// The id of the todo.
    pub id: TodoId,
    /// The list that it belongs to.
    pub list: ListId,
    /// The text of the todo.
    pub text: TodoText,
    /// True if the todo is completed.
    pub completed: bool,
    /// The position of the event that created the todo. Todos are in this order.
    pub created: Position,
}

/// The number of todos in a list.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct TodoCounts {
    /// The number of todos that are not completed.
    pub active: u64,
    /// The number of completed todos.
    pub completed: u64,
}

/// A filter for the todos of a list.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Show {
    /// All todos.
    #[default]
    All,
    /// Todos that are not completed.
    Active,
    /// Completed todos.
    Completed,
}

/// A part of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TodoPage {
    /// The last event that the page includes.
    pub place: LogPlace,
    /// The counts of the list.
    pub counts: TodoCounts,
    /// The todos, in order.
    pub todos: Vec<TodoItem>,
    /// The start of the next page: it begins after the todo that was created at this position.
    pub next: Option<Position>,
}

/// The lists of todos.
#[derive(Clone, Debug)]
pub struct TodoLists {
    model: ReadModel<TodoProjection>,
}

impl TodoCounts {
    /// The number of all todos.
    #[must_use]
    pub fn all(self) -> u64 {
        self.active + self.completed
    }
}

impl TodoLists {
    /// The lists in this read model.
    #[must_use]
    pub fn new(model: ReadModel<TodoProjection>) -> Self {
        Self { model }
    }

    /// The read model itself.
    #[must_use]
    pub fn model(&self) -> &ReadModel<TodoProjection> {
        &self.model
    }

    /// Waits until the lists include all events up to a position.
    ///
    /// # Errors
    ///
    /// If the lists have not reached the position after `within`.
    pub async fn reach(&self, position: Position, within: Duration) -> Result<(), Behind> {
        self.model.reach(position, within).await
    }

    /// Up to `limit` todos of a list, in the order of their creation. The page begins after the
    /// todo that was created at `after`.
    ///
    /// # Errors
    ///
    /// If the read model cannot be read.
    pub async fn page(
        &self,
        list: ListId,
        show: Show,
        after: Option<Position>,
        limit: usize,
    ) -> Result<TodoPage, ReadError> {
        let collections = show.collections(list);
        // Each sort text belongs to one todo, and the key of that todo is less than this one.
        let after = after.map(|created| (sort(created), "~".to_owned()));
        let page = DocumentPage {
            collections,
            after,
            // One more todo shows that there is a next page.
            limit: limit.saturating_add(1),
        };
        let found = self.model.find(vec![counts_key(list)], Some(page)).await?;
        let counts = found
            .keyed
            .into_iter()
            .find_map(|(_, document)| document.counts());
        let mut todos: Vec<TodoItem> = found
            .page
            .into_iter()
            .filter_map(|(_, document)| document.todo())
            .collect();
        let has_more = todos.len() > limit;
        todos.truncate(limit);
        Ok(TodoPage {
            place: found.place,
            counts: counts.unwrap_or_default(),
            next: todos.last().map(|last| last.created).filter(|_| has_more),
            todos,
        })
    }
}

impl Show {
    /// The collections that contain these todos of a list.
    #[must_use]
    pub fn collections(self, list: ListId) -> Vec<String> {
        let active = || collection(list, false);
        let completed = || collection(list, true);
        match self {
            Self::All => vec![active(), completed()],
            Self::Active => vec![active()],
            Self::Completed => vec![completed()],
        }
    }
}

impl Projection for TodoProjection {
    const NAME: &'static str = "todos";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[TodoState::TYPE];

    type Document = TodoDocument;

    fn fold(event: &Envelope, documents: &mut Documents<TodoDocument>) -> Result<(), FoldError> {
        let (id, happened) = decode::<TodoState>(event)?;
        let key = id.to_string();
        let before = documents.get(&key)?.cloned().and_then(TodoDocument::todo);
        let after = match (before.clone(), happened) {
            (None, TodoEvent::Created { text, list }) => Some(TodoItem {
                id,
                list,
                text,
                completed: false,
                created: event.position,
            }),
            (Some(todo), TodoEvent::Renamed { text }) => Some(TodoItem { text, ..todo }),
            (Some(todo), TodoEvent::Completed) => Some(TodoItem {
                completed: true,
                ..todo
            }),
            (Some(todo), TodoEvent::Reopened) => Some(TodoItem {
                completed: false,
                ..todo
            }),
            (Some(_), TodoEvent::Deleted) => None,
            (Some(_), TodoEvent::Created { .. })
            | (
                None,
                TodoEvent::Renamed { .. }
                | TodoEvent::Completed
                | TodoEvent::Reopened
                | TodoEvent::Deleted,
            ) => return Ok(()),
        };
        count(before.as_ref(), after.as_ref(), documents)?;
        match after {
            Some(todo) => documents.put(key, TodoDocument::Todo(todo)),
            None => documents.remove(key),
        }
    }

    fn place(document: &TodoDocument) -> Option<Place> {
        match document {
            TodoDocument::Todo(todo) => Some(Place {
                collection: collection(todo.list, todo.completed),
                sort: sort(todo.created),
            }),
            TodoDocument::Counts(_) => None,
        }
    }
}

/// Updates the counts of a list after a change of one of its todos.
fn count(
    before: Option<&TodoItem>,
    after: Option<&TodoItem>,
    documents: &mut Documents<TodoDocument>,
) -> Result<(), FoldError> {
    let completed = |todo: Option<&TodoItem>| todo.map(|todo| todo.completed);
    let Some(list) = before.or(after).map(|todo| todo.list) else {
        return Ok(());
    };
    if completed(before) == completed(after) {
        return Ok(());
    }
    let key = counts_key(list);
    let counts = documents.get(&key)?.cloned().and_then(TodoDocument::counts);
    let mut counts = counts.unwrap_or_default();
    if let Some(completed) = completed(before) {
        let count = counts.of(completed);
        *count = count.checked_sub(1).ok_or_else(|| {
            FoldError::Senseless(format!(
                "the counts of the list {list} do not include one of its todos"
            ))
        })?;
    }
    if let Some(completed) = completed(after) {
        *counts.of(completed) += 1;
    }
    if counts.all() == 0 {
        return documents.remove(key);
    }
    documents.put(key, TodoDocument::Counts(counts))
}

impl TodoCounts {
    fn of(&mut self, completed: bool) -> &mut u64 {
        if completed {
            &mut self.completed
        } else {
            &mut self.active
        }
    }
}

impl TodoDocument {
    /// The todo, if the document is one.
    #[must_use]
    pub fn todo(self) -> Option<TodoItem> {
        match self {
            Self::Todo(todo) => Some(todo),
            Self::Counts(_) => None,
        }
    }

    /// The counts, if the document has counts.
    #[must_use]
    pub fn counts(self) -> Option<TodoCounts> {
        match self {
            Self::Counts(counts) => Some(counts),
            Self::Todo(_) => None,
        }
    }
}

/// The key of a list's counts.
#[must_use]
pub fn counts_key(list: ListId) -> String {
    format!("counts/{list}")
}

fn collection(list: ListId, completed: bool) -> String {
    let state = if completed { "completed" } else { "active" };
    format!("{list}/{state}")
}

/// A text that sorts like the positions: it always has the same number of digits.
fn sort(created: Position) -> String {
    format!("{:020}", created.get())
}
