//! Rebuilds of read models in the running application, without other load and while commands
//! run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use ironstar_app::CommandHandler;
use ironstar_domain::todo::TodoCommand;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Figures;
use crate::commands::{create, execute};
use crate::read_models::Projected;
use crate::replay;

const CLIENTS: usize = 64;

/// The number of rebuilds without other load, of which the median counts.
const REBUILDS: usize = 5;

/// Returns the events per second, from the log to the live read model.
pub(crate) async fn measure(path: &Path, events: u64) -> anyhow::Result<f64> {
    replay::fill(path, events).await?;
    let projected = Projected::open(path).await?;
    let head = projected.todos.position().get();
    ensure!(head >= events, "the log holds {head} events only");
    let mut rates = Vec::new();
    for _ in 0..REBUILDS {
        projected.settle().await?;
        let rebuilt = projected.rebuild().await?;
        ensure!(rebuilt.events == head, "it has {} events", rebuilt.events);
        projected.check().await?;
        rates.push(per_second(rebuilt.events, rebuilt.time));
    }
    projected.close().await?;
    rates.sort_unstable_by(f64::total_cmp);
    Ok(rates[REBUILDS / 2])
}

/// Measures the commands per second of clients without pauses, and the events per second of
/// concurrent rebuilds, if there are any.
pub(crate) async fn measure_busy(
    path: &Path,
    events: u64,
    with_rebuilds: bool,
    time: Duration,
) -> anyhow::Result<Figures> {
    replay::fill(path, events).await?;
    let projected = Projected::open(path).await?;
    projected.settle().await?;
    let load = Load::start(&projected);
    sleep(time / 4).await;
    let figures = if with_rebuilds {
        rebuild_for(time, &projected).await?
    } else {
        let (start, before) = (Instant::now(), commands(&projected));
        sleep(time).await;
        let done = commands(&projected) - before;
        vec![("rate", per_second(done, start.elapsed()))]
    };
    load.stop().await?;
    projected.check().await?;
    projected.close().await?;
    Ok(figures)
}

/// Rebuilds one after the other until the time is up: at least once, and the last rebuild to
/// its end. Commands are counted during rebuilds, and also over the whole time, in which
/// ended builds are swept.
async fn rebuild_for(time: Duration, projected: &Projected) -> anyhow::Result<Figures> {
    let (start, before) = (Instant::now(), commands(projected));
    let (mut done, mut events, mut took) = (0, 0, Duration::ZERO);
    while start.elapsed() < time {
        let rebuilt = projected.rebuild().await?;
        done += rebuilt.commands;
        events += rebuilt.events;
        took += rebuilt.time;
    }
    let done_in_all = commands(projected) - before;
    Ok(vec![
        ("rate", per_second(done, took)),
        ("rate_throughout", per_second(done_in_all, start.elapsed())),
        ("rebuild_rate", per_second(events, took)),
    ])
}

/// Clients that create todos and complete them, over and over again.
struct Load {
    clients: JoinSet<anyhow::Result<()>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    fn start(projected: &Projected) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let handler = projected.app.commands.clone();
            clients.spawn(client(handler, projected.commands.clone(), is_over.clone()));
        }
        Self { clients, is_over }
    }

    /// Stops the clients. Returns an error if a command failed.
    async fn stop(mut self) -> anyhow::Result<()> {
        self.is_over.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        Ok(())
    }
}

async fn client(
    handler: CommandHandler,
    commands: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut number = 0;
    while !is_over.load(Ordering::Relaxed) {
        let id = handler.next_id().into();
        for command in [create(number)?, TodoCommand::Complete] {
            execute(&handler, id, &command).await?;
            commands.fetch_add(1, Ordering::Relaxed);
        }
        number += 1;
    }
    Ok(())
}

fn commands(projected: &Projected) -> u64 {
    projected.commands.load(Ordering::Relaxed)
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
