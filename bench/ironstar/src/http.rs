//! Commands over HTTP, on connections that are kept alive. Each connection creates a todo and
//! completes it, over and over again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::future::try_join_all;

use crate::client::Client;
use crate::{Figures, milliseconds};

pub(crate) async fn measure(
    address: SocketAddr,
    connections: usize,
    time: Duration,
) -> anyhow::Result<Figures> {
    let connecting = (0..connections).map(|_| Client::connect(address));
    let mut clients = try_join_all(connecting).await?;
    run(&mut clients, time / 4).await?;
    let start = Instant::now();
    let times = run(&mut clients, time).await?;
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    Ok(vec![
        ("rate", rate),
        ("p50_ms", milliseconds(percentile(&times, 0.5))),
        ("p99_ms", milliseconds(percentile(&times, 0.99))),
        ("p99.9_ms", milliseconds(percentile(&times, 0.999))),
    ])
}

/// Returns the times of the commands, in ascending order.
async fn run(clients: &mut [Client], time: Duration) -> anyhow::Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let working = clients.iter_mut().map(|client| work(client, end));
    let mut times = try_join_all(working).await?.concat();
    times.sort_unstable();
    Ok(times)
}

async fn work(client: &mut Client, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let (created, create) = client.create(times.len()).await?;
        let (_, complete) = client.act("complete", &created.id).await?;
        times.extend([create, complete]);
    }
    Ok(times)
}

/// Returns the time that this share of all commands did not exceed. The times are in
/// ascending order.
pub(crate) fn percentile(times: &[Duration], share: f64) -> Duration {
    let rank = (times.len() as f64 * share).ceil() as usize;
    let index = rank.saturating_sub(1);
    times.get(index).copied().unwrap_or_default()
}
