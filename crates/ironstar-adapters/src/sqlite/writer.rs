//! The one task that writes.
//!
//! It takes all appends that are waiting, checks each by itself, and commits
//! them together: one transaction, one sync, then everyone's answer. A caller
//! that goes away changes nothing about the commit.

use std::collections::HashMap;
use std::sync::Arc;

use ironstar_ports::{
    Append, AppendError, Appended, Clock, Position, Sequence, StoreError, StreamId,
};
use serde::Serialize;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use time::OffsetDateTime;
use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use tokio::sync::{mpsc, oneshot};

/// How many appends may wait for the writer; further callers wait for a place.
const QUEUE: usize = 1_024;

/// How many appends are committed together at the most.
const BATCH: usize = 256;

/// UTC to the millisecond, as RFC 3339 has it.
const CREATED_AT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The last sequence of each stream: the batch's streams, given as JSON pairs
/// of type and id.
const LAST_SEQUENCES: &str = "
    SELECT stream.key, (
        SELECT max(sequence) FROM events
        WHERE aggregate_type = stream.value ->> 0 AND aggregate_id = stream.value ->> 1
    )
    FROM json_each(?1) AS stream";

/// Inserts a batch's rows, given as JSON arrays in column order.
const INSERT: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
           value ->> 6, value ->> 7, value ->> 8
    FROM json_each(?1)";

/// A handle to the task.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Request>,
}

#[derive(Debug)]
enum Request {
    Append {
        append: Append,
        answer: oneshot::Sender<Result<Appended, AppendError>>,
    },
    Close {
        answer: oneshot::Sender<Result<(), StoreError>>,
    },
}

/// An append that waits for its answer.
#[derive(Debug)]
struct Waiting {
    append: Append,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// One row to be inserted, in column order.
#[derive(Debug, Serialize)]
struct Row<'a>(
    Position,
    &'a str,
    &'a str,
    Sequence,
    &'a str,
    u32,
    &'a str,
    String,
    &'a str,
);

impl Writer {
    /// Starts the task on the connection that writes.
    pub(super) fn start(connection: SqliteConnection, clock: Arc<dyn Clock>) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(run(connection, requests, clock));
        Self { queue }
    }

    /// Has events appended.
    pub(super) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Empty);
        }
        let (answer, answered) = oneshot::channel();
        self.send(Request::Append { append, answer }).await?;
        answered.await.map_err(|_| closed())?
    }

    /// Ends the task, once it has committed what was asked before.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Close { answer }).await?;
        answered.await.map_err(|_| closed())?
    }

    async fn send(&self, request: Request) -> Result<(), StoreError> {
        self.queue.send(request).await.map_err(|_| closed())
    }
}

fn closed() -> StoreError {
    StoreError::unavailable("the event store has been closed")
}

async fn run(
    mut connection: SqliteConnection,
    mut requests: mpsc::Receiver<Request>,
    clock: Arc<dyn Clock>,
) {
    let mut taken = Vec::with_capacity(BATCH);
    while requests.recv_many(&mut taken, BATCH).await > 0 {
        let mut batch = Vec::with_capacity(taken.len());
        let mut close = None;
        for request in taken.drain(..) {
            match request {
                Request::Append { append, answer } => batch.push(Waiting { append, answer }),
                Request::Close { answer } => close = Some(answer),
            }
        }
        commit(&mut connection, batch, clock.now()).await;
        if let Some(answer) = close {
            let closed = connection.close().await.map_err(StoreError::unavailable);
            // Whoever asked may have stopped waiting; the file is closed.
            let _ = answer.send(closed);
            return;
        }
    }
}

/// Commits a batch and answers everyone in it.
async fn commit(connection: &mut SqliteConnection, batch: Vec<Waiting>, now: OffsetDateTime) {
    if batch.is_empty() {
        return;
    }
    let outcome = transact(connection, &batch, now).await;
    let failure = match outcome {
        Ok(answers) => {
            for (waiting, answer) in batch.into_iter().zip(answers) {
                // A caller that went away needs no answer.
                let _ = waiting.answer.send(answer);
            }
            return;
        }
        Err(failure) => Arc::new(failure),
    };
    tracing::error!(error = %failure, appends = batch.len(), "a batch of appends failed");
    if let Err(error) = sqlx::query("ROLLBACK").execute(&mut *connection).await {
        // Expected when SQLite has rolled back by itself, as on a full disk.
        tracing::debug!(%error, "there was nothing to roll back");
    }
    for waiting in batch {
        let answer = Err(StoreError::unavailable(Arc::clone(&failure)).into());
        // A caller that went away needs no answer.
        let _ = waiting.answer.send(answer);
    }
}

