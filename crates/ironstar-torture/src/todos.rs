//! Commands on todos over HTTP, each with a key, a witness beside them, and what
//! must be true of a log that they went to.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::decode;
use ironstar_domain::{Aggregate, TodoId, TodoState};
use ironstar_ports::{EventStore, Position};
use serde_json::json;

use crate::read_model;
use crate::server::{Answer, Commands, DATABASE, Request};

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

/// One who creates todos and changes them, one command at a time.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    witness: Witness,
    random: fastrand::Rng,
    count: u64,
    /// The todo that it is on, and whether that is done.
    todo: Option<(String, bool)>,
    /// What it was about to do when the server was gone.
    unanswered: Option<Request>,
}

impl Client {
    pub(crate) fn new(name: String, witness: Witness, seed: u64) -> Self {
        Self {
            name,
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
        loop {
            let request = match self.unanswered.take() {
                Some(request) => request,
                None => self.next(),
            };
            let Some(answer) = commands.send(&request).await? else {
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
        let body = match &self.todo {
            None => json!({"type": "create", "text": key}),
            Some((id, false)) => json!({"type": "complete", "id": id}),
            Some((id, true)) if self.random.bool() => json!({"type": "reopen", "id": id}),
            Some((id, true)) => json!({"type": "rename", "id": id, "text": key}),
        };
        Request { key, body }
    }

    fn advance(&mut self, request: &Request, answer: Answer) {
        self.todo = match request.body["type"].as_str() {
            Some("complete") => Some((answer.id, true)),
            Some("rename") => None,
            _ => Some((answer.id, false)),
        };
    }
}

/// Everything that is wrong with the database in a folder, while no server has
/// it open.
pub(crate) async fn examine(folder: &Path, witness: &Witness) -> anyhow::Result<Vec<String>> {
    let database = SqliteDatabase::open(&folder.join(DATABASE).into()).await?;
    let store = SqliteEventStore::new(database, Arc::new(SystemClock), DEFAULT_COMMAND_RETENTION);
    let mut violations = examine_log(&store, witness).await?;
    violations.extend(read_model::examine(&store, &store.projections()).await?);
    store.close().await?;
    Ok(violations)
}

async fn examine_log(store: &dyn EventStore, witness: &Witness) -> anyhow::Result<Vec<String>> {
    const PAGE: usize = 4_096;

    let mut violations = Vec::new();
    let mut todos: HashMap<TodoId, (TodoState, u64)> = HashMap::new();
    let mut by_key: HashMap<String, Answer> = HashMap::new();
    let mut last = Position::START;
    loop {
        let page = store.load_after(last, PAGE).await?;
        for envelope in &page {
            if envelope.position != last.next() {
                violations.push(format!("{} comes after {last}", envelope.position));
            }
            last = envelope.position;
            let (id, event) = decode::<TodoState>(envelope)?;
            let (state, length) = todos.entry(id).or_default();
            let before = state.clone();
            *state = std::mem::take(state).apply(&event);
            if *state == before || envelope.sequence.get() != *length {
                violations.push(format!("{event:?} at {last} cannot follow {before:?}"));
            }
            *length += 1;
            let key = envelope.metadata.origin.correlation_id.clone();
            let answer = Answer {
                id: id.to_string(),
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
    Ok(violations)
}
