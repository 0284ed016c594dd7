//! The rules for steps of process managers, and for the lists that a process manager archives
//! as soon as all their todos are completed.

use std::collections::{BTreeMap, BTreeSet};

use ironstar_app::decode;
use ironstar_domain::list::{ListEvent, ListId, ListState};
use ironstar_domain::todo::{TodoEvent, TodoId, TodoState};
use ironstar_domain::{Aggregate, StepId, StepState};
use ironstar_ports::{Envelope, Position};

/// The state of processes according to the log so far.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    lists: BTreeMap<ListId, ListState>,
    todos: BTreeMap<TodoId, TodoState>,
    /// The todos of each list. In this check, no todo is deleted.
    of_lists: BTreeMap<ListId, BTreeSet<TodoId>>,
    over: BTreeSet<StepId>,
    /// Lists that had unfinished todos when they were archived.
    undone: BTreeSet<ListId>,
    /// A step whose effects are in the log, but that is not recorded yet, with the position
    /// of its last effect.
    done: Option<(StepId, Position)>,
}

/// Returns the step that caused an event, if there is one.
pub(crate) fn step_of(event: &Envelope) -> Option<StepId> {
    event.metadata.origin.step.as_ref()?.parse().ok()
}

impl Processes {
    /// Processes an event. Returns all violations of the rules.
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
                violations.push(format!("the step {id} is recorded again at {position}"));
            }
            return Ok(violations);
        }
        violations.extend(self.end());
        self.done = step_of(event).map(|step| (step, position));
        if aggregate_type == ListState::TYPE {
            let (id, event) = decode::<ListState>(event)?;
            let is_done = self.is_done(id);
            let before = self.lists.entry(id).or_default();
            let after = before.clone().apply(&event);
            if *before == after {
                violations.push(format!("{event:?} at {position} cannot follow {before:?}"));
            }
            *before = after;
            self.undone.remove(&id);
            if event == ListEvent::Archived && !is_done {
                self.undone.insert(id);
            }
        } else {
            let (id, event) = decode::<TodoState>(event)?;
            if let TodoEvent::Created { list, .. } = &event
                && !list.is_shared()
            {
                self.of_lists.entry(*list).or_default().insert(id);
            }
            let state = self.todos.entry(id).or_default();
            *state = std::mem::take(state).apply(&event);
        }
        Ok(violations)
    }

    /// Returns the violation if the log ends here.
    pub(crate) fn end(&self) -> Option<String> {
        let (step, at) = self.done.as_ref()?;
        Some(format!(
            "the event at {at} is not followed by the record of its step {step}"
        ))
    }

    /// Returns the remaining work: lists that are done but not archived, and lists that were
    /// archived although they were not done, and still are.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let undone = self.undone.iter();
        let undone = undone.map(|id| format!("the list {id} was archived, but was not done"));
        let is_open = |list: &ListState| matches!(list, ListState::Open(_));
        let open = self.lists.iter().filter(|(_, list)| is_open(list));
        let done = open.filter(|(id, _)| self.is_done(**id));
        let done = done.map(|(id, _)| format!("the list {id} is done, but not archived"));
        undone.chain(done).collect()
    }

    /// Returns true if a list has todos, and all of them are completed.
    fn is_done(&self, list: ListId) -> bool {
        let states = self.of_lists.get(&list).into_iter().flatten();
        let states: Vec<&TodoState> = states.filter_map(|todo| self.todos.get(todo)).collect();
        let is_completed = |todo: &&TodoState| matches!(todo, TodoState::Completed { .. });
        !states.is_empty() && states.iter().all(is_completed)
    }

    /// The number of recorded steps.
    pub(crate) fn over(&self) -> u64 {
        self.over.len() as u64
    }
}
