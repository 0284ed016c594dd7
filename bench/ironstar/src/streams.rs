//! Commands on one stream, after it has become long.

use std::path::Path;
use std::time::{Duration, Instant};

use ironstar_app::CommandContext;
use ironstar_domain::TodoCommand;

use crate::commands::{App, create};

pub(crate) async fn measure(path: &Path, length: u64, time: Duration) -> anyhow::Result<f64> {
    let app = App::open(path).await?;
    let context = CommandContext::default();
    let id = app.todos.next_id();
    app.todos.execute(id, &create(0)?, &context).await?;
    let rename = |number: u64| -> anyhow::Result<TodoCommand> {
        let text = format!("Take {number}").parse()?;
        Ok(TodoCommand::Rename { text })
    };
    for number in 1..length {
        app.todos.execute(id, &rename(number)?, &context).await?;
    }
    // In a new process nothing is in memory: the first command reads it all.
    app.close().await?;
    let app = App::open(path).await?;
    let start = Instant::now();
    let mut commands = 0;
    while start.elapsed() < time {
        let command = rename(length + commands)?;
        app.todos.execute(id, &command, &context).await?;
        commands += 1;
    }
    let figure = commands as f64 / start.elapsed().as_secs_f64();
    app.close().await?;
    Ok(figure)
}
