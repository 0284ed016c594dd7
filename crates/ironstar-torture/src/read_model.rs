//! Compares a read model with a fresh fold of the log.

use std::collections::BTreeMap;

use ironstar_app::decode;
use ironstar_app::projection::Projection;
use ironstar_domain::Aggregate;
use ironstar_fixtures::note::{NoteState, OPEN};
use ironstar_fixtures::remark::RemarkState;
use ironstar_fixtures::remarks::{Line, RemarkProjection, collections};
use ironstar_ports::{
    Document, DocumentPage, DocumentQuery, DocumentSource, Envelope, EventStore, Position,
    ProjectionStore,
};
use uuid::Uuid;

/// The number of events that are read at once.
const PAGE: usize = 4_096;

/// The number of notes whose lines are read at once. A store limits the collections of a query.
const NOTES: usize = 100;

/// Returns all violations in the live read model of remarks, for all notes. There may be no
/// read model yet.
pub(crate) async fn examine(
    log: &dyn EventStore,
    store: &dyn ProjectionStore,
) -> anyhow::Result<Vec<String>> {
    let source = DocumentSource::Live(RemarkProjection::NAME.to_owned());
    let Some(found) = store.find(&source, &query(&[])).await? else {
        return Ok(Vec::new());
    };
    let checkpoint = found.checkpoint.position;
    let events = read(log, checkpoint).await?;
    let mut violations = Vec::new();
    let last = events.last().map_or(Position::START, |last| last.position);
    if last < checkpoint {
        violations.push(format!(
            "the read model is at {checkpoint}, but the log ends at {last}"
        ));
    }
    let expected = fold(&events)?;
    let mut notes: Vec<Uuid> = expected.iter().map(|line| line.note).collect();
    notes.push(OPEN);
    notes.sort_unstable();
    notes.dedup();
    let mut documents = Vec::new();
    for notes in notes.chunks(NOTES) {
        let found = store.find(&source, &query(notes)).await?;
        documents.extend(found.into_iter().flat_map(|found| found.page));
    }
    let differences = compare(&documents, &expected)?;
    let differences = differences.into_iter();
    violations.extend(differences.map(|found| format!("the read model at {checkpoint} {found}")));
    Ok(violations)
}

/// Reads the log up to a position.
pub(crate) async fn read(log: &dyn EventStore, to: Position) -> anyhow::Result<Vec<Envelope>> {
    let mut events: Vec<Envelope> = Vec::new();
    loop {
        let last = events.last().map_or(Position::START, |last| last.position);
        let page = log.load_after(last, PAGE).await?;
        let is_last = page.len() < PAGE;
        let count = events.len() + page.len();
        let up_to_there = page.into_iter().filter(|event| event.position <= to);
        events.extend(up_to_there);
        if is_last || events.len() < count {
            return Ok(events);
        }
    }
}

/// Returns the differences between documents and the expected lines.
fn compare(documents: &[Document], expected: &[Line]) -> anyhow::Result<Vec<String>> {
    let mut differences = Vec::new();
    let mut lines = Vec::new();
    for document in documents {
        let line: Line = serde_json::from_str(document.body.as_str())?;
        if document.place != RemarkProjection::place(&line) {
            differences.push(format!("has {line:?} at {:?}", document.place));
        }
        lines.push(line);
    }
    lines.sort_by_key(|line| line.created);
    if lines != expected {
        differences.push(format!(
            "has {} lines, which differ from the {} lines of the log",
            lines.len(),
            expected.len()
        ));
    }
    Ok(differences)
}

/// A query of the lines of notes.
fn query(notes: &[Uuid]) -> DocumentQuery {
    DocumentQuery {
        keys: Vec::new(),
        page: Some(DocumentPage {
            collections: notes.iter().copied().flat_map(collections).collect(),
            after: None,
            limit: usize::MAX,
        }),
    }
}

/// An aggregate, as its events make it.
#[derive(Debug)]
struct Folded<A> {
    /// The position of its first event.
    created: Position,
    /// The number of its events.
    changes: u64,
    state: A,
}

/// The expected lines, from the states of the notes and remarks.
fn fold(log: &[Envelope]) -> anyhow::Result<Vec<Line>> {
    let mut notes: BTreeMap<Uuid, Folded<NoteState>> = BTreeMap::new();
    let mut remarks: BTreeMap<Uuid, Folded<RemarkState>> = BTreeMap::new();
    for event in log {
        match &*event.stream.aggregate_type {
            NoteState::TYPE => add(&mut notes, event)?,
            RemarkState::TYPE => add(&mut remarks, event)?,
            _ => {}
        }
    }
    let notes = notes.iter().filter_map(|(id, note)| {
        Some(Line {
            id: *id,
            note: *id,
            is_remark: false,
            text: note.state.text()?.to_owned(),
            is_closed: false,
            created: note.created,
            changes: note.changes,
        })
    });
    let remarks = remarks.iter().filter_map(|(id, remark)| {
        Some(Line {
            id: *id,
            note: remark.state.note()?,
            is_remark: true,
            text: remark.state.text()?.to_owned(),
            is_closed: remark.state.is_closed(),
            created: remark.created,
            changes: remark.changes,
        })
    });
    let mut lines: Vec<Line> = notes.chain(remarks).collect();
    lines.sort_by_key(|line| line.created);
    Ok(lines)
}

fn add<A: Aggregate<Id = Uuid>>(
    aggregates: &mut BTreeMap<Uuid, Folded<A>>,
    event: &Envelope,
) -> anyhow::Result<()> {
    let (id, happened) = decode::<A>(event)?;
    let folded = aggregates.entry(id).or_insert_with(|| Folded {
        created: event.position,
        changes: 0,
        state: A::default(),
    });
    folded.state = std::mem::take(&mut folded.state).apply(&happened);
    folded.changes += 1;
    Ok(())
}

#[cfg(test)]
mod tests;
