//! Streams that no client reads, and streams that are cut off.
//!
//! Commands must not wait for such streams. A client that reads must get every event. The
//! server's memory must not grow with the unread data.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context;
use eventsource_stream::Eventsource;
use futures::StreamExt;
use ironstar_ports::{LogPlace, Position};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::server::{Commands, Recipient, Request, Server};
use crate::{Findings, Plan};

/// The numbers of clients that write, that never read, and that come and go.
const WRITERS: usize = 4;
const STALLED: usize = 64;
const FICKLE: usize = 8;

/// The number of sentences in the text of a remark, each of 10 bytes.
const TEXT: usize = 500;

/// The longest acceptable time for a command on a busy machine. A command that waits for a
/// stalled stream never ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// The accepted growth of memory after the first quarter: a fifth, and a fixed amount for the
/// stalled streams and the allocator.
const GROWTH: f64 = 1.2;
const SLACK_KIB: f64 = 32.0 * 1_024.0;

const PATHS: [&str; 2] = [
    "/api/events?after=0",
    "/api/sse/notes/00000000-0000-0000-0000-000000000000",
];

/// Runs the check against a server.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan, server: &Path) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let folder = TempDir::new()?;
    let server = Server::start(server, folder.path(), plan.bug, &[])?;
    let load = Arc::new(Load::default());
    let mut tasks = JoinSet::new();
    for number in 0..WRITERS {
        tasks.spawn(write(Arc::clone(&load), server.commands(), number));
    }
    let quarter = plan.time / 4;
    let address = server.url().trim_start_matches("http://").to_owned();
    let mut readers = JoinSet::new();
    for stream in open_all(&address).await? {
        readers.spawn(discard(stream));
    }
    let beside_read = load.rate(quarter).await;
    let early = resident_kib(server.id())?;
    readers.shutdown().await;
    let stalled = open_all(&address).await?;
    let beside_stalled = load.rate(quarter).await;
    for number in 0..FICKLE {
        let random = fastrand::Rng::with_seed(plan.seed + number as u64);
        tasks.spawn(come_and_go(Arc::clone(&load), address.clone(), random));
    }
    let url = format!("{}{}", server.url(), PATHS[0]);
    let reader = tokio::spawn(read(Arc::clone(&load), url));
    let beside_all = load.rate(2 * quarter).await;
    let late = memory_at_the_end(plan, &load, &server, early).await?;

    load.is_over.store(true, Relaxed);
    while let Some(task) = tasks.join_next().await {
        if let Err(error) = task? {
            findings.found(format!("{error:#}"));
        }
    }
    match reader.await? {
        Ok(read) => findings.did("events read, each once and in order", read),
        Err(error) => findings.found(format!("{error:#}")),
    }
    if has_grown(early, late) {
        findings.found(format!(
            "the server's memory grew from {early} KiB to {late} KiB"
        ));
    }
    findings.did("streams that are never read", stalled.len() as u64);
    findings.did("streams cut off", load.cut_off.load(Relaxed));
    findings.did("commands/s beside streams that are read", beside_read);
    findings.did(
        "commands/s beside streams that are never read",
        beside_stalled,
    );
    findings.did(
        "commands/s beside stalled, cut-off and read streams",
        beside_all,
    );
    findings.did("KiB of memory after a quarter", early);
    findings.did("KiB of memory at the end", late);
    Ok(findings)
}

/// The state that the tasks share.
#[derive(Debug, Default)]
struct Load {
    is_over: AtomicBool,
    written: AtomicU64,
    head: AtomicU64,
    cut_off: AtomicU64,
}

impl Load {
    fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Waits, and returns the number of commands per second in this time.
    async fn rate(&self, time: Duration) -> u64 {
        let before = self.written.load(Relaxed);
        tokio::time::sleep(time).await;
        let commands = self.written.load(Relaxed) - before;
        (commands as f64 / time.as_secs_f64()) as u64
    }
}

