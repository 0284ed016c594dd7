//! Builds and documents for the rules, and calls that report errors as violations.

use time::macros::datetime;
use uuid::Uuid;

use super::Store;
use crate::contract::{Verdict, Violation, equal, failed};
use crate::{
    Build, BuildId, BuildState, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, Failure, Found, LogPlace, Payload, Place,
    Position, UpdateError,
};

/// The projection that most rules use.
pub(super) const NAME: &str = "todo-list";

/// The collection that most rules use.
pub(super) const OPEN: &str = "open";

/// Begins or continues a build of [`NAME`].
pub(super) async fn begin(store: &Store, version: u32) -> Result<BuildId, Violation> {
    Ok(begin_of(store, NAME, version).await?.id)
}

pub(super) async fn begin_of(store: &Store, name: &str, version: u32) -> Result<Build, Violation> {
    store.begin(name, version).await.map_err(failed("begin"))
}

/// Makes a live build of [`NAME`].
pub(super) async fn live(store: &Store, version: u32) -> Result<BuildId, Violation> {
    let build = begin(store, version).await?;
    update(store, build, BuildUpdate::Promote).await?;
    Ok(build)
}

pub(super) async fn update(store: &Store, build: BuildId, update: BuildUpdate) -> Verdict {
    store.update(build, update).await.map_err(failed("update"))
}

/// Requires that an update is refused because of the build's state.
pub(super) async fn in_wrong_state(store: &Store, build: BuildId, update: BuildUpdate) -> Verdict {
    match store.update(build, update.clone()).await {
        Err(UpdateError::WrongState) => Ok(()),
        answer => Err(Violation(format!(
            "{update:?} must be refused in that state, but: {answer:?}"
        ))),
    }
}

/// A commit of changes to a build.
pub(super) fn batch(
    build: BuildId,
    from: u64,
    to: u64,
    changes: Vec<DocumentChange>,
) -> DocumentBatch {
    DocumentBatch {
        build,
        from: Position::new(from).into(),
        to: Position::new(to).into(),
        changes,
    }
}

pub(super) async fn commit(
    store: &Store,
    build: BuildId,
    from: u64,
    to: u64,
    changes: Vec<DocumentChange>,
) -> Verdict {
    let commit = store.commit(batch(build, from, to, changes)).await;
    commit.map_err(failed("commit"))
}

/// The place of the event with this id.
pub(super) fn place(position: u64, id: u128) -> LogPlace {
    LogPlace::of(Position::new(position), Uuid::from_u128(id))
}

/// Moves the checkpoint from one place to another.
pub(super) async fn commit_places(
    store: &Store,
    build: BuildId,
    from: LogPlace,
    to: LogPlace,
) -> Verdict {
    let batch = DocumentBatch {
        build,
        from,
        to,
        changes: vec![put("moved", "1")],
    };
    store.commit(batch).await.map_err(failed("commit"))
}

/// Moves the checkpoint, and stores its position in the document `at`.
pub(super) async fn advance(store: &Store, build: BuildId, from: u64, to: u64) -> Verdict {
    commit(store, build, from, to, vec![put("at", &to.to_string())]).await
}

/// Requires that a commit is refused because the build has ended or was cancelled.
pub(super) async fn has_stopped(store: &Store, batch: DocumentBatch) -> Verdict {
    match store.commit(batch).await {
        Err(CommitError::Ended) => Ok(()),
        answer => Err(Violation(format!(
            "a commit to a build that has stopped must be refused, but: {answer:?}"
        ))),
    }
}

/// Requires that a commit is refused because of the checkpoint, and returns the checkpoint that
/// the refusal names.
pub(super) fn moved(answer: Result<(), CommitError>) -> Result<LogPlace, Violation> {
    match answer {
        Err(CommitError::Moved { checkpoint }) => Ok(checkpoint),
        answer => Err(Violation(format!(
            "a commit from elsewhere must be refused, but: {answer:?}"
        ))),
    }
}

pub(super) fn document(key: &str, place: Option<(&str, &str)>, body: &str) -> Document {
    Document {
        key: key.to_owned(),
        place: place.map(|(collection, sort)| Place {
            collection: collection.to_owned(),
            sort: sort.to_owned(),
        }),
        body: Payload::from_text(body.to_owned()).expect("it is JSON"),
    }
}

