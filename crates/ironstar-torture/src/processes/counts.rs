//! Compares the state of the process manager with the log: the number of events of each remark.

use std::collections::BTreeMap;

use ironstar_app::ProcessManager;
use ironstar_app::process::ProcessDocument;
use ironstar_domain::Aggregate;
use ironstar_fixtures::closing::Closing;
use ironstar_fixtures::remark::RemarkState;
use ironstar_ports::{
    Document, DocumentQuery, DocumentSource, Envelope, EventStore, ProjectionStore,
};

use crate::read_model::read;

/// The document of a process manager.
type Kept =
    ProcessDocument<<Closing as ProcessManager>::State, <Closing as ProcessManager>::Command>;

/// The numbers of events, by the keys of their documents.
type Counts = BTreeMap<String, u64>;

/// Returns all violations in the state of the process manager. There may be none yet.
pub(crate) async fn examine(
    log: &dyn EventStore,
    store: &dyn ProjectionStore,
) -> anyhow::Result<Vec<String>> {
    let source = DocumentSource::Live(Closing::NAME.to_owned());
    let nothing = DocumentQuery {
        keys: Vec::new(),
        page: None,
    };
    let Some(found) = store.find(&source, &nothing).await? else {
        return Ok(Vec::new());
    };
    let checkpoint = found.checkpoint.position;
    let expected = count(&read(log, checkpoint).await?);
    let query = DocumentQuery {
        keys: expected.keys().cloned().collect(),
        page: None,
    };
    let found = store.find(&source, &query).await?;
    let documents = found.map_or_else(Vec::new, |found| found.keyed);
    let differences = compare(&documents, &expected)?.into_iter();
    let violations = differences.map(|found| format!("the process at {checkpoint} {found}"));
    Ok(violations.collect())
}

fn count(log: &[Envelope]) -> Counts {
    let mut counts = Counts::new();
    let remarks = log
        .iter()
        .filter(|event| event.stream.aggregate_type == RemarkState::TYPE);
    for event in remarks {
        let key = format!("state/{}", event.stream.aggregate_id);
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Returns the differences between documents and the expected numbers.
fn compare(documents: &[Document], expected: &Counts) -> anyhow::Result<Vec<String>> {
    let mut found = Counts::new();
    for document in documents {
        if let Kept::State { state } = serde_json::from_str(document.body.as_str())? {
            found.insert(document.key.clone(), state);
        }
    }
    let expected = expected.iter();
    let differences = expected.filter(|(key, count)| found.get(*key) != Some(count));
    let differences = differences.map(|(key, count)| {
        format!(
            "has {:?} events in {key}, but the log has {count}",
            found.get(key)
        )
    });
    Ok(differences.collect())
}

#[cfg(test)]
mod tests {
    use ironstar_ports::Payload;

    use super::*;
    use crate::written::{REMARK, closed, created, envelopes};

    /// The number of differences between a state and a log of two events.
    fn differences(state: Option<u64>) -> usize {
        let expected = count(&envelopes(&[created(REMARK), closed(REMARK, None)]));
        let document = |state| Document {
            key: format!("state/{REMARK}"),
            place: None,
            body: Payload::of(&Kept::State { state }).expect("JSON"),
        };
        let documents: Vec<Document> = state.map(document).into_iter().collect();
        compare(&documents, &expected).expect("readable").len()
    }

    #[test]
    fn event_that_is_folded_twice_or_never_is_found() {
        assert_eq!(differences(Some(2)), 0);
        assert_eq!(differences(Some(3)), 1);
        assert_eq!(differences(Some(1)), 1);
        assert_eq!(differences(None), 1);
    }
}