/// Everyone's answer, in order, once what was accepted is on disk.
async fn transact(
    connection: &mut SqliteConnection,
    batch: &[Waiting],
    now: OffsetDateTime,
) -> Result<Vec<Result<Appended, AppendError>>, BatchError> {
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *connection)
        .await?;
    let mut numbering = Numbering::read(connection, batch).await?;
    let created_at = now.format(CREATED_AT)?;
    let mut rows = Vec::new();
    let answers = batch
        .iter()
        .map(|waiting| numbering.place(&waiting.append, &created_at, &mut rows))
        .collect::<Result<Vec<_>, _>>()?;
    if rows.is_empty() {
        sqlx::query("ROLLBACK").execute(connection).await?;
        return Ok(answers);
    }
    sqlx::query(INSERT)
        .bind(serde_json::to_string(&rows)?)
        .execute(&mut *connection)
        .await?;
    sqlx::query("COMMIT").execute(connection).await?;
    Ok(answers)
}

#[derive(Debug, thiserror::Error)]
enum BatchError {
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Time(#[from] time::error::Format),
}

/// Where the log and the batch's streams are, as the batch moves them on.
#[derive(Debug)]
struct Numbering<'a> {
    head: Position,
    last: HashMap<&'a StreamId, Option<Sequence>>,
}

impl<'a> Numbering<'a> {
    async fn read(
        connection: &mut SqliteConnection,
        batch: &'a [Waiting],
    ) -> Result<Self, BatchError> {
        let head: i64 = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM events")
            .fetch_one(&mut *connection)
            .await?;
        let mut last: HashMap<&StreamId, Option<Sequence>> = batch
            .iter()
            .map(|waiting| (&waiting.append.stream, None))
            .collect();
        let streams: Vec<&StreamId> = last.keys().copied().collect();
        let pairs: Vec<(&str, &str)> = streams
            .iter()
            .map(|stream| (stream.aggregate_type.as_str(), stream.aggregate_id.as_str()))
            .collect();
        let found: Vec<(i64, Option<i64>)> = sqlx::query_as(LAST_SEQUENCES)
            .bind(serde_json::to_string(&pairs)?)
            .fetch_all(connection)
            .await?;
        for (index, sequence) in found {
            let stream = usize::try_from(index)
                .ok()
                .and_then(|index| streams.get(index));
            if let Some(stream) = stream {
                last.insert(
                    stream,
                    sequence.map(|number| Sequence::new(number.unsigned_abs())),
                );
            }
        }
        Ok(Self {
            head: Position::new(head.unsigned_abs()),
            last,
        })
    }

    /// Numbers an append's events and adds their rows, or tells why not.
    fn place(
        &mut self,
        append: &'a Append,
        created_at: &'a str,
        rows: &mut Vec<Row<'a>>,
    ) -> Result<Result<Appended, AppendError>, BatchError> {
        let actual = self.last.get(&append.stream).copied().flatten();
        if !append.expected.admits(actual) {
            return Ok(Err(AppendError::Conflict {
                stream: append.stream.clone(),
                expected: append.expected,
                actual,
            }));
        }
        let mut last = actual;
        for event in &append.events {
            let sequence = last.map_or(Sequence::FIRST, Sequence::next);
            self.head = self.head.next();
            rows.push(Row(
                self.head,
                &append.stream.aggregate_type,
                &append.stream.aggregate_id,
                sequence,
                &event.event_type,
                event.schema_version,
                event.payload.as_str(),
                serde_json::to_string(&event.metadata)?,
                created_at,
            ));
            last = Some(sequence);
        }
        self.last.insert(&append.stream, last);
        Ok(last
            .map(|sequence| Appended {
                sequence,
                position: self.head,
            })
            .ok_or(AppendError::Empty))
    }
}
