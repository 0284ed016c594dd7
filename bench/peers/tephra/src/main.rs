//! The same commands on todos with tephra, embedded.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use tephra::{
    AppendCondition, Event, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet, Tag,
    Tags, WriteCoordinator, WriteHandle, WriterConfig,
};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long)]
    folder: PathBuf,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    #[arg(long)]
    clients: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir_in(&arguments.folder)?;
    let set = SegmentSet::open(folder.path(), SegmentConfig::new(256 * 1024 * 1024))?;
    let (coordinator, handle) = WriteCoordinator::start(set, WriterConfig::default())?;
    let time = Duration::from_secs_f64(arguments.seconds);
    run(&handle, arguments.clients, time / 4)?;
    let start = Instant::now();
    let commands = run(&handle, arguments.clients, time)?;
    println!(
        "rate {:.1}",
        commands as f64 / start.elapsed().as_secs_f64()
    );
    coordinator.shutdown();
    Ok(())
}

fn run(handle: &WriteHandle, clients: usize, time: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| scope.spawn(move || client(handle, end)))
            .collect();
        let mut commands = 0;
        for client in clients {
            commands += client.join().expect("no client panics")?;
        }
        Ok(commands)
    })
}

/// Each decision reads the events that it depends on, and guards them at the append.
fn client(handle: &WriteHandle, end: Instant) -> anyhow::Result<u64> {
    let created = EventType::new("created")?;
    let completed = EventType::new("completed")?;
    let mut commands = 0;
    while Instant::now() < end {
        let tag = format!("todo:{}", uuid::Uuid::now_v7());
        let tags = Tags::new([Tag::new(tag)?])?;
        let payload = format!(r#"{{"type":"created","text":"Todo number {commands}"}}"#);
        decide(handle, &tags, &created, payload.as_bytes(), 0)?;
        decide(handle, &tags, &completed, br#"{"type":"completed"}"#, 1)?;
        commands += 2;
    }
    Ok(commands)
}

fn decide(
    handle: &WriteHandle,
    tags: &Tags,
    event_type: &EventType,
    payload: &[u8],
    expected: u64,
) -> anyhow::Result<()> {
    let query = Query::item(QueryItem::with_tags(tags.clone()));
    let mut last = Position::ZERO;
    let mut count = 0;
    let mut reads = handle.read(&query, Position::ZERO, None);
    while let Some(event) = reads.next() {
        last = event?.position;
        count += 1;
    }
    anyhow::ensure!(
        count == expected,
        "the todo has an unexpected number of events"
    );
    let event = Event::new(event_type, tags, payload)?;
    let guard = AppendCondition::new(query).after(last);
    handle.append(vec![event], Some(guard))?;
    Ok(())
}
