//! Commands on streams that have become long.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_domain::{TodoCommand, TodoId};

use crate::commands::{App, create};
use crate::http::percentile;
use crate::{Figures, milliseconds};

/// On how many streams a first command is measured, each in an application of
/// its own.
const COLD_STREAMS: usize = 9;

/// Commands a second on one stream, one at a time.
pub(crate) async fn measure(path: &Path, length: u64, time: Duration) -> anyhow::Result<f64> {
    let app = App::open(path).await?;
    let id = write(&app, length).await?;
    // In a new process nothing is in memory: the first command reads it all.
    app.close().await?;
    let app = App::open(path).await?;
    let start = Instant::now();
    let mut commands = 0;
    while start.elapsed() < time {
        app.execute(id, &rename(length + commands)?).await?;
        commands += 1;
    }
    let figure = commands as f64 / start.elapsed().as_secs_f64();
    app.close().await?;
    Ok(figure)
}

/// How long the first command takes after a start.
pub(crate) async fn measure_cold(path: &Path, length: u64) -> anyhow::Result<Figures> {
    let app = App::open(path).await?;
    let ids = try_join_all((0..COLD_STREAMS).map(|_| write(&app, length))).await?;
    app.close().await?;
    let mut times = Vec::new();
    for id in ids {
        let app = App::open(path).await?;
        let command = rename(length)?;
        let start = Instant::now();
        app.execute(id, &command).await?;
        times.push(start.elapsed());
        app.close().await?;
    }
    times.sort_unstable();
    Ok(vec![("p50_ms", milliseconds(percentile(&times, 0.5)))])
}

/// Writes a stream of this length, by commands.
async fn write(app: &App, length: u64) -> anyhow::Result<TodoId> {
    let id = app.next_id();
    app.execute(id, &create(0)?).await?;
    for number in 1..length {
        app.execute(id, &rename(number)?).await?;
    }
    Ok(id)
}

fn rename(number: u64) -> anyhow::Result<TodoCommand> {
    let text = format!("Take {number}").parse()?;
    Ok(TodoCommand::Rename { text })
}
