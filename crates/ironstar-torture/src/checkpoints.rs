//! A read model beside the appends. It must be whole after a power cut, and must
//! take nothing away from the log.

use std::sync::Arc;
use std::time::Duration;

use ironstar_adapters::sqlite::{SqliteEventStore, SqliteProjectionStore};
use ironstar_ports::{
    BuildId, Document, DocumentBatch, DocumentChange, DocumentQuery, DocumentSource, EventStore,
    LogPlace, Payload, Position, ProjectionStore,
};

use crate::appends::Witness;

/// Its projection's name, and the key of its only document, which says how far
/// it is.
const NAME: &str = "torture";
const KEY: &str = "at";

/// How long to wait when there is nothing to do, or the disk fails.
const PAUSE: Duration = Duration::from_millis(1);

/// Follows the log until all is over. Returns how often it has got on.
pub(crate) async fn run(log: Arc<SqliteEventStore>, witness: Arc<Witness>) -> u64 {
    let store = log.projections();
    let mut at = None;
    let mut commits = 0;
    while !witness.is_over() {
        match step(&*log, &store, &mut at).await {
            Ok(true) => commits += 1,
            Ok(false) => tokio::time::sleep(PAUSE).await,
            Err(_) => {
                // Whether it was stored is found out the next time.
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

/// What is wrong with the read model.
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
                "the checkpoint is {checkpoint}, and the document is of {said}"
            ));
        }
        if checkpoint > head {
            violations.push(format!(
                "the checkpoint is {checkpoint}, and the log ends at {head}"
            ));
        }
    }
    Ok(violations)
}
