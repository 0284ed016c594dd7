//! Compares a read model with a fresh fold of the log.

use std::collections::BTreeMap;

use ironstar_app::decode;
use ironstar_app::projection::Projection;
use ironstar_app::todo::{Show, TodoCounts, TodoDocument, TodoItem, TodoProjection, counts_key};
use ironstar_domain::Aggregate;
use ironstar_domain::list::ListId;
use ironstar_domain::todo::{TodoId, TodoState};
use ironstar_ports::{
    DocumentPage, DocumentQuery, DocumentSource, EventStore, Position, ProjectionStore,
};

/// The number of events that are read at once.
const PAGE: usize = 4_096;

/// Returns all violations in the live read model of todos, for the shared list. There may be
/// no read model yet.
pub(crate) async fn examine(
    log: &dyn EventStore,
    store: &dyn ProjectionStore,
) -> anyhow::Result<Vec<String>> {
    let source = DocumentSource::Live(TodoProjection::NAME.to_owned());
    let query = DocumentQuery {
        keys: vec![counts_key(ListId::SHARED)],
        page: Some(DocumentPage {
            collections: Show::All.collections(ListId::SHARED),
            after: None,
            limit: usize::MAX,
        }),
    };
    let Some(found) = store.find(&source, &query).await? else {
        return Ok(Vec::new());
    };
    let checkpoint = found.checkpoint.position;
    let expected = fold(log, checkpoint).await?;
    let mut violations = Vec::new();
    if expected.last < checkpoint {
        violations.push(format!(
            "the read model is at {}, but the log ends at {}",
            checkpoint, expected.last
        ));
    }
    let read = |body: &str| serde_json::from_str::<TodoDocument>(body);
    let mut todos = Vec::new();
    for document in &found.page {
        todos.extend(read(document.body.as_str())?.todo());
    }
    if todos != expected.todos {
        violations.push(format!(
            "the read model at {} has {} todos, which differ from the {} todos of the log",
            checkpoint,
            todos.len(),
            expected.todos.len()
        ));
    }
    let mut counts = TodoCounts::default();
    for document in &found.keyed {
        counts = read(document.body.as_str())?.counts().unwrap_or_default();
    }
    if counts != expected.counts {
        violations.push(format!(
            "the read model at {} counts {counts:?}, but the log has {:?}",
            checkpoint, expected.counts
        ));
    }
    Ok(violations)
}

/// The expected read model, from the states of the todos.
struct Expected {
    last: Position,
    todos: Vec<TodoItem>,
    counts: TodoCounts,
}

async fn fold(log: &dyn EventStore, to: Position) -> anyhow::Result<Expected> {
    let mut states: BTreeMap<TodoId, (Position, TodoState)> = BTreeMap::new();
    let mut last = Position::START;
    'log: loop {
        let page = log.load_after(last, PAGE).await?;
        for envelope in &page {
            if envelope.position > to {
                break 'log;
            }
            last = envelope.position;
            if envelope.stream.aggregate_type != TodoState::TYPE {
                continue;
            }
            let (id, event) = decode::<TodoState>(envelope)?;
            let (_, state) = states
                .entry(id)
                .or_insert_with(|| (envelope.position, TodoState::default()));
            *state = std::mem::take(state).apply(&event);
        }
        if page.len() < PAGE {
            break;
        }
    }
    let mut counts = TodoCounts::default();
    let mut todos: Vec<TodoItem> = Vec::new();
    for (id, (created, state)) in states {
        let (text, list, completed) = match state {
            TodoState::Active { text, list } => (text, list, false),
            TodoState::Completed { text, list } => (text, list, true),
            TodoState::NotCreated | TodoState::Deleted { .. } => continue,
        };
        if !list.is_shared() {
            continue;
        }
        counts.active += u64::from(!completed);
        counts.completed += u64::from(completed);
        todos.push(TodoItem {
            id,
            list,
            text,
            completed,
            created,
        });
    }
    todos.sort_by_key(|todo| todo.created);
    Ok(Expected {
        last,
        todos,
        counts,
    })
}
