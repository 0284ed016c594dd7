//! The laws that hold for every aggregate, under any commands.

use std::fmt::Debug;

use serde_json::Value;

use super::report::{Report, chain, told};
use crate::schema::{read, schema_of};
use crate::{Aggregate, DomainError, DomainEvent};

/// Sends commands to a new aggregate in order, and checks the laws of all aggregates:
///
/// - A command is decided in the same way every time, and a refusal's code is in kebab case.
/// - Every decided event changes the state, in the same way every time.
/// - An event's type is one of its event types and the `type` tag of its payload. Its version is
///   the newest, and the stored event reads back as the same event.
/// - Every state reads back from JSON as it was, as snapshots need.
/// - A replay of the whole history gives the same state.
///
/// # Panics
///
/// If a law is broken. The message names the law, and the history that breaks it.
#[track_caller]
pub fn check_laws<A: Aggregate>(commands: impl IntoIterator<Item = A::Command>) {
    if let Err(report) = live::<A>(commands) {
        report.fail();
    }
}

/// Runs an aggregate through the commands, and checks all laws.
fn live<A: Aggregate>(commands: impl IntoIterator<Item = A::Command>) -> Result<(), Report> {
    let mut state = A::default();
    let mut history = Vec::new();
    state_reads_back(&state)?;
    for command in commands {
        let in_context =
            |report: Report, history: &[A::Event]| report.given(history).when(&command);
        let events = decide(&state, &command).map_err(|report| in_context(report, &history))?;
        for event in events {
            let next = event_reads_back(&event).and_then(|()| step(state, &event));
            state = next.map_err(|report| in_context(report, &history))?;
            history.push(event);
        }
    }
    let replayed = A::fold(&history);
    if replayed == state {
        return Ok(());
    }
    let report = broken("a replay of the history gives the same state");
    Err(report
        .given(&history)
        .difference("replayed", &pretty(&state), &pretty(&replayed)))
}

/// Returns the events of a decision: none, if the command is refused.
fn decide<A: Aggregate>(state: &A, command: &A::Command) -> Result<Vec<A::Event>, Report> {
    let outcome = state.handle(command);
    let again = state.handle(command);
    if outcome != again {
        let report = broken("a command is decided in the same way every time");
        return Err(report.difference("decided", &told(&outcome), &told(&again)));
    }
    if let Err(error) = &outcome {
        let code = error.refusal().code;
        if !is_kebab_case(code) {
            let report = broken("a refusal's code is in kebab case");
            return Err(report.finding("code", code));
        }
    }
    Ok(outcome.unwrap_or_default())
}

/// Returns the state after a decided event.
fn step<A: Aggregate>(state: A, event: &A::Event) -> Result<A, Report> {
    let next = state.clone().apply(event);
    let again = state.clone().apply(event);
    let event = pretty(event);
    if next != again {
        let report = broken("an event changes the state in the same way every time");
        let report = report.finding("event", event);
        return Err(report.difference("state", &pretty(&next), &pretty(&again)));
    }
    if next == state {
        let report = broken("every decided event changes the state");
        return Err(report
            .finding("event", event)
            .finding("state", pretty(&state)));
    }
    state_reads_back(&next)?;
    Ok(next)
}

fn state_reads_back<A: Aggregate>(state: &A) -> Result<(), Report> {
    let report = || broken("a state reads back from JSON as it was");
    let json =
        serde_json::to_string(state).map_err(|error| report().finding("not written", error))?;
    let read: A = serde_json::from_str(&json).map_err(|error| {
        report()
            .finding("written", &json)
            .finding("not read", error)
    })?;
    if read == *state {
        return Ok(());
    }
    let report = report().finding("written", json);
    Err(report.difference("read", &pretty(state), &pretty(&read)))
}

fn event_reads_back<E: DomainEvent>(event: &E) -> Result<(), Report> {
    let (event_type, version) = (event.event_type(), event.schema_version());
    let schema = schema_of::<E>(event_type).ok_or_else(|| {
        broken("an event's type is one of its event types").finding("type", event_type)
    })?;
    if version != schema.version() {
        let report = broken("an event's version is the newest").finding("type", event_type);
        let (newest, version) = (schema.version().to_string(), version.to_string());
        return Err(report.difference("version", &newest, &version));
    }

    let report = || broken("a stored event reads back as the same event");
    let payload: Value =
        serde_json::to_value(event).map_err(|error| report().finding("not written", error))?;
    if payload["type"] != event_type {
        let report = broken("an event's type is the `type` tag of its payload");
        return Err(report
            .finding("type", event_type)
            .finding("payload", payload));
    }
    let read: E = read(event_type, version, &payload.to_string()).map_err(|error| {
        report()
            .finding("stored", &payload)
            .finding("not read", chain(&error))
    })?;
    if read == *event {
        return Ok(());
    }
    let report = report().finding("stored", payload);
    Err(report.difference("read", &pretty(event), &pretty(&read)))
}

fn broken(law: &str) -> Report {
    Report::new(format_args!("this does not hold: {law}"))
}

fn is_kebab_case(code: &str) -> bool {
    let is_word = |word: &str| {
        let mut characters = word.bytes();
        !word.is_empty() && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    code.split('-').all(is_word)
}

fn pretty(value: &impl Debug) -> String {
    format!("{value:#?}")
}

#[cfg(test)]
mod tests;
