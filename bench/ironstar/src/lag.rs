//! The time from a command's answer to the read model that shows it, at half the maximum
//! rate.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pace::{self, CLIENTS, Wait};
use crate::read_models::{PATIENCE, Projected};
use crate::{Figures, commands};

/// The requested share of the maximum rate.
const SHARE: f64 = 0.5;

pub(crate) async fn measure(path: &Path, time: Duration) -> anyhow::Result<Figures> {
    let projected = Projected::open(path).await?;
    run(&projected, time / 4).await?;
    let most = run(&projected, time).await?;
    let todos = projected.todos.clone();
    let wait: Wait = Arc::new(move |position| {
        let todos = todos.clone();
        Box::pin(async move { Ok(todos.reach(position, PATIENCE).await?) })
    });
    let figures = pace::measure(&projected.app.commands, &wait, most * SHARE, time).await?;
    projected.check().await?;
    projected.close().await?;
    Ok(figures)
}

/// Returns the rate of clients without pauses.
async fn run(projected: &Projected, time: Duration) -> anyhow::Result<f64> {
    let start = Instant::now();
    let commands = commands::run(&projected.app.commands, CLIENTS as usize, time).await?;
    Ok(commands as f64 / start.elapsed().as_secs_f64())
}
