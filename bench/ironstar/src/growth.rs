//! Appends to a log that is long already.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_adapters::sqlite::SqliteEventStore;
use ironstar_domain::{Aggregate, DomainEvent};
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoEvent, TodoState};
use ironstar_ports::{
    Append, EventStore, ExpectedSequence, Metadata, NewEvent, Payload, Sequence, StreamAppend,
    StreamId,
};
use uuid::Uuid;

use crate::commands::App;

/// The number of concurrent callers.
const CALLERS: u64 = 64;

/// The number of concurrent fillers of the log, and of todos in each of their appends.
const FILLERS: u64 = 4;
const TODOS: u64 = 256;

/// The number of events between two progress messages.
const STEP: u64 = 1_000_000;

/// A log with at least this many events.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    events: u64,
}

impl Log {
    /// A log. An empty one is removed with its folder. A long one is kept, and grows with
    /// each run.
    pub(crate) fn new(kept: &Path, path: &Path, events: u64) -> Self {
        let path = if events == 0 {
            path.to_owned()
        } else {
            kept.join(format!("log-{events}.db"))
        };
        Self { path, events }
    }

    /// Returns the number of events that are appended per second, one in each append.
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
            // The log is too long for the size that it stands for.
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

/// Appends at least this many events, of many todos at a time.
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

/// Each caller creates a todo and completes it, over and over again. Returns the number of
/// events.
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
