//! Appends to a log that holds a lot already.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_adapters::sqlite::SqliteEventStore;
use ironstar_domain::{Aggregate, DomainEvent, ListId, TodoEvent, TodoState};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Sequence, StreamAppend,
    StreamId,
};
use uuid::Uuid;

use crate::commands::App;

/// How many append at the same time.
const CALLERS: u64 = 64;

/// How the log is filled: by so many at a time, so many todos in an append.
const FILLERS: u64 = 4;
const TODOS: u64 = 256;

/// How much is written until the next word on how far it has got.
const STEP: u64 = 1_000_000;

/// A log that holds so many events, or somewhat more.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    events: u64,
}

impl Log {
    /// One that is empty goes away with its folder; a long one is kept, and
    /// grows with each run.
    pub(crate) fn new(kept: &Path, path: &Path, events: u64) -> Self {
        let path = if events == 0 {
            path.to_owned()
        } else {
            kept.join(format!("log-{events}.db"))
        };
        Self { path, events }
    }

    /// How many events are appended a second, one in an append.
    pub(crate) async fn measure(&self, time: Duration) -> anyhow::Result<f64> {
        let app = self.open().await?;
        append(&app.store, time / 4).await?;
        let start = Instant::now();
        let events = append(&app.store, time).await?;
        let rate = events as f64 / start.elapsed().as_secs_f64();
        app.close().await?;
        Ok(rate)
    }

    async fn open(&self) -> anyhow::Result<App> {
        let mut app = App::open(&self.path).await?;
        if app.store.head().await?.get() > self.events * 3 / 2 {
            // It has outgrown what it stands for.
            app.close().await?;
            fs::remove_file(&self.path)?;
            app = App::open(&self.path).await?;
        }
        self.fill(&app.store).await?;
        Ok(app)
    }

    async fn fill(&self, store: &SqliteEventStore) -> anyhow::Result<()> {
        let mut length = store.head().await?.get();
        while length < self.events {
            let step = STEP.min(self.events - length);
            let fillers = (0..FILLERS).map(|_| fill(store, step.div_ceil(FILLERS)));
            try_join_all(fillers).await?;
            length = store.head().await?.get();
            eprintln!("the log holds {length} events of {}", self.events);
        }
        Ok(())
    }
}

/// Appends so many events or somewhat more, of many todos at a time.
async fn fill(store: &SqliteEventStore, events: u64) -> anyhow::Result<()> {
    for first in (0..events).step_by(2 * TODOS as usize) {
        let streams = (first..first + TODOS)
            .map(|number| {
                let events = vec![created(number)?, event(&TodoEvent::Completed)?];
                Ok(StreamAppend {
                    stream: new_stream(),
                    expected: ExpectedSequence::NoStream,
                    events,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let append = Append {
            streams,
            command: None,
        };
        store.append(append).await?;
    }
    Ok(())
}

/// Each caller creates a todo and completes it, over and over.
async fn append(store: &SqliteEventStore, time: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    let callers = (0..CALLERS).map(|_| async {
        let mut events = 0;
        while Instant::now() < end {
            let stream = new_stream();
            let none = ExpectedSequence::NoStream;
            let append = Append::to_stream(stream.clone(), none, vec![created(events)?]);
            store.append(append).await?;
            let first = ExpectedSequence::Exact(Sequence::FIRST);
            let append = Append::to_stream(stream, first, vec![event(&TodoEvent::Completed)?]);
            store.append(append).await?;
            events += 2;
        }
        anyhow::Ok(events)
    });
    Ok(try_join_all(callers).await?.into_iter().sum())
}

fn new_stream() -> StreamId {
    StreamId::new(TodoState::TYPE, Uuid::now_v7().to_string())
}

fn created(number: u64) -> anyhow::Result<NewEvent> {
    let text = format!("Todo number {number}").parse()?;
    let list = ListId::SHARED;
    event(&TodoEvent::Created { text, list })
}

fn event(event: &TodoEvent) -> anyhow::Result<NewEvent> {
    Ok(NewEvent {
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: Payload::of(event)?,
        metadata: Metadata::new(Uuid::now_v7()),
    })
}
