//! Commands on todos and lists over HTTP, each with a key, a witness beside them,
//! and what must be true of a log that they went to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::decode;
use ironstar_domain::{Aggregate, TodoId, TodoState};
use ironstar_ports::{EventStore, Position};
use serde_json::json;

use crate::processes::{Processes, step_of};
use crate::read_model;
use crate::server::{Answer, Commands, DATABASE, Recipient, Request};

/// What was answered to which key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<HashMap<String, Answer>>>);

impl Witness {
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Notes an answer. Says so if it is not the one that was given before.
    fn note(&self, key: &str, answer: &Answer) -> Option<String> {
        let before = self.lock().insert(key.to_owned(), answer.clone())?;
        (before != *answer).then(|| format!("{key} is answered {before:?}, and later {answer:?}"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who creates todos and changes them, one command at a time; in the shared
/// list, or each in a list of its own.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    makes_lists: bool,
    /// What makes the lists its own.
    cookie: Option<String>,
    /// The list that it is about to put a todo into.
    list: Option<String>,
    witness: Witness,
    random: fastrand::Rng,
    count: u64,
    /// The todo that it is on, and whether that is done.
    todo: Option<(String, bool)>,
    /// What it was about to do when the server was gone.
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

    /// Sends commands until the server is gone, beginning with the one that it
    /// owes an answer to. Returns what is wrong with the answers.
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
            // Whoever is not sure sends it again.
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

/// What there is in a database.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// Everything that is wrong with it.
    pub(crate) violations: Vec<String>,
    /// What a process manager still has to do.
    pub(crate) unfinished: Vec<String>,
    /// How many of its steps are over.
    pub(crate) steps: u64,
}

/// Looks into the database in a folder, while no server has it open.
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
                    "what was done at {} is done again at {last}",
                    other.position
                ));
            }
        }
        if page.len() < PAGE {
            break;
        }
    }
    for (key, answer) in &*witness.lock() {
        match by_key.get(key) {
            None => violations.push(format!("{key}, which was acknowledged, is gone")),
            Some(found) if found != answer => {
                violations.push(format!("{key} is answered {answer:?}, and is {found:?}"));
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