/// Stores a document that is not listed.
pub(super) fn put(key: &str, body: &str) -> DocumentChange {
    DocumentChange::Put(document(key, None, body))
}

/// Stores a document that is listed.
pub(super) fn list(key: &str, collection: &str, sort: &str) -> DocumentChange {
    DocumentChange::Put(document(key, Some((collection, sort)), "{}"))
}

pub(super) fn remove(key: &str) -> DocumentChange {
    DocumentChange::Remove(key.to_owned())
}

pub(super) async fn find(
    store: &Store,
    source: DocumentSource,
    query: DocumentQuery,
) -> Result<Option<Found>, Violation> {
    store.find(&source, &query).await.map_err(failed("find"))
}

/// Queries a build that must exist.
pub(super) async fn find_in(
    store: &Store,
    build: BuildId,
    query: DocumentQuery,
) -> Result<Found, Violation> {
    let found = find(store, DocumentSource::Build(build), query).await?;
    found.ok_or_else(|| Violation(format!("build {build} must be found")))
}

/// Returns the live build of a projection, if there is one.
pub(super) async fn found_live(store: &Store, name: &str) -> Result<Option<BuildId>, Violation> {
    let source = DocumentSource::Live(name.to_owned());
    let found = find(store, source, DocumentQuery::default()).await?;
    Ok(found.map(|found| found.build))
}

pub(super) fn by_keys(keys: &[&str]) -> DocumentQuery {
    DocumentQuery {
        keys: keys.iter().map(|&key| key.to_owned()).collect(),
        page: None,
    }
}

/// Requires that a document has this content, or that it does not exist.
pub(super) async fn says(
    store: &Store,
    build: BuildId,
    key: &str,
    expected: Option<&str>,
) -> Verdict {
    let found = find_in(store, build, by_keys(&[key])).await?;
    let bodies: Vec<&str> = bodies(&found.keyed);
    equal(key, bodies, expected.into_iter().collect())
}

pub(super) fn bodies(documents: &[Document]) -> Vec<&str> {
    documents
        .iter()
        .map(|document| document.body.as_str())
        .collect()
}

pub(super) fn page(
    collections: &[&str],
    after: Option<(&str, &str)>,
    limit: usize,
) -> DocumentQuery {
    DocumentQuery {
        keys: vec![],
        page: Some(DocumentPage {
            collections: collections.iter().map(|&name| name.to_owned()).collect(),
            after: after.map(|(sort, key)| (sort.to_owned(), key.to_owned())),
            limit,
        }),
    }
}

/// Requires that a page of a build has the documents with these keys, in this order.
pub(super) async fn lists(
    store: &Store,
    build: BuildId,
    page: DocumentQuery,
    expected: &[&str],
) -> Verdict {
    let found = find_in(store, build, page.clone()).await?;
    let keys = found.page.iter().map(|document| &*document.key).collect();
    equal(&format!("{page:?}"), keys, expected.to_vec())
}

pub(super) async fn builds(store: &Store) -> Result<Vec<Build>, Violation> {
    store.builds().await.map_err(failed("builds"))
}

/// Returns a build that must be listed.
pub(super) async fn build(store: &Store, id: BuildId) -> Result<Build, Violation> {
    let mut builds = builds(store).await?.into_iter();
    let build = builds.find(|build| build.id == id);
    build.ok_or_else(|| Violation(format!("build {id} must be listed")))
}

/// Returns the states of all builds.
pub(super) async fn states(store: &Store) -> Result<Vec<(BuildId, BuildState)>, Violation> {
    let builds = builds(store).await?;
    Ok(builds.iter().map(|build| (build.id, build.state)).collect())
}

/// Requires that a build has this state and this position.
pub(super) async fn stands(
    store: &Store,
    id: BuildId,
    state: BuildState,
    checkpoint: u64,
) -> Verdict {
    let build = build(store, id).await?;
    equal("the state", build.state, state)?;
    equal(
        "the checkpoint",
        build.checkpoint.position.get(),
        checkpoint,
    )
}

/// A unique failure.
pub(super) fn failure(position: u64) -> Failure {
    Failure {
        position: Position::new(position),
        event_type: format!("type-{position}"),
        reason: format!("cannot do \"{position}\" 🦀"),
        attempts: 3,
        failed_at: datetime!(2026-11-24 06:00:00.123456789 UTC),
    }
}
