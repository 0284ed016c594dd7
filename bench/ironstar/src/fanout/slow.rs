//! Clients that open a stream and do not read it: the memory that the server needs for them,
//! and the time until they catch up.

use std::path::Path;
use std::time::Instant;

use super::crowd::Crowd;
use super::publisher::{Changes, with_id};
use super::{BARE_EVENTS, PAGE, REST, TODOS, WARMING, allow_files, create};
use crate::Figures;
use crate::server::Server;

/// The measurements of one server.
#[derive(Debug)]
struct Measured {
    /// The memory per client that does not read: at first, and in addition after the
    /// commands.
    opened_kib: f64,
    grown_kib: f64,
    catching_up: std::time::Duration,
}

/// Measures ironstar, and then the bare server with the recorded bytes.
pub(crate) fn measure(
    program: &Path,
    database: &Path,
    clients: usize,
    commands: usize,
) -> anyhow::Result<Figures> {
    allow_files(clients)?;
    let mut recorded = Vec::new();
    let server = Server::ironstar(program, database)?;
    let mut crowd = Crowd::new(server.address)?;
    let mut changes = Changes::toggles(create(&mut crowd, None, TODOS)?);
    crowd.join(PAGE, 0, 1)?;
    let (whole, position) = (crowd.take_kept(), crowd.publisher.position);
    let count = (clients, commands);
    let ironstar = measure_one(&server, &mut crowd, PAGE, count, &mut changes, |frames| {
        recorded.push(frames);
    })?;
    drop(server);

    let server = Server::bare()?;
    let mut crowd = Crowd::new(server.address)?;
    crowd.publisher.position = position - 1;
    let whole = with_id(&whole, position)?;
    crowd.publish(&whole, 0, Instant::now())?;
    crowd.join(BARE_EVENTS, 0, 1)?;
    crowd.take_kept();
    let mut changes = Changes::replay(recorded);
    let bare = measure_one(&server, &mut crowd, BARE_EVENTS, count, &mut changes, drop)?;
    Ok(vec![
        ("opened_kib", ironstar.opened_kib),
        ("bare_opened_kib", bare.opened_kib),
        ("grown_kib", ironstar.grown_kib),
        ("bare_grown_kib", bare.grown_kib),
        ("catch_up_s", ironstar.catching_up.as_secs_f64()),
        ("bare_catch_up_s", bare.catching_up.as_secs_f64()),
    ])
}

/// The first client reads, and sets the pace: each change is sent when this client has the
/// one before.
fn measure_one(
    server: &Server,
    crowd: &mut Crowd,
    path: &str,
    (clients, commands): (usize, usize),
    changes: &mut Changes,
    mut record: impl FnMut(Vec<u8>),
) -> anyhow::Result<Measured> {
    for _ in 0..WARMING {
        crowd.change(changes, 0)?;
        record(crowd.take_kept());
    }
    let before = server.resident_kib()?;
    let each = |kib: f64| kib / clients as f64;
    crowd.join_silently(path, clients)?;
    crowd.run_until(Instant::now() + REST)?;
    let opened = server.resident_kib()?;
    for _ in 0..commands {
        crowd.change(changes, 0)?;
        record(crowd.take_kept());
    }
    crowd.run_until(Instant::now() + REST)?;
    let grown = server.resident_kib()?;
    let start = Instant::now();
    crowd.wake(1, crowd.publisher.position)?;
    Ok(Measured {
        opened_kib: each(opened - before),
        grown_kib: each(grown - opened),
        catching_up: start.elapsed(),
    })
}
