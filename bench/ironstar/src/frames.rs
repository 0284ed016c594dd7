//! The time from a command to its frame at another client, without other load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::http::percentile;
use crate::{Figures, milliseconds};

/// The pause between two commands.
const PAUSE: Duration = Duration::from_millis(5);

pub(crate) async fn measure(address: SocketAddr, time: Duration) -> anyhow::Result<Figures> {
    let mut client = Client::connect(address).await?;
    let mut frames = Client::connect(address)
        .await?
        .events("/api/sse/todos")
        .await?;
    let (created, _) = client.create(0).await?;
    let mut position = created.position;
    frames.reach(position).await?;
    let mut after_command = Vec::new();
    let mut after_answer = Vec::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        for action in ["complete", "reopen"] {
            tokio::time::sleep(PAUSE).await;
            position += 1;
            let start = Instant::now();
            let answered = async {
                let (answer, _) = client.act(action, &created.id).await?;
                anyhow::ensure!(answer.position == position, "another client is writing");
                Ok(start.elapsed())
            };
            let arrived = async {
                frames.reach(position).await?;
                Ok(start.elapsed())
            };
            let (answered, arrived) = tokio::try_join!(answered, arrived)?;
            after_command.push(arrived);
            // A frame may arrive before the answer.
            after_answer.push(arrived.saturating_sub(answered));
        }
    }
    after_command.sort_unstable();
    after_answer.sort_unstable();
    Ok(vec![
        ("p50_ms", milliseconds(percentile(&after_command, 0.5))),
        ("p99_ms", milliseconds(percentile(&after_command, 0.99))),
        (
            "after_answer_p50_ms",
            milliseconds(percentile(&after_answer, 0.5)),
        ),
    ])
}
