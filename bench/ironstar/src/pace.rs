//! Commands at a steady rate, and the time from each answer until its event is seen.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::try_join_all;
use ironstar_app::CommandHandler;
use ironstar_domain::todo::TodoCommand;
use ironstar_ports::Position;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::sleep_until;

use crate::commands::{create, execute};
use crate::http::percentile;
use crate::{Figures, milliseconds};

pub(crate) const CLIENTS: u32 = 64;

/// The least part of a requested rate that must be reached.
const TOLERANCE: f64 = 0.95;

/// Waits until a position is seen. Positions come in order, so a wait for one position misses no
/// later one.
pub(crate) type Wait =
    Arc<dyn Fn(Position) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> + Send + Sync>;

/// A position, and the time of its command's answer.
type Answered = (Position, Instant);

/// Runs clients that together send commands at a rate, even if earlier commands were slow. Returns
/// the rate, the times of the commands, and the times from each answer until it is seen.
pub(crate) async fn measure(
    handler: &CommandHandler,
    wait: &Wait,
    rate: f64,
    time: Duration,
) -> anyhow::Result<Figures> {
    let interval = Duration::from_secs_f64(f64::from(CLIENTS) / rate);
    let start = Instant::now();
    let clients = (0..CLIENTS).map(|number| {
        let first = start + interval * number / CLIENTS;
        let (tell, told) = mpsc::unbounded_channel();
        let sending = tokio::spawn(client(handler.clone(), first, interval, start + time, tell));
        let following = tokio::spawn(follow(Arc::clone(wait), told));
        async move { anyhow::Ok((sending.await??, following.await??)) }
    });
    let times = try_join_all(clients).await?;
    let elapsed = start.elapsed();
    let (commands, lags): (Vec<_>, Vec<_>) = times.into_iter().unzip();
    let (mut commands, mut lags) = (commands.concat(), lags.concat());
    let actual = commands.len() as f64 / elapsed.as_secs_f64();
    ensure!(
        actual >= rate * TOLERANCE,
        "{actual} commands a second instead of {rate}"
    );
    ensure!(
        lags.len() == commands.len(),
        "the lag of a command was not measured"
    );
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

/// Waits until each position is seen.
async fn follow(
    wait: Wait,
    mut told: UnboundedReceiver<Answered>,
) -> anyhow::Result<Vec<Duration>> {
    let mut lags = Vec::new();
    while let Some((position, answered)) = told.recv().await {
        wait(position).await?;
        lags.push(answered.elapsed());
    }
    Ok(lags)
}
