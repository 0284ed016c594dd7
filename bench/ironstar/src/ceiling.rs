//! Plain SQLite with the same rows in the same schema: an upper limit for every program that
//! stores them there.

use std::path::Path;
use std::time::{Duration, Instant};

use ironstar_adapters::sqlite::migrate;
use rusqlite::{Connection, params};
use tokio::runtime::Runtime;
use uuid::Uuid;

const INSERT: &str = "
    INSERT INTO events (id, aggregate_type, aggregate_id, sequence, event_type, schema_version,
                        payload, metadata, created_at)
    VALUES (?1, 'Todo', ?2, ?3, ?4, 1, ?5, ?6, '2026-11-24T06:00:00.000Z')";

pub(crate) fn measure(
    path: &Path,
    batch: usize,
    time: Duration,
    runtime: &Runtime,
) -> anyhow::Result<f64> {
    runtime.block_on(migrate(&path.to_owned().into()))?;
    let mut connection = open(path)?;
    let mut rows = 0;
    insert(&mut connection, batch, time / 4, &mut rows)?;
    let (start, before) = (Instant::now(), rows);
    insert(&mut connection, batch, time, &mut rows)?;
    Ok((rows - before) as f64 / start.elapsed().as_secs_f64())
}

pub(crate) fn open(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}

/// Inserts the rows of clients, half as many as rows. Each client creates a todo in one
/// transaction and completes it in the next.
fn insert(
    connection: &mut Connection,
    batch: usize,
    time: Duration,
    rows: &mut i64,
) -> anyhow::Result<()> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let ids: Vec<String> = (0..batch).map(|_| Uuid::now_v7().to_string()).collect();
        for (sequence, event_type) in [(0, "created"), (1, "completed")] {
            let transaction = connection.transaction()?;
            {
                let mut statement = transaction.prepare_cached(INSERT)?;
                for id in &ids {
                    *rows += 1;
                    let payload = if sequence == 0 {
                        format!(r#"{{"type":"created","text":"Todo number {rows}"}}"#)
                    } else {
                        r#"{"type":"completed"}"#.to_owned()
                    };
                    let metadata = format!(r#"{{"event_id":"{}"}}"#, Uuid::now_v7());
                    statement
                        .execute(params![*rows, id, sequence, event_type, payload, metadata])?;
                }
            }
            transaction.commit()?;
        }
    }
    Ok(())
}
