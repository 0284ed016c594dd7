//! From the log through the feed to folded states, and for comparison a plain scan of the
//! same rows with the same decoding.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use futures::StreamExt;
use futures::future::try_join_all;
use ironstar_app::{EventFeed, FeedOptions, decode};
use ironstar_domain::Aggregate;
use ironstar_domain::todo::{TodoCommand, TodoEvent, TodoId, TodoState};
use ironstar_ports::Position;
use tokio::runtime::Runtime;

use crate::ceiling;
use crate::commands::{App, create};

/// The number of clients that fill the log.
const CLIENTS: u64 = 256;

pub(crate) async fn measure(path: &Path, events: u64) -> anyhow::Result<f64> {
    fill(path, events).await?;
    let app = App::open(path).await?;
    let options = FeedOptions::default();
    let feed = EventFeed::start(app.store.clone(), &*app.bus, options).await?;
    let start = Instant::now();
    let mut states: HashMap<TodoId, TodoState> = HashMap::new();
    let mut last = Position::START;
    let mut log = feed.subscribe(last);
    while last < feed.head() {
        let envelope = log.next().await.context("the feed has ended")??;
        let (id, event) = decode::<TodoState>(&envelope)?;
        let state = states.entry(id).or_default();
        *state = std::mem::take(state).apply(&event);
        last = envelope.position;
    }
    let figure = last.get() as f64 / start.elapsed().as_secs_f64();
    anyhow::ensure!(last.get() >= events && !states.is_empty());
    feed.stop();
    app.close().await?;
    Ok(figure)
}

pub(crate) fn scan(path: &Path, events: u64, runtime: &Runtime) -> anyhow::Result<f64> {
    runtime.block_on(fill(path, events))?;
    let connection = ceiling::open(path)?;
    let start = Instant::now();
    let mut statement =
        connection.prepare("SELECT aggregate_id, payload FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut states: HashMap<TodoId, TodoState> = HashMap::new();
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        let id: TodoId = row.get_ref(0)?.as_str()?.parse()?;
        let event: TodoEvent = serde_json::from_str(row.get_ref(1)?.as_str()?)?;
        let state = states.entry(id).or_default();
        *state = std::mem::take(state).apply(&event);
        count += 1;
    }
    anyhow::ensure!(count >= events && !states.is_empty());
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

/// Writes a log of at least this many events.
pub(crate) async fn fill(path: &Path, events: u64) -> anyhow::Result<()> {
    let app = App::open(path).await?;
    let rounds = events.div_ceil(CLIENTS * 2);
    let clients = (0..CLIENTS).map(|_| async {
        for round in 0..rounds {
            let id = app.next_id();
            app.execute(id, &create(round)?).await?;
            let complete = TodoCommand::Complete;
            app.execute(id, &complete).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(clients).await?;
    app.close().await
}
