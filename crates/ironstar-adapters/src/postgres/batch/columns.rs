//! The rows of a batch, column by column: PostgreSQL takes each column as an array.

use std::collections::HashMap;

use ironstar_ports::{Sequence, StreamId};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;

use crate::log::{NewCommand, NumberedEvent, integer};

/// The function call of an append.
pub(super) type Call<'q> = QueryScalar<'q, Postgres, i64, PgArguments>;

/// The columns of events, and the streams that get events.
#[derive(Default)]
pub(super) struct Events<'a> {
    streams: Vec<&'a StreamId>,
    /// The sequence of the first event of each of the streams.
    firsts: Vec<i64>,
    /// The stream of each event.
    of_events: Vec<&'a StreamId>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    versions: Vec<i32>,
    payloads: Vec<&'a str>,
    metadatas: Vec<String>,
}

/// The columns of commands, and the earlier keys that must not be known.
#[derive(Default)]
pub(super) struct Commands<'a> {
    keys: Vec<&'a str>,
    requests: Vec<&'a str>,
    answers: Vec<String>,
    earlier_keys: Vec<&'a str>,
}

impl<'a> Events<'a> {
    pub(super) fn of(events: &[NumberedEvent<'a>]) -> Result<Self, serde_json::Error> {
        let mut columns = Self::default();
        let mut firsts: HashMap<&StreamId, Sequence> = HashMap::new();
        for numbered in events {
            let NumberedEvent {
                stream,
                sequence,
                event,
                ..
            } = *numbered;
            firsts.entry(stream).or_insert(sequence);
            columns.of_events.push(stream);
            columns.sequences.push(integer(sequence.get()));
            columns.event_types.push(&event.event_type);
            columns.versions.push(event.schema_version.cast_signed());
            columns.payloads.push(event.payload.as_str());
            let metadata = serde_json::to_string(&event.metadata)?;
            columns.metadatas.push(metadata);
        }
        for (stream, first) in firsts {
            columns.streams.push(stream);
            columns.firsts.push(integer(first.get()));
        }
        Ok(columns)
    }

    pub(super) fn bind(self, call: Call<'a>) -> Call<'a> {
        call.bind(types(&self.streams))
            .bind(ids(&self.streams))
            .bind(self.firsts)
            .bind(types(&self.of_events))
            .bind(ids(&self.of_events))
            .bind(self.sequences)
            .bind(self.event_types)
            .bind(self.versions)
            .bind(self.payloads)
            .bind(self.metadatas)
    }
}

impl<'a> Commands<'a> {
    pub(super) fn of(commands: &[NewCommand<'a>]) -> Result<Self, serde_json::Error> {
        let mut columns = Self::default();
        for command in commands {
            columns.keys.push(command.key.as_str());
            columns.requests.push(&command.outcome.request);
            let answer = serde_json::to_string(&command.outcome.appended)?;
            columns.answers.push(answer);
            let earlier = command.earlier.iter().map(|earlier| earlier.key.as_str());
            columns.earlier_keys.extend(earlier);
        }
        Ok(columns)
    }

    pub(super) fn bind(self, call: Call<'a>) -> Call<'a> {
        call.bind(self.keys)
            .bind(self.requests)
            .bind(self.answers)
            .bind(self.earlier_keys)
    }
}

/// The types of streams.
pub(super) fn types<'a>(streams: &[&'a StreamId]) -> Vec<&'a str> {
    let types = streams.iter().map(|stream| &*stream.aggregate_type);
    types.collect()
}

/// The ids of the aggregates of streams.
pub(super) fn ids<'a>(streams: &[&'a StreamId]) -> Vec<&'a str> {
    let ids = streams.iter().map(|stream| &*stream.aggregate_id);
    ids.collect()
}