/// Closes and reopens one remark, over and over again. Its text is long, so that streams of pages
/// carry much data.
async fn write(load: Arc<Load>, commands: Commands, number: usize) -> anyhow::Result<()> {
    let text = format!("Writer {number}. ").repeat(TEXT);
    let mut id = None;
    for count in 0_u64.. {
        if load.is_over() {
            break;
        }
        let body = match (&id, count % 2) {
            (None, _) => json!({"type": "create", "text": &text}),
            (Some(id), 1) => json!({"type": "close", "id": id}),
            (Some(id), _) => json!({"type": "reopen", "id": id}),
        };
        let key = format!("{number}-{count}");
        let to = Recipient::Remark;
        let last = Position::START;
        let request = Request {
            key,
            to,
            body,
            last,
        };
        let answer = tokio::time::timeout(PATIENCE, commands.send(&request, None))
            .await
            .with_context(|| format!("a command takes longer than {PATIENCE:?}"))??
            .context("the server is gone")?
            .accepted()?;
        id = Some(answer.id);
        load.written.fetch_add(1, Relaxed);
        load.head.fetch_max(answer.position, Relaxed);
    }
    Ok(())
}

/// Opens all the streams that are going to stall.
async fn open_all(address: &str) -> anyhow::Result<Vec<TcpStream>> {
    let mut streams = Vec::new();
    for number in 0..STALLED {
        streams.push(open(address, PATHS[number % PATHS.len()]).await?);
    }
    Ok(streams)
}

/// Reads and discards data until the task is aborted.
async fn discard(mut stream: TcpStream) {
    let mut buffer = vec![0; 64 * 1_024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Opens streams, reads a part of each, and closes them.
async fn come_and_go(
    load: Arc<Load>,
    address: String,
    mut random: fastrand::Rng,
) -> anyhow::Result<()> {
    while !load.is_over() {
        let path = PATHS[random.usize(0..PATHS.len())];
        let mut stream = open(&address, path).await?;
        let mut buffer = vec![0; random.usize(1..32 * 1_024)];
        let time = Duration::from_millis(random.u64(1..100));
        // It does not matter whether all of this was read.
        let _ = tokio::time::timeout(time, stream.read_exact(&mut buffer)).await;
        load.cut_off.fetch_add(1, Relaxed);
    }
    Ok(())
}

async fn open(address: &str, path: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(stream)
}

/// Reads every event from the first to the last acknowledged one. Returns the number of
/// events.
async fn read(load: Arc<Load>, url: String) -> anyhow::Result<u64> {
    let mut events = reqwest::get(url).await?.bytes_stream().eventsource();
    let mut last = 0;
    let mut overdue: Option<Instant> = None;
    while !load.is_over() || last < load.head.load(Relaxed) {
        if load.is_over() && overdue.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            anyhow::bail!("the events after {last} do not come");
        }
        let Ok(event) = tokio::time::timeout(Duration::from_secs(1), events.next()).await else {
            continue;
        };
        let event = event.context("the stream of events ends")??;
        // The first frame only states where the stream begins.
        if event.data.is_empty() {
            continue;
        }
        let place: LogPlace = event.id.parse()?;
        let position = place.position.get();
        anyhow::ensure!(position == last + 1, "event {position} comes after {last}");
        last = position;
    }
    Ok(last)
}

/// Returns the server's memory at the end, in KiB. A deliberate bug gets up to twice the time: on a
/// busy machine, there are few commands for it to show.
async fn memory_at_the_end(
    plan: &Plan,
    load: &Load,
    server: &Server,
    early: u64,
) -> anyhow::Result<u64> {
    let mut late = resident_kib(server.id())?;
    for _ in 0..4 {
        if plan.bug.is_none() || has_grown(early, late) {
            break;
        }
        load.rate(plan.time / 4).await;
        late = resident_kib(server.id())?;
    }
    Ok(late)
}

fn has_grown(early: u64, late: u64) -> bool {
    late as f64 > early as f64 * GROWTH + SLACK_KIB
}

/// Returns the resident memory of a process (`VmRSS` in proc(5)).
fn resident_kib(process: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .context("the process has no VmRSS")?
        .parse()
        .context("not a number")
}
