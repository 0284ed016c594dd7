//! Examines a history of concurrent commands on remarks and their answers: could the commands
//! have run one after the other?
//!
//! The log is an order of all commands with an effect, so no order has to be searched for. A
//! history is linearizable (<https://doi.org/10.1145/78969.78972>) under three conditions.
//! The answers must agree with the order of the log. That order must agree with real time.
//! And for each command without an effect, there must be a moment at which its answer was
//! right. All remarks share the log, so they are examined together.

use std::collections::HashMap;

use ironstar_domain::Aggregate;
use ironstar_fixtures::remark::{RemarkCommand, RemarkError, RemarkEvent, RemarkState};
use uuid::Uuid;

/// A command with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) id: Uuid,
    pub(crate) command: RemarkCommand,
    /// The sequence that the client expected.
    pub(crate) expected: Option<u64>,
    /// The times of the command and the answer, on a clock that all clients share.
    pub(crate) invoked: u64,
    pub(crate) returned: u64,
    pub(crate) outcome: Outcome,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The command was accepted. The remark's last event has this sequence and position.
    Accepted { sequence: u64, position: u64 },
    /// The aggregate refused the command.
    Refused(RemarkError),
    /// The command was refused, because the remark was at this sequence.
    Unexpected { actual: Option<u64> },
    /// The node gave up, which has no meaning for the history.
    Contended,
}

/// An event in the log.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: Uuid,
    pub(crate) event: RemarkEvent,
    /// The index of the operation that caused the event.
    pub(crate) author: usize,
}

/// Returns all contradictions between a history and the order of the log. The events of the
/// log have the positions from 1.
pub(crate) fn examine(log: &[Stored], operations: &[Operation]) -> Vec<String> {
    let mut remarks: HashMap<Uuid, Remark> = HashMap::new();
    let mut authors: HashMap<usize, u64> = HashMap::new();
    let mut violations = Vec::new();
    for (stored, position) in log.iter().zip(1..) {
        let remark = remarks.entry(stored.id).or_default();
        let author = &operations[stored.author];
        if let Some(why) = remark.disputes(stored, author, position) {
            violations.push(format!("{author:?}: {why}"));
        }
        if let Some(other) = authors.insert(stored.author, position) {
            violations.push(format!("{author:?} happened at {other} and at {position}"));
        }
        remark.push(&stored.event, position);
    }
    let bounds = Bounds::of(log, operations);
    for (index, operation) in operations.iter().enumerate() {
        let least = bounds.at_least(operation.invoked);
        let misplaced = match authors.get(&index) {
            Some(position) => (*position <= least).then_some(
                "the log has it before an operation that was answered before this one was sent",
            ),
            None => {
                let most = bounds.at_most(operation.returned).max(least);
                let empty = Remark::default();
                let remark = remarks.get(&operation.id).unwrap_or(&empty);
                let lengths = remark.length_at(least)..=remark.length_at(most);
                let fits = lengths
                    .into_iter()
                    .any(|length| remark.answers(operation, length));
                (!fits).then_some("there was no moment for that answer")
            }
        };
        if let Some(why) = misplaced {
            violations.push(format!("{operation:?}: {why}"));
        }
    }
    violations
}

/// The history of a remark.
#[derive(Debug, Default)]
struct Remark {
    /// The states after the first event, after the second, and so on.
    states: Vec<RemarkState>,
    positions: Vec<u64>,
}

impl Remark {
    /// The state after this many events.
    fn state(&self, length: usize) -> RemarkState {
        let last = length.checked_sub(1).map(|last| self.states[last].clone());
        last.unwrap_or_default()
    }

    fn push(&mut self, event: &RemarkEvent, position: u64) {
        let state = self.state(self.states.len());
        self.states.push(state.apply(event));
        self.positions.push(position);
    }

    /// The number of the remark's events up to a position.
    fn length_at(&self, position: u64) -> usize {
        self.positions.partition_point(|at| *at <= position)
    }

    /// Returns an objection if the event cannot be the next one, or not the event of its
    /// author.
    fn disputes(&self, stored: &Stored, author: &Operation, position: u64) -> Option<String> {
        let length = self.states.len();
        let decision = self.state(length).handle(&author.command);
        if decision != Ok(vec![stored.event.clone()]) || author.id != stored.id {
            return Some(format!(
                "after {length} events, {:?} is wrong",
                stored.event
            ));
        }
        if author
            .expected
            .is_some_and(|expected| expected + 1 != length as u64)
        {
            return Some(format!("it ran after {length} events"));
        }
        let answer = Outcome::Accepted {
            sequence: length as u64,
            position,
        };
        (author.outcome != answer).then(|| format!("it happened at {position}"))
    }

    /// Returns true if an operation without an effect would get this answer after this many
    /// events.
    fn answers(&self, operation: &Operation, length: usize) -> bool {
        let last = length.checked_sub(1);
        let is_expected = operation
            .expected
            .is_none_or(|expected| last.is_some_and(|last| last as u64 == expected));
        let decision = self.state(length).handle(&operation.command);
        match &operation.outcome {
            Outcome::Accepted { sequence, position } => {
                let found = last.map(|last| (last as u64, self.positions[last]));
                is_expected && decision == Ok(vec![]) && found == Some((*sequence, *position))
            }
            Outcome::Refused(error) => {
                (is_expected || length == 0) && decision.as_ref() == Err(error)
            }
            Outcome::Unexpected { actual } => {
                !is_expected && last.map(|last| last as u64) == *actual
            }
            Outcome::Contended => true,
        }
    }
}

/// For each time, the least and the largest part of the log that can have existed.
struct Bounds {
    /// Times, each with the highest position that was answered by then.
    answered: Vec<(u64, u64)>,
    /// For each position, from 1: the latest time at which one of the events up to it was
    /// requested.
    asked: Vec<u64>,
}

impl Bounds {
    fn of(log: &[Stored], operations: &[Operation]) -> Self {
        let mut answered: Vec<(u64, u64)> = operations
            .iter()
            .filter_map(|operation| match operation.outcome {
                Outcome::Accepted { position, .. } => Some((operation.returned, position)),
                Outcome::Refused(_) | Outcome::Unexpected { .. } | Outcome::Contended => None,
            })
            .collect();
        answered.sort_unstable();
        let mut highest = 0;
        for (_, position) in &mut answered {
            highest = highest.max(*position);
            *position = highest;
        }
        let mut latest = 0;
        let asked = log
            .iter()
            .map(|stored| {
                latest = latest.max(operations[stored.author].invoked);
                latest
            })
            .collect();
        Self { answered, asked }
    }

    fn at_least(&self, time: u64) -> u64 {
        let count = self
            .answered
            .partition_point(|(returned, _)| *returned < time);
        count.checked_sub(1).map_or(0, |last| self.answered[last].1)
    }

    fn at_most(&self, time: u64) -> u64 {
        self.asked.partition_point(|asked| *asked < time) as u64
    }
}

#[cfg(test)]
mod tests;
