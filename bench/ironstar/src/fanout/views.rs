//! What a change costs the server's processors, by how many clients watch how
//! many views: lists of their own, or parts of the same one.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::publisher::{Changes, begin_session};
use super::{PAGE, TODOS, WARMING, allow_files, create};
use crate::Figures;
use crate::server::Server;

/// How many views are watched, if they are many.
const VIEWS: usize = 100;

/// How many clients watch, if they are few.
const FEW: usize = 100;

/// For how long the server has to do next to nothing before it is measured, and
/// how much that is.
const QUIET: Duration = Duration::from_millis(200);
const NEXT_TO_NOTHING: Duration = Duration::from_millis(10);

/// The parts of the shared list that a todo may be in.
const FILTERS: [&str; 3] = ["", "?show=active", "?show=completed"];

/// A list, and the todos in it.
#[derive(Debug)]
struct List {
    id: String,
    todos: Vec<String>,
}

#[derive(Debug)]
struct Stage {
    server: Server,
    /// Whose the lists are.
    cookie: String,
    lists: Vec<List>,
    shared: Vec<String>,
    time: Duration,
}

/// Measures ironstar with few clients, and with so many.
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

    /// What a change costs that is seen in one of so many lists; the clients are
    /// spread over these. In milliseconds.
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

    /// What a change costs that is seen in this many parts of the shared list.
    fn filters(&self, filters: usize, clients: usize) -> anyhow::Result<f64> {
        let mut crowd = Crowd::new(self.server.address)?;
        for (index, filter) in FILTERS.iter().take(filters).enumerate() {
            let some = clients / filters + usize::from(index < clients % filters);
            crowd.join(&format!("{PAGE}{filter}"), 0, some)?;
        }
        self.cost(&mut crowd, &mut [Changes::toggles(self.shared.clone())])
    }

    /// What one of these changes costs, on average. Each is waited for.
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

    /// Makes the todos of the shared list active. Returns the position of the
    /// log.
    fn reset(&self, crowd: &mut Crowd) -> anyhow::Result<u64> {
        let all = r#"{"type":"reopen_all"}"#;
        crowd.publisher.command("/api/commands/todos", all)?;
        // The position of something that has changed for certain. It must not be
        // undone by what follows: nobody would see any of it.
        let (id, position) = (&self.shared[0], crowd.publisher.position);
        let rename = format!(r#"{{"type":"rename","id":"{id}","text":"From {position}"}}"#);
        crowd.publisher.command("/api/commands/todo", &rename)?;
        Ok(crowd.publisher.position)
    }

    /// Waits until the server has come to rest.
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
