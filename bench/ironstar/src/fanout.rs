//! Very many clients on one server: how much they get, how long it takes until
//! the last one has it, and what they cost; beside a bare server that sends the
//! same bytes to as many.

mod crowd;
mod publisher;
mod reader;
mod slow;
mod views;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use self::slow::measure as measure_slow;
pub(crate) use self::views::measure as measure_views;

use self::crowd::Crowd;
use self::publisher::{Changes, Post, todo, with_id};
use crate::http::percentile;
use crate::server::Server;
use crate::{Figures, milliseconds};

/// How many todos the list has that everyone watches.
const TODOS: usize = 10;

/// How many changes everyone gets before it counts.
const WARMING: usize = 10;

/// How many changes a second there are at a rate that is kept up.
const PACE: u32 = 4;

/// How long things are left to come to rest before memory is looked at.
const REST: Duration = Duration::from_secs(1);

/// What else a process has open, besides its clients.
const OTHER_FILES: u64 = 200;

/// Where a page gets its changes from, and where the bare server sends them.
const PAGE: &str = "/api/sse/todos";
const BARE_EVENTS: &str = "/events";

/// A server, and those who watch it.
#[derive(Debug)]
struct Stage {
    server: Server,
    crowd: Crowd,
    path: &'static str,
    changes: Changes,
}

/// What one server did.
#[derive(Debug)]
struct Measured {
    connecting: Duration,
    kib_per_client: f64,
    saturated: Flow,
    paced: Flow,
}

/// A time in which there was one change after the other.
#[derive(Debug)]
struct Flow {
    /// How many clients a change reached in a second, in sum.
    frames_per_second: f64,
    /// How long the server's processors worked for each of that.
    processor_per_frame: Duration,
    /// How long a change took to reach the last client, in order of that.
    times: Vec<Duration>,
}

/// What was sent to one client, to be sent again by the bare server.
#[derive(Debug, Default)]
struct Recorded {
    /// What it began with, and the position of that.
    whole: Vec<u8>,
    position: u64,
    changes: Vec<Vec<u8>>,
    last: Vec<u8>,
}

