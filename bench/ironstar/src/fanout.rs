//! Very many clients on one server: how many frames they get, how long a frame takes to the
//! last client, and what the clients cost. A bare server that sends the same bytes to as many
//! clients is the comparison.

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

/// The number of todos in the list that all clients watch.
const TODOS: usize = 10;

/// The number of changes before a measurement.
const WARMING: usize = 10;

/// The number of changes per second at a steady pace.
const PACE: u32 = 4;

/// The time for the server to come to rest before its memory is measured.
const REST: Duration = Duration::from_secs(1);

/// The number of files that a process has open besides its clients.
const OTHER_FILES: u64 = 200;

/// The path of a page's stream, and the path of the bare server's stream.
const PAGE: &str = "/api/sse/todos";
const BARE_EVENTS: &str = "/events";

/// A server with its clients.
#[derive(Debug)]
struct Stage {
    server: Server,
    crowd: Crowd,
    path: &'static str,
    changes: Changes,
}

/// The measurements of one server.
#[derive(Debug)]
struct Measured {
    connecting: Duration,
    kib_per_client: f64,
    saturated: Flow,
    paced: Flow,
}

/// A period in which one change follows the other.
#[derive(Debug)]
struct Flow {
    /// The number of frames per second, summed over all clients.
    frames_per_second: f64,
    /// The processor time of the server per frame.
    processor_per_frame: Duration,
    /// The times from a change to the last client, in ascending order.
    times: Vec<Duration>,
}

/// The bytes that one client received, for the bare server to send again.
#[derive(Debug, Default)]
struct Recorded {
    /// The first frames of the stream, and their position.
    whole: Vec<u8>,
    position: u64,
    changes: Vec<Vec<u8>>,
    last: Vec<u8>,
}

/// Measures ironstar, and then the bare server with the recorded bytes.
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
    // A new client gets the last published frame.
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
    /// Measures, and records the frames of the first client while changes follow one another.
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

    /// Makes a change, and waits until every client has it.
    fn change(&mut self, recorded: &mut Vec<Vec<u8>>) -> anyhow::Result<()> {
        self.crowd.change(&mut self.changes, 0)?;
        recorded.push(self.crowd.take_kept());
        Ok(())
    }

    /// Makes changes at a steady pace, even if clients do not have the last one yet. The time
    /// of a late change counts from the moment when it was due.
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

    /// Makes the last change. Returns the frames of the first client. Every client must get
    /// these texts.
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

/// Creates todos in a list, or in the shared list.
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

/// Allows this process, and the servers that it starts, as many open files as there are
/// clients.
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
