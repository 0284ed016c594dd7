//! A read model that is stored during the appends. It must be consistent after a power cut,
//! and must not damage the log.

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::sqlite::{SqliteEventStore, SqliteProjectionStore};
use ironstar_ports::{
    BuildId, Document, DocumentBatch, DocumentChange, DocumentQuery, DocumentSource, EventStore,
    LogPlace, Payload, Position, ProjectionStore,
};

use crate::appends::Witness;

/// The name of its projection, and the key of its only document, which states its position.
const NAME: &str = "torture";
const KEY: &str = "at";

/// The pause when there is no new event, or when the disk fails.
const PAUSE: Duration = Duration::from_millis(1);

/// Follows the log until the check is over. Returns the number of commits.
pub(crate) async fn run(log: Arc<SqliteEventStore>, witness: Arc<Witness>) -> u64 {
    let store = log.projections();
    let mut at = None;
    let mut commits = 0;
    while !witness.is_over() {
        match step(&*log, &store, &mut at).await {
            Ok(true) => commits += 1,
            Ok(false) => tokio::time::sleep(PAUSE).await,
            Err(_) => {
                // The next attempt finds out whether this commit was stored.
                at = None;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    commits
}

async fn step(
    log: &dyn EventStore,
    store: &SqliteProjectionStore,
    at: &mut Option<(BuildId, LogPlace)>,
) -> anyhow::Result<bool> {
    let (build, from) = match *at {
        Some(at) => at,
        None => {
            let build = store.begin(NAME, 1).await?;
            (build.id, build.checkpoint)
        }
    };
    *at = Some((build, from));
    let to = log.head().await?;
    if to == from.position {
        return Ok(false);
    }
    let document = Document {
        key: KEY.to_owned(),
        place: None,
        body: Payload::of(&to)?,
    };
    let batch = DocumentBatch {
        build,
        from,
        to: to.into(),
        changes: vec![DocumentChange::Put(document)],
    };
    store.commit(batch).await?;
    *at = Some((build, to.into()));
    Ok(true)
}

/// Returns all violations in the read model.
pub(crate) async fn examine(log: &SqliteEventStore) -> anyhow::Result<Vec<String>> {
    let store = log.projections();
    let mut violations = Vec::new();
    for build in store.builds().await? {
        let source = DocumentSource::Build(build.id);
        let query = DocumentQuery {
            keys: vec![KEY.to_owned()],
            page: None,
        };
        let Some(found) = store.find(&source, &query).await? else {
            continue;
        };
        let said = match found.keyed.first() {
            Some(document) => serde_json::from_str(document.body.as_str())?,
            None => Position::START,
        };
        let (checkpoint, head) = (found.checkpoint.position, log.head().await?);
        if said != checkpoint {
            violations.push(format!(
                "the checkpoint is {checkpoint}, but the document states {said}"
            ));
        }
        if checkpoint > head {
            violations.push(format!(
                "the checkpoint is {checkpoint}, but the log ends at {head}"
            ));
        }
    }
    Ok(violations)
}
