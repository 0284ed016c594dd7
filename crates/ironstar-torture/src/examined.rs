//! Examines the log of notes and remarks, and compares it with the replies that clients have.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_app::decode;
use ironstar_domain::Aggregate;
use ironstar_fixtures::note::NoteState;
use ironstar_fixtures::remark::RemarkState;
use ironstar_ports::{Envelope, EventStore, Position};
use uuid::Uuid;

use crate::processes::{Processes, counts, step_of};
use crate::read_model;
use crate::remarks::Witness;
use crate::server::{Answer, DATABASE, Reply};

/// The number of events that are read at once.
const PAGE: usize = 4_096;

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
    let mut log = Log::read(&store).await?;
    log.compare_with(witness);
    let read_model = read_model::examine(&store, &store.projections()).await?;
    let counts = counts::examine(&store, &store.projections()).await?;
    store.close().await?;
    let mut violations = log.violations;
    violations.extend(log.processes.end());
    violations.extend(read_model);
    violations.extend(counts);
    Ok(Examined {
        violations,
        unfinished: log.processes.unfinished(),
        steps: log.processes.over(),
    })
}

/// The state of each aggregate, and its number of events.
type Streams<A> = HashMap<Uuid, (A, u64)>;

/// The part of the log that was read, and its violations.
#[derive(Debug, Default)]
struct Log {
    notes: Streams<NoteState>,
    remarks: Streams<RemarkState>,
    /// The event of each command.
    by_key: HashMap<String, Answer>,
    processes: Processes,
    violations: Vec<String>,
}

impl Log {
    async fn read(store: &dyn EventStore) -> anyhow::Result<Self> {
        let mut log = Self::default();
        let mut last = Position::START;
        loop {
            let page = store.load_after(last, PAGE).await?;
            for envelope in &page {
                if envelope.position != last.next() {
                    let at = envelope.position;
                    log.violations.push(format!("{at} comes after {last}"));
                }
                last = envelope.position;
                log.see(envelope)?;
            }
            if page.len() < PAGE {
                return Ok(log);
            }
        }
    }

    fn see(&mut self, envelope: &Envelope) -> anyhow::Result<()> {
        self.violations.extend(self.processes.see(envelope)?);
        let impossible = match &*envelope.stream.aggregate_type {
            NoteState::TYPE => follow(&mut self.notes, envelope)?,
            RemarkState::TYPE => follow(&mut self.remarks, envelope)?,
            _ => None,
        };
        self.violations.extend(impossible);
        if step_of(envelope).is_some() {
            return Ok(());
        }
        let key = envelope.metadata.origin.correlation_id.clone();
        let answer = Answer {
            id: envelope.stream.aggregate_id.clone(),
            sequence: envelope.sequence.get(),
            position: envelope.position.get(),
        };
        if let Some(other) = self.by_key.insert(key.unwrap_or_default(), answer) {
            self.violations.push(format!(
                "the command of the event at {} ran again at {}",
                other.position, envelope.position
            ));
        }
        Ok(())
    }

    fn compare_with(&mut self, witness: &Witness) {
        for (key, reply) in witness.replies() {
            let found = self.by_key.get(&key);
            let violation = match (&reply, found) {
                (Reply::Accepted(_), None) => format!("{key} was acknowledged, but is gone"),
                (Reply::Accepted(answer), Some(found)) if found != answer => {
                    format!("{key} is answered {answer:?}, but the log has {found:?}")
                }
                (Reply::AlreadyClosed { .. }, Some(found)) => {
                    format!("{key} was refused, but the log has {found:?}")
                }
                (Reply::AlreadyClosed { id, last }, None)
                    if !self.processes.has_closed(id, *last) =>
                {
                    format!("{key} was refused, but no step had closed {id} after {last}")
                }
                (Reply::Accepted(_), Some(_)) | (Reply::AlreadyClosed { .. }, None) => continue,
            };
            self.violations.push(violation);
        }
    }
}

/// Adds an event to its stream. Returns a violation if the event cannot be the next one.
fn follow<A: Aggregate<Id = Uuid>>(
    streams: &mut Streams<A>,
    envelope: &Envelope,
) -> anyhow::Result<Option<String>> {
    let (id, event) = decode::<A>(envelope)?;
    let (state, length) = streams.entry(id).or_default();
    let before = state.clone();
    *state = std::mem::take(state).apply(&event);
    let is_next = *state != before && envelope.sequence.get() == *length;
    *length += 1;
    let at = envelope.position;
    Ok((!is_next).then(|| format!("{event:?} at {at} cannot follow {before:?}")))
}

#[cfg(test)]
mod tests;
