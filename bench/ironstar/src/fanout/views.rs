//! The processor time of the server per change, by the numbers of clients and of views:
//! different lists, or parts of the same list.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::publisher::{Changes, begin_session};
use super::{PAGE, TODOS, WARMING, allow_files, create};
use crate::Figures;
use crate::server::Server;

/// The number of views in the measurements with many views.
const VIEWS: usize = 100;

/// The number of clients in the measurements with few clients.
const FEW: usize = 100;

/// The server counts as idle if it uses at most this processor time in this period.
const QUIET: Duration = Duration::from_millis(200);
const NEXT_TO_NOTHING: Duration = Duration::from_millis(10);

/// The parts of the shared list that may contain a todo.
const FILTERS: [&str; 3] = ["", "?show=active", "?show=completed"];

/// A list with its todos.
#[derive(Debug)]
struct List {
    id: String,
    todos: Vec<String>,
}

#[derive(Debug)]
struct Stage {
    server: Server,
    /// The session cookie of the owner of the lists.
    cookie: String,
    lists: Vec<List>,
    shared: Vec<String>,
    time: Duration,
}

/// Measures ironstar with few clients, and with this many.
pub(crate) fn measure(
    program: &Path,
    database: &Path,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Figures> {
    allow_files(clients)?;
    let stage = Stage::open(program, database, time)?;
    Ok(vec![
        ("one_x_one_ms", stage.lists(1, 1)?),
        ("one_x_few_ms", stage.lists(1, FEW)?),
        ("views_x_one_ms", stage.lists(VIEWS, VIEWS)?),
        ("views_x_few_ms", stage.lists(VIEWS, clients)?),
        ("one_x_all_ms", stage.lists(1, clients)?),
        ("filter_x_few_ms", stage.filters(1, FEW)?),
        ("filters_x_few_ms", stage.filters(FILTERS.len(), FEW)?),
        ("filter_x_all_ms", stage.filters(1, clients)?),
        ("filters_x_all_ms", stage.filters(FILTERS.len(), clients)?),
    ])
}

impl Stage {
    fn open(program: &Path, database: &Path, time: Duration) -> anyhow::Result<Self> {
        let server = Server::ironstar(program, database)?;
        let cookie = begin_session(server.address)?;
        let mut crowd = Crowd::new(server.address)?;
        crowd.publisher.cookie.clone_from(&cookie);
        let shared = create(&mut crowd, None, TODOS)?;
        let mut lists = Vec::new();
        for number in 0..VIEWS {
            let command = format!(r#"{{"type":"create","name":"List number {number}"}}"#);
            let id = crowd.publisher.command("/api/commands/list", &command)?.id;
            let todos = create(&mut crowd, Some(&id), TODOS)?;
            lists.push(List { id, todos });
        }
        Ok(Self {
            server,
            cookie,
            lists,
            shared,
            time,
        })
    }

    /// Returns the cost of a change in one of this many lists, in milliseconds. The clients
    /// are spread over the lists.
    fn lists(&self, lists: usize, clients: usize) -> anyhow::Result<f64> {
        let mut crowd = Crowd::new(self.server.address)?;
        crowd.publisher.cookie.clone_from(&self.cookie);
        let mut changes = Vec::new();
        for (group, list) in self.lists.iter().take(lists).enumerate() {
            let path = format!("{PAGE}?list={}&show=active", list.id);
            crowd.join(&path, group, clients / lists)?;
            changes.push(Changes::renames(list.todos.clone()));
        }
        self.cost(&mut crowd, &mut changes)
    }

    /// Returns the cost of a change in this many parts of the shared list, in milliseconds.
    fn filters(&self, filters: usize, clients: usize) -> anyhow::Result<f64> {
        let mut crowd = Crowd::new(self.server.address)?;
        for (index, filter) in FILTERS.iter().take(filters).enumerate() {
            let some = clients / filters + usize::from(index < clients % filters);
            crowd.join(&format!("{PAGE}{filter}"), 0, some)?;
        }
        self.cost(&mut crowd, &mut [Changes::toggles(self.shared.clone())])
    }

    /// Returns the average cost of a change. Each change is waited for.
    fn cost(&self, crowd: &mut Crowd, changes: &mut [Changes]) -> anyhow::Result<f64> {
        crowd.publisher.position = self.reset(crowd)?;
        let mut number = 0;
        let mut change = |crowd: &mut Crowd| {
            let group = number % changes.len();
            number += 1;
            crowd.change(&mut changes[group], group)
        };
        for _ in 0..WARMING {
            change(crowd)?;
        }
        self.rest()?;
        let before = self.server.processor_time()?;
        let (end, mut done) = (Instant::now() + self.time, 0);
        while Instant::now() < end {
            change(crowd)?;
            done += 1;
        }
        let cost = self.server.processor_time()?.saturating_sub(before);
        Ok(cost.as_secs_f64() * 1_000.0 / f64::from(done))
    }

    /// Makes the todos of the shared list active. Returns the position of the log.
    fn reset(&self, crowd: &mut Crowd) -> anyhow::Result<u64> {
        let all = r#"{"type":"reopen_all"}"#;
        crowd.publisher.command("/api/commands/todos", all)?;
        // This command certainly makes an event, and so returns the present position. The
        // next changes must not undo the rename, because clients would then see no change at
        // all.
        let (id, position) = (&self.shared[0], crowd.publisher.position);
        let rename = format!(r#"{{"type":"rename","id":"{id}","text":"From {position}"}}"#);
        crowd.publisher.command("/api/commands/todo", &rename)?;
        Ok(crowd.publisher.position)
    }

    /// Waits until the server is idle.
    fn rest(&self) -> anyhow::Result<()> {
        loop {
            let before = self.server.processor_time()?;
            sleep(QUIET);
            if self.server.processor_time()?.saturating_sub(before) <= NEXT_TO_NOTHING {
                return Ok(());
            }
        }
    }
}
