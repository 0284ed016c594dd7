//! The server under full load for a long time, to see if its memory grows.
//!
//! The number of todos is constant, because the memory for a list depends on it. Pages and
//! programs watch, and one page never reads its stream.

use std::cell::Cell;
use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::future::{try_join, try_join_all};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

use crate::Figures;
use crate::client::Client;
use crate::server::Server;

/// The number of connections that send commands, each about its own todos.
const CONNECTIONS: usize = 64;
const TODOS_PER_CONNECTION: usize = 16;

/// The watched streams: two of a page, and one of the raw events.
const WATCHED: [&str; 3] = ["/api/sse/todos", "/api/sse/todos", "/api/events"];

/// The largest log, so that it does not fill the disk.
const MOST_BYTES: u64 = 32 << 30;

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) async fn measure(
    server: &Server,
    database: &Path,
    time: Duration,
) -> anyhow::Result<Figures> {
    let address = server.address;
    let commands = Cell::new(0);
    let _never_reads = open_silently(address).await?;
    let working = try_join_all((0..CONNECTIONS).map(|_| work(address, &commands)));
    let watching = try_join_all(WATCHED.map(|path| watch(address, path)));
    tokio::select! {
        figures = observe(server, database, time, &commands) => figures,
        ended = try_join(working, watching) => {
            ended?;
            bail!("the load has ended")
        }
    }
}

/// Completes, renames, reopens and renames the same todos, over and over again.
async fn work(address: SocketAddr, commands: &Cell<u64>) -> anyhow::Result<Infallible> {
    let mut client = Client::connect(address).await?;
    let mut todos = Vec::new();
    for number in 0..TODOS_PER_CONNECTION {
        let (created, _) = client.create(number).await?;
        todos.push(created.id);
    }
    let mut takes = 0;
    loop {
        for action in ["complete", "reopen"] {
            for id in &todos {
                client.act(action, id).await?;
                takes += 1;
                client.rename(id, takes).await?;
                commands.set(commands.get() + 2);
            }
        }
    }
}

/// Reads a stream, and ignores its content.
async fn watch(address: SocketAddr, path: &str) -> anyhow::Result<Infallible> {
    let mut events = Client::connect(address).await?.events(path).await?;
    loop {
        events.receive().await?;
    }
}

/// Opens a page's stream, and never reads it.
async fn open_silently(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /api/sse/todos HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Observes the server once a minute, or three times if the whole time is shorter.
async fn observe(
    server: &Server,
    database: &Path,
    time: Duration,
    commands: &Cell<u64>,
) -> anyhow::Result<Figures> {
    let step = MINUTE.min(time / 3);
    let start = Instant::now();
    let (mut first, mut last) = (None, 0.0);
    let mut before = 0;
    for number in 1..=steps(time, step) {
        sleep_until(start + step * number).await;
        last = server.resident_kib()? / 1_024.0;
        first.get_or_insert(last);
        let rate = (commands.get() - before) as f64 / step.as_secs_f64();
        before = commands.get();
        let log = bytes(database)?;
        let ahead = bytes(&database.with_extension("db-wal"))?;
        eprintln!(
            "{:>5.0} s: {last:.1} MiB resident, {rate:.0} commands/s, log {:.2} GiB, \
             write-ahead log {:.0} MiB",
            start.elapsed().as_secs_f64(),
            log as f64 / f64::from(1 << 30),
            ahead as f64 / f64::from(1 << 20),
        );
        ensure!(
            log + ahead < MOST_BYTES,
            "the log is larger than the limit of this measurement"
        );
    }
    let first = first.context("the time is too short for an observation")?;
    Ok(vec![("first_mib", first), ("last_mib", last)])
}

fn steps(time: Duration, step: Duration) -> u32 {
    (time.as_secs_f64() / step.as_secs_f64()).round() as u32
}

fn bytes(path: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(path)?.len())
}