/// Measures ironstar, and then the bare server with what ironstar has sent.
pub(crate) fn measure(
    program: &Path,
    database: &Path,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Figures> {
    allow_files(clients)?;
    let mut recorded = Recorded::default();
    let ironstar = ironstar(program, database, clients, time, &mut recorded)?;
    let bare = bare(clients, time, &recorded)?;
    let p50 = |flow: &Flow| milliseconds(percentile(&flow.times, 0.5));
    let p99 = |flow: &Flow| milliseconds(percentile(&flow.times, 0.99));
    let processor = |flow: &Flow| flow.processor_per_frame.as_secs_f64() * 1e6;
    Ok(vec![
        ("connect_s", ironstar.connecting.as_secs_f64()),
        ("bare_connect_s", bare.connecting.as_secs_f64()),
        ("client_kib", ironstar.kib_per_client),
        ("bare_client_kib", bare.kib_per_client),
        ("rate", ironstar.saturated.frames_per_second),
        ("bare_rate", bare.saturated.frames_per_second),
        ("processor_us", processor(&ironstar.saturated)),
        ("bare_processor_us", processor(&bare.saturated)),
        ("p50_ms", p50(&ironstar.saturated)),
        ("bare_p50_ms", p50(&bare.saturated)),
        ("p99_ms", p99(&ironstar.saturated)),
        ("bare_p99_ms", p99(&bare.saturated)),
        ("paced_p50_ms", p50(&ironstar.paced)),
        ("bare_paced_p50_ms", p50(&bare.paced)),
        ("paced_p99_ms", p99(&ironstar.paced)),
        ("bare_paced_p99_ms", p99(&bare.paced)),
    ])
}

fn ironstar(
    program: &Path,
    database: &Path,
    clients: usize,
    time: Duration,
    recorded: &mut Recorded,
) -> anyhow::Result<Measured> {
    let server = Server::ironstar(program, database)?;
    let mut crowd = Crowd::new(server.address)?;
    let todos = create(&mut crowd, None, TODOS)?;
    let mut stage = Stage {
        server,
        crowd,
        path: PAGE,
        changes: Changes::toggles(todos),
    };
    recorded.position = stage.crowd.publisher.position;
    stage.crowd.join(PAGE, 0, 1)?;
    recorded.whole = stage.crowd.take_kept();
    let measured = stage.measure(clients, time, &mut recorded.changes)?;
    let last = todo(r#"{"type":"create","text":"The last one"}"#.to_owned());
    let count = format!("<strong>{}</strong>", stage.changes.active() + 1);
    recorded.last = stage.finish(&last, &["The last one", &count])?;
    Ok(measured)
}

fn bare(clients: usize, time: Duration, recorded: &Recorded) -> anyhow::Result<Measured> {
    let server = Server::bare()?;
    let mut crowd = Crowd::new(server.address)?;
    // Whoever comes gets what was published last.
    crowd.publisher.position = recorded.position - 1;
    let whole = with_id(&recorded.whole, recorded.position)?;
    crowd.publish(&whole, 0, Instant::now())?;
    crowd.settle()?;
    crowd.join(BARE_EVENTS, 0, 1)?;
    crowd.take_kept();
    let mut stage = Stage {
        server,
        crowd,
        path: BARE_EVENTS,
        changes: Changes::replay(recorded.changes.clone()),
    };
    let measured = stage.measure(clients, time, &mut Vec::new())?;
    let last = with_id(&recorded.last, stage.crowd.publisher.position + 1)?;
    stage.finish(&last, &["The last one"])?;
    Ok(measured)
}

impl Stage {
    /// Measures, and notes what the first client gets when changes follow one
    /// another.
    fn measure(
        &mut self,
        clients: usize,
        time: Duration,
        recorded: &mut Vec<Vec<u8>>,
    ) -> anyhow::Result<Measured> {
        for _ in 0..WARMING {
            self.change(recorded)?;
        }
        let before = self.server.resident_kib()?;
        let start = Instant::now();
        let more = clients - self.crowd.len();
        self.crowd.join(self.path, 0, more)?;
        let connecting = start.elapsed();
        for _ in 0..WARMING {
            self.change(recorded)?;
        }
        self.crowd.run_until(Instant::now() + REST)?;
        let kib_per_client = (self.server.resident_kib()? - before) / more as f64;
        let saturated = self.flow(|stage| {
            let end = Instant::now() + time;
            while Instant::now() < end {
                stage.change(recorded)?;
            }
            Ok(())
        })?;
        let paced = self.flow(|stage| stage.pace(2 * time))?;
        Ok(Measured {
            connecting,
            kib_per_client,
            saturated,
            paced,
        })
    }

    /// Changes something, and waits until everyone has seen it.
    fn change(&mut self, recorded: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
        self.crowd.change(&mut self.changes, 0)?;
        recorded.push(self.crowd.take_kept());
        Ok(())
    }

    /// Changes things at a given pace, whether the one before was seen or not.
    /// A change that is late counts from when it was due.
    fn pace(&mut self, time: Duration) -> anyhow::Result<()> {
        let (start, pause) = (Instant::now(), Duration::from_secs(1) / PACE);
        let mut due = start;
        while due < start + time {
            self.crowd.run_until(due)?;
            let post = self.changes.next(self.crowd.publisher.position + 1)?;
            self.crowd.publish(&post, 0, due)?;
            due += pause;
        }
        self.crowd.settle()
    }

    fn flow(
        &mut self,
        mut act: impl FnMut(&mut Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<Flow> {
        self.crowd.take_times();
        let (start, before) = (Instant::now(), self.server.processor_time()?);
        act(self)?;
        let elapsed = start.elapsed();
        let processor = self.server.processor_time()?.saturating_sub(before);
        let times = self.crowd.take_times();
        let frames = (times.len() * self.crowd.len()) as f64;
        Ok(Flow {
            frames_per_second: frames / elapsed.as_secs_f64(),
            processor_per_frame: processor.div_f64(frames),
            times,
        })
    }

    /// Changes something for the last time. Returns what the first client gets;
    /// every client has to get these texts.
    fn finish(&mut self, last: &Post, texts: &[&str]) -> anyhow::Result<Vec<u8>> {
        self.crowd.keep();
        self.crowd.publish(last, 0, Instant::now())?;
        self.crowd.settle()?;
        for text in texts {
            let (got, all) = (self.crowd.count_kept(text.as_bytes()), self.crowd.len());
            ensure!(got == all, "{got} of {all} clients have got {text:?}");
        }
        Ok(self.crowd.take_kept())
    }
}

/// Creates todos in a list, or else in the shared one.
fn create(crowd: &mut Crowd, list: Option<&str>, count: usize) -> anyhow::Result<Vec<String>> {
    let list = list.map_or_else(String::new, |list| format!(r#","list":"{list}""#));
    let mut todos = Vec::new();
    for number in 0..count {
        let command = format!(r#"{{"type":"create","text":"Todo number {number:>03}"{list}}}"#);
        let answer = crowd.publisher.command("/api/commands/todo", &command)?;
        todos.push(answer.id);
    }
    Ok(todos)
}

/// Lets this process, and the servers that it starts, have as many files open as
/// there are clients.
fn allow_files(clients: usize) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let needed = clients as u64 + OTHER_FILES;
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed);
    ensure!(
        is_enough(limit.maximum),
        "{clients} clients need {needed} open files (ulimit -Hn)"
    );
    if !is_enough(limit.current) {
        let current = limit.maximum;
        setrlimit(Resource::Nofile, Rlimit { current, ..limit })?;
    }
    Ok(())
}
