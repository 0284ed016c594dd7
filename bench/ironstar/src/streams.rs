//! Commands on long streams.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use ironstar_domain::todo::{TodoCommand, TodoId};

use crate::commands::{App, create};
use crate::http::percentile;
use crate::{Figures, milliseconds};

/// The number of streams for the first command of a process, each with a new application.
const COLD_STREAMS: usize = 9;

/// Returns the commands per second on one stream, one at a time.
pub(crate) async fn measure(path: &Path, length: u64, time: Duration) -> anyhow::Result<f64> {
    let app = App::open(path).await?;
    let id = write(&app, length).await?;
    // A new process has no states in memory, so the first command reads the whole stream.
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

/// Measures the time of the first command after a start.
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

/// Writes a stream of this length with commands.
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
