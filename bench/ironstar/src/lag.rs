//! The time from a command's answer to the read model that shows it, at half the maximum
//! rate.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::try_join_all;
use ironstar_app::todo::TodoProjection;
use ironstar_app::{CommandHandler, ReadModel};
use ironstar_domain::todo::TodoCommand;
use ironstar_ports::Position;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::sleep_until;

use crate::commands::{self, create, execute};
use crate::http::percentile;
use crate::read_models::{PATIENCE, Projected};
use crate::{Figures, milliseconds};

const CLIENTS: u32 = 64;

/// The requested share of the maximum rate, and the least part of it that must be reached.
const SHARE: f64 = 0.5;
const TOLERANCE: f64 = 0.95;

/// A position, and the time of its command's answer.
type Answered = (Position, Instant);

/// The times of the commands, and the times from each answer to the read model.
type Times = (Vec<Duration>, Vec<Duration>);

pub(crate) async fn measure(path: &Path, time: Duration) -> anyhow::Result<Figures> {
    let projected = Projected::open(path).await?;
    run(&projected, time / 4).await?;
    let most = run(&projected, time).await?;
    let rate = most * SHARE;
    let start = Instant::now();
    let (mut commands, mut lags) = pace(&projected, rate, time).await?;
    let actual = commands.len() as f64 / start.elapsed().as_secs_f64();
    ensure!(
        actual >= rate * TOLERANCE,
        "{actual} commands a second instead of {rate}"
    );
    ensure!(
        lags.len() == commands.len(),
        "the lag of a command was not measured"
    );
    projected.check().await?;
    projected.close().await?;
    commands.sort_unstable();
    lags.sort_unstable();
    Ok(vec![
        ("rate", actual),
        ("p50_ms", milliseconds(percentile(&lags, 0.5))),
        ("p99_ms", milliseconds(percentile(&lags, 0.99))),
        ("p99.9_ms", milliseconds(percentile(&lags, 0.999))),
        ("command_p50_ms", milliseconds(percentile(&commands, 0.5))),
        ("command_p99_ms", milliseconds(percentile(&commands, 0.99))),
    ])
}

/// Returns the rate of clients without pauses.
async fn run(projected: &Projected, time: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let commands = commands::run(&projected.app.commands, CLIENTS as usize, time).await?;
    Ok(commands as f64 / start.elapsed().as_secs_f64())
}

/// Runs clients that together send commands at a rate, even if earlier commands were slow.
async fn pace(projected: &Projected, rate: f64, time: Duration) -> anyhow::Result<Times> {
    let interval = Duration::from_secs_f64(f64::from(CLIENTS) / rate);
    let start = Instant::now();
    let clients = (0..CLIENTS).map(|number| {
        let first = start + interval * number / CLIENTS;
        let (tell, told) = mpsc::unbounded_channel();
        let handler = projected.app.commands.clone();
        let sending = tokio::spawn(client(handler, first, interval, start + time, tell));
        let following = tokio::spawn(follow(projected.todos.clone(), told));
        async move { anyhow::Ok((sending.await??, following.await??)) }
    });
    let times = try_join_all(clients).await?;
    let (commands, lags): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    Ok((commands.concat(), lags.concat()))
}

/// Creates a todo and completes it, over and over again, with one command in each interval.
async fn client(
    handler: CommandHandler,
    first: Instant,
    interval: Duration,
    end: Instant,
    tell: UnboundedSender<Answered>,
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut next = first;
    let mut number = 0;
    while next < end {
        let id = handler.next_id().into();
        for command in [create(number)?, TodoCommand::Complete] {
            sleep_until(next.into()).await;
            next += interval;
            let sent = Instant::now();
            let position = execute(&handler, id, &command).await?;
            let answered = Instant::now();
            times.push(answered - sent);
            tell.send((position, answered))?;
        }
        number += 1;
    }
    Ok(times)
}

/// Waits until the read model has reached each position. Positions come in order, so a wait
/// for one position misses no later one.
async fn follow(
    todos: ReadModel<TodoProjection>,
    mut told: UnboundedReceiver<Answered>,
) -> anyhow::Result<Vec<Duration>> {
    let mut lags = Vec::new();
    while let Some((position, answered)) = told.recv().await {
        todos.reach(position, PATIENCE).await?;
        lags.push(answered.elapsed());
    }
    Ok(lags)
}
