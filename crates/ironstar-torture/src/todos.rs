//! Commands on todos and lists over HTTP, a witness of their answers, and the examination of
//! the resulting log. Each command has a key.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::decode;
use ironstar_domain::Aggregate;
use ironstar_domain::todo::{TodoId, TodoState};
use ironstar_ports::{EventStore, Position};
use parking_lot::Mutex;
use serde_json::json;

use crate::processes::{Processes, step_of};
use crate::read_model;
use crate::server::{Answer, Commands, DATABASE, Recipient, Request};

/// The answers by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<HashMap<String, Answer>>>);

impl Witness {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Records an answer. Returns a violation if an earlier answer was different.
    fn note(&self, key: &str, answer: &Answer) -> Option<String> {
        let before = self.0.lock().insert(key.to_owned(), answer.clone())?;
        (before != *answer).then(|| format!("{key} is answered {before:?}, and later {answer:?}"))
    }
}

/// A client that creates and changes todos, one command at a time. It uses the shared list,
/// or creates its own lists.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    makes_lists: bool,
    /// The session cookie, which makes the client the owner of its lists.
    cookie: Option<String>,
    /// The new list that gets the next todo.
    list: Option<String>,
    witness: Witness,
    random: fastrand::Rng,
    count: u64,
    /// The current todo, and whether it is completed.
    todo: Option<(String, bool)>,
    /// The command without an answer, if the server was killed.
    unanswered: Option<Request>,
}

impl Client {
    pub(crate) fn new(name: String, makes_lists: bool, witness: Witness, seed: u64) -> Self {
        Self {
            name,
            makes_lists,
            cookie: None,
            list: None,
            witness,
            random: fastrand::Rng::with_seed(seed),
            count: 0,
            todo: None,
            unanswered: None,
        }
    }

    /// Sends commands until the server is killed. It begins with the unanswered command.
    /// Returns the violations in the answers.
    pub(crate) async fn run(&mut self, commands: &Commands) -> anyhow::Result<Vec<String>> {
        let mut violations = Vec::new();
        if self.makes_lists && self.cookie.is_none() {
            self.cookie = commands.begin_session().await?;
            if self.cookie.is_none() {
                return Ok(violations);
            }
        }
        loop {
            let request = match self.unanswered.take() {
                Some(request) => request,
                None => self.next(),
            };
            let Some(answer) = commands.send(&request, self.cookie.as_deref()).await? else {
                self.unanswered = Some(request);
                return Ok(violations);
            };
            violations.extend(self.witness.note(&request.key, &answer));
            self.advance(&request, answer);
            // Sometimes the client repeats a command, as if the answer had been lost.
            if self.random.u8(0..8) == 0 {
                self.unanswered = Some(request);
            }
        }
    }

    fn next(&mut self) -> Request {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let mut to = Recipient::Todo;
        let body = match (&self.todo, &self.list) {
            (None, None) if self.makes_lists => {
                to = Recipient::List;
                json!({"type": "create", "name": key})
            }
            (None, None) => json!({"type": "create", "text": key}),
            (None, Some(list)) => json!({"type": "create", "text": key, "list": list}),
            (Some((id, false)), _) => json!({"type": "complete", "id": id}),
            (Some((id, true)), _) if self.random.bool() => json!({"type": "reopen", "id": id}),
            (Some((id, true)), _) => json!({"type": "rename", "id": id, "text": key}),
        };
        Request { key, to, body }
    }

    fn advance(&mut self, request: &Request, answer: Answer) {
        if request.to == Recipient::List {
            self.list = Some(answer.id);
            return;
        }
        self.list = None;
        self.todo = match request.body["type"].as_str() {
            Some("complete") => Some((answer.id, true)),
            Some("rename") => None,
            _ => Some((answer.id, false)),
        };
    }
}

/// The result of examining a database.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// All violations.
    pub(crate) violations: Vec<String>,
    /// The remaining work of a process manager.
    pub(crate) unfinished: Vec<String>,
    /// The number of its recorded steps.
    pub(crate) steps: u64,
}

/// Examines the database in a folder, while no server has it open.
pub(crate) async fn examine(folder: &Path, witness: &Witness) -> anyhow::Result<Examined> {
    let database = SqliteDatabase::open(&folder.join(DATABASE).into()).await?;
    let store = SqliteEventStore::new(database, Arc::new(SystemClock), DEFAULT_COMMAND_RETENTION);
    let mut examined = examine_log(&store, witness).await?;
    let read_model = read_model::examine(&store, &store.projections()).await?;
    examined.violations.extend(read_model);
    store.close().await?;
    Ok(examined)
}

async fn examine_log(store: &dyn EventStore, witness: &Witness) -> anyhow::Result<Examined> {
    const PAGE: usize = 4_096;

    let mut violations = Vec::new();
    let mut todos: HashMap<TodoId, (TodoState, u64)> = HashMap::new();
    let mut by_key: HashMap<String, Answer> = HashMap::new();
    let mut last = Position::START;
    let mut processes = Processes::default();
    loop {
        let page = store.load_after(last, PAGE).await?;
        for envelope in &page {
            if envelope.position != last.next() {
                violations.push(format!("{} comes after {last}", envelope.position));
            }
            last = envelope.position;
            violations.extend(processes.see(envelope)?);
            if envelope.stream.aggregate_type == TodoState::TYPE {
                let (id, event) = decode::<TodoState>(envelope)?;
                let (state, length) = todos.entry(id).or_default();
                let before = state.clone();
                *state = std::mem::take(state).apply(&event);
                if *state == before || envelope.sequence.get() != *length {
                    violations.push(format!("{event:?} at {last} cannot follow {before:?}"));
                }
                *length += 1;
            }
            if step_of(envelope).is_some() {
                continue;
            }
            let key = envelope.metadata.origin.correlation_id.clone();
            let answer = Answer {
                id: envelope.stream.aggregate_id.clone(),
                sequence: envelope.sequence.get(),
                position: last.get(),
            };
            if let Some(other) = by_key.insert(key.unwrap_or_default(), answer) {
                violations.push(format!(
                    "the command of the event at {} ran again at {last}",
                    other.position
                ));
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    for (key, answer) in &*witness.0.lock() {
        match by_key.get(key) {
            None => violations.push(format!("{key} was acknowledged, but is gone")),
            Some(found) if found != answer => {
                violations.push(format!(
                    "{key} is answered {answer:?}, but the log has {found:?}"
                ));
            }
            Some(_) => {}
        }
    }
    violations.extend(processes.end());
    Ok(Examined {
        violations,
        unfinished: processes.unfinished(),
        steps: processes.over(),
    })
}
