//! Commands on notes and remarks over HTTP, and a witness of their replies. Each command has a
//! key.

use std::collections::HashMap;
use std::sync::Arc;

use ironstar_ports::Position;
use parking_lot::Mutex;
use serde_json::json;

use crate::server::{Commands, Recipient, Reply, Request};

/// The replies by key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<HashMap<String, Reply>>>);

impl Witness {
    /// The number of acknowledged commands.
    pub(crate) fn len(&self) -> usize {
        let replies = self.0.lock();
        let accepted = replies
            .values()
            .filter(|reply| matches!(reply, Reply::Accepted(_)));
        accepted.count()
    }

    /// All replies by key.
    pub(crate) fn replies(&self) -> HashMap<String, Reply> {
        self.0.lock().clone()
    }

    fn has(&self, key: &str) -> bool {
        self.0.lock().contains_key(key)
    }

    /// Records a reply. Returns a violation if an earlier reply was different.
    pub(crate) fn note(&self, key: &str, reply: &Reply) -> Option<String> {
        let before = self.0.lock().insert(key.to_owned(), reply.clone())?;
        (before != *reply).then(|| format!("{key} is answered {before:?}, and later {reply:?}"))
    }
}

/// A client that creates and changes remarks, one command at a time. It uses the open note, or
/// creates its own notes.
#[derive(Debug)]
pub(crate) struct Client {
    name: String,
    makes_notes: bool,
    /// The session cookie, which makes the client the owner of its notes.
    cookie: Option<String>,
    /// The new note that gets the next remark.
    note: Option<String>,
    witness: Witness,
    random: fastrand::Rng,
    count: u64,
    /// The current remark.
    remark: Option<Remark>,
    /// The command without an answer, if the server was killed.
    unanswered: Option<Request>,
}

/// A remark, as its client knows it.
#[derive(Debug)]
struct Remark {
    id: String,
    /// True if the client has closed it. A process manager may have closed it, too.
    is_closed: bool,
    /// The position of the client's last event of the remark.
    last: Position,
}

impl Client {
    pub(crate) fn new(name: String, makes_notes: bool, witness: Witness, seed: u64) -> Self {
        Self {
            name,
            makes_notes,
            cookie: None,
            note: None,
            witness,
            random: fastrand::Rng::with_seed(seed),
            count: 0,
            remark: None,
            unanswered: None,
        }
    }

    /// Sends commands until the server is killed. It begins with the unanswered command.
    /// Returns the violations in the answers.
    pub(crate) async fn run(&mut self, commands: &Commands) -> anyhow::Result<Vec<String>> {
        let mut violations = Vec::new();
        if self.makes_notes && self.cookie.is_none() {
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
            let Some(reply) = commands.send(&request, self.cookie.as_deref()).await? else {
                self.unanswered = Some(request);
                return Ok(violations);
            };
            let is_repeated = self.witness.has(&request.key);
            violations.extend(self.witness.note(&request.key, &reply));
            if !is_repeated {
                self.advance(&request, reply);
            }
            // Sometimes the client repeats a command, as if the answer had been lost.
            if self.random.u8(0..8) == 0 {
                self.unanswered = Some(request);
            }
        }
    }

    fn next(&mut self) -> Request {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let mut to = Recipient::Remark;
        let body = match (&self.remark, &self.note) {
            (None, None) if self.makes_notes => {
                to = Recipient::Note;
                json!({"type": "create", "text": key})
            }
            (None, None) => json!({"type": "create", "text": key}),
            (None, Some(note)) => json!({"type": "create", "text": key, "note": note}),
            (Some(remark), _) => {
                let (id, is_closed) = (&remark.id, remark.is_closed);
                match self.random.u8(0..4) {
                    0 | 1 if is_closed => json!({"type": "reopen", "id": id}),
                    2 if is_closed => json!({"type": "delete", "id": id}),
                    0 | 3 => json!({"type": "rewrite", "id": id, "text": key}),
                    _ => json!({"type": "close", "id": id}),
                }
            }
        };
        let last = self.remark.as_ref();
        let last = last.map_or(Position::START, |remark| remark.last);
        Request {
            key,
            to,
            body,
            last,
        }
    }

    fn advance(&mut self, request: &Request, reply: Reply) {
        let was_closed = self.remark.take().is_some_and(|remark| remark.is_closed);
        let (id, last) = match reply {
            Reply::Accepted(answer) if request.to == Recipient::Note => {
                self.note = Some(answer.id);
                return;
            }
            Reply::Accepted(answer) => (answer.id, Position::new(answer.position)),
            Reply::AlreadyClosed { id, last } => (id, last),
        };
        self.note = None;
        let is_closed = match request.body["type"].as_str() {
            // The last commands on a remark. An open remark is left to the process manager.
            Some("delete") => return,
            Some("rewrite") if was_closed || self.makes_notes => return,
            Some("close") => true,
            _ => false,
        };
        self.remark = Some(Remark {
            id,
            is_closed,
            last,
        });
    }
}
