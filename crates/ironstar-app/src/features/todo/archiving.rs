//! Archives lists that are done: all their todos are completed, and nothing has changed for a
//! while.

use ironstar_domain::list::{ListCommand, ListEvent, ListId, ListState};
use ironstar_domain::todo::{TodoEvent, TodoState};
use ironstar_domain::{Aggregate, OwnedEvent, StepId};
use ironstar_ports::{Envelope, Sequence};
use serde::{Deserialize, Serialize};

use crate::access::parent_of;
use crate::codec::decode;
use crate::command::{CommandContext, CommandError};
use crate::features::list::ListService;
use crate::process::{Executor, NotExecuted, ProcessManager, Reaction, State};
use crate::projection::FoldError;

/// The process manager. A list is done when it has todos and all of them are completed. The
/// shared list is never done.
///
/// An event of a todo may be appended just before the list is archived, without being known in
/// time. If the list is no longer done then, it is restored at once, unless another event of
/// the list comes first.
#[derive(Debug)]
pub struct ArchiveDoneLists;

/// A part of the state of the process manager.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Archiving {
    /// The state of a list.
    List(ListProgress),
    /// The state of a todo that is not deleted.
    Todo {
        /// True if the todo is completed.
        completed: bool,
    },
}

/// The state of a list.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListProgress {
    /// The number of its todos that are not completed.
    pub active: u64,
    /// The number of its completed todos.
    pub completed: u64,
    /// True if the list is archived.
    pub archived: bool,
    /// The sequence of the last event of the list itself.
    pub sequence: Option<Sequence>,
    /// True if a timer is set to archive the list.
    pub waits: bool,
}

/// A step for a list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListStep {
    /// Archive the list, because it is done.
    Archive(ListAt),
    /// Restore the list, because it was not done when it was archived.
    Restore(ListAt),
}

/// A list, under the condition that it has no newer event of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListAt {
    /// The id of the list.
    pub list: ListId,
    /// The sequence of its last event.
    pub sequence: Option<Sequence>,
}

impl ProcessManager for ArchiveDoneLists {
    const NAME: &'static str = "archive-done-lists";
    const VERSION: u32 = 1;
    const AGGREGATES: &'static [&'static str] = &[ListState::TYPE, TodoState::TYPE];

    type State = Archiving;
    type Command = ListStep;

    fn react(
        event: &Envelope,
        state: &mut State<'_, Archiving, ListStep>,
    ) -> Result<Reaction<ListStep>, FoldError> {
        let Some(id) = list_of(event)? else {
            return Ok(Reaction::nothing());
        };
        let key = format!("list/{id}");
        let before = state.get(&key)?.and_then(Archiving::list);
        let before = before.unwrap_or_default();
        let mut list = before;
        let mut is_undone = false;
        if event.stream.aggregate_type == TodoState::TYPE {
            count(event, &mut list, state)?;
        } else {
            list.sequence = Some(event.sequence);
            match decode::<ListState>(event)?.1 {
                OwnedEvent::Own(ListEvent::Archived) => {
                    list.archived = true;
                    is_undone = is_of_this(event) && !list.is_done();
                }
                OwnedEvent::Own(ListEvent::Restored) => list.archived = false,
                OwnedEvent::Own(ListEvent::Created { .. } | ListEvent::Renamed { .. })
                | OwnedEvent::Ownership(_) => {}
            }
        }
        list.waits = list.is_done() && !list.archived;
        state.put(&key, Archiving::List(list))?;
        let timer = id.to_string();
        let at = ListAt {
            list: id,
            sequence: list.sequence,
        };
        let mut reaction = Reaction::nothing();
        if is_undone {
            reaction = reaction.and(ListStep::Restore(at));
        }
        if list.waits {
            reaction = reaction.and_later(timer, event.created_at, ListStep::Archive(at));
        } else if before.waits {
            reaction = reaction.and_never(timer);
        }
        Ok(reaction)
    }
}

impl Executor<ListStep> for ListService {
    async fn execute(&self, step: &ListStep, context: &CommandContext) -> Result<(), NotExecuted> {
        let (at, command) = match step {
            ListStep::Archive(at) => (*at, ListCommand::Archive),
            ListStep::Restore(at) => (*at, ListCommand::Restore),
        };
        let context = CommandContext {
            expected: at.sequence,
            ..context.clone()
        };
        match self.execute(at.list, &command, &context).await {
            Ok(_) => Ok(()),
            // Another caller has changed the list first.
            Err(error @ CommandError::Unexpected { .. }) => {
                Err(NotExecuted::Refused(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The list that an event belongs to; `None` for the shared list.
fn list_of(event: &Envelope) -> Result<Option<ListId>, FoldError> {
    let list = parent_of::<TodoState>(event);
    let list = list.filter(|_| event.stream.aggregate_type == TodoState::TYPE);
    let list = list.unwrap_or_else(|| event.stream.clone());
    let id: Result<ListId, _> = list.aggregate_id.parse();
    let id = id.map_err(|error| FoldError::Senseless(format!("{list}: {error}")))?;
    Ok((!id.is_shared()).then_some(id))
}

/// Returns true if a step of this process manager has caused an event.
fn is_of_this(event: &Envelope) -> bool {
    let step = event.metadata.origin.step.as_ref();
    let step = step.and_then(|step| step.parse::<StepId>().ok());
    step.is_some_and(|step| step.process() == ArchiveDoneLists::NAME)
}

/// Updates the counts of a list after an event of one of its todos.
fn count(
    event: &Envelope,
    list: &mut ListProgress,
    state: &mut State<'_, Archiving, ListStep>,
) -> Result<(), FoldError> {
    let (id, happened) = decode::<TodoState>(event)?;
    let key = format!("todo/{id}");
    let before = state.get(&key)?.and_then(Archiving::completed);
    let after = match happened {
        TodoEvent::Created { .. } | TodoEvent::Reopened => Some(false),
        TodoEvent::Completed => Some(true),
        TodoEvent::Renamed { .. } => before,
        TodoEvent::Deleted => None,
    };
    if let Some(completed) = before {
        let count = list.count(completed);
        *count = count.checked_sub(1).ok_or_else(|| {
            FoldError::Senseless(format!(
                "the counts of the list do not include the todo {id}"
            ))
        })?;
    }
    match after {
        Some(completed) => {
            *list.count(completed) += 1;
            state.put(&key, Archiving::Todo { completed })
        }
        None => state.remove(&key),
    }
}

impl Archiving {
    fn list(&self) -> Option<ListProgress> {
        match self {
            Self::List(list) => Some(*list),
            Self::Todo { .. } => None,
        }
    }

    fn completed(&self) -> Option<bool> {
        match self {
            Self::Todo { completed } => Some(*completed),
            Self::List(_) => None,
        }
    }
}

impl ListProgress {
    /// Returns true if the list has todos and all of them are completed.
    fn is_done(self) -> bool {
        self.active == 0 && self.completed > 0
    }

    fn count(&mut self, completed: bool) -> &mut u64 {
        if completed {
            &mut self.completed
        } else {
            &mut self.active
        }
    }
}

#[cfg(test)]
mod tests;
