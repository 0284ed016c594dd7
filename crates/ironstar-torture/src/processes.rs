//! What must be true of the steps of process managers, and of the lists that are
//! archived by one as soon as they are done.

use std::collections::{BTreeMap, BTreeSet};

use ironstar_app::decode;
use ironstar_domain::{Aggregate, ListId, ListState, StepId, StepState, TodoId, TodoState};
use ironstar_ports::{Envelope, Position};

/// What a log says of processes so far.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    lists: BTreeMap<ListId, ListState>,
    todos: BTreeMap<TodoId, TodoState>,
    over: BTreeSet<StepId>,
    /// What was done because of a step that is not over yet, and where.
    done: Option<(StepId, Position)>,
}

/// The step that an event happened because of, if it did because of one.
pub(crate) fn step_of(event: &Envelope) -> Option<StepId> {
    event.metadata.origin.causation_id.as_ref()?.parse().ok()
}

impl Processes {
    /// Sees an event. Tells everything that is wrong with it.
    pub(crate) fn see(&mut self, event: &Envelope) -> anyhow::Result<Vec<String>> {
        let mut violations = Vec::new();
        let position = event.position;
        let aggregate_type = &*event.stream.aggregate_type;
        if aggregate_type == StepState::TYPE {
            let (id, _) = decode::<StepState>(event)?;
            let is_refused = event.event_type == "refused";
            match self.done.take() {
                Some((done, _)) if done == id && !is_refused => {}
                None if is_refused => {}
                other => violations.push(format!(
                    "the step {id} is {} at {position}, after {other:?}",
                    event.event_type
                )),
            }
            if !self.over.insert(id.clone()) {
                violations.push(format!("the step {id} is over again at {position}"));
            }
            return Ok(violations);
        }
        violations.extend(self.end());
        self.done = step_of(event).map(|step| (step, position));
        if aggregate_type == ListState::TYPE {
            let (id, event) = decode::<ListState>(event)?;
            let before = self.lists.entry(id).or_default();
            let after = before.clone().apply(&event);
            if *before == after {
                violations.push(format!("{event:?} at {position} cannot follow {before:?}"));
            }
            *before = after;
        } else {
            let (id, event) = decode::<TodoState>(event)?;
            let state = self.todos.entry(id).or_default();
            *state = std::mem::take(state).apply(&event);
        }
        Ok(violations)
    }

    /// What is wrong with a log that ends here.
    pub(crate) fn end(&self) -> Option<String> {
        let (step, at) = self.done.as_ref()?;
        Some(format!(
            "what was done at {at} for the step {step} came without it"
        ))
    }

    /// What is still to be done: lists that are not archived although they are
    /// done, or are although they are not.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut active: BTreeMap<ListId, bool> = BTreeMap::new();
        for todo in self.todos.values() {
            let (list, is_active) = match todo {
                TodoState::Active { list, .. } => (list, true),
                TodoState::Completed { list, .. } => (list, false),
                TodoState::NotCreated | TodoState::Deleted => continue,
            };
            *active.entry(*list).or_default() |= is_active;
        }
        let mut unfinished = Vec::new();
        for (id, list) in &self.lists {
            let is_archived = matches!(list, ListState::Archived { .. });
            let is_done = active.get(id).is_some_and(|is_active| !is_active);
            if is_archived && !is_done {
                unfinished.push(format!("the list {id} is archived, and is not done"));
            }
            if is_done && !is_archived {
                unfinished.push(format!("the list {id} is done, and never archived"));
            }
        }
        unfinished
    }

    /// How many steps are over.
    pub(crate) fn over(&self) -> u64 {
        self.over.len() as u64
    }
}
