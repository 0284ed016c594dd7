use std::sync::Arc;
use std::time::Duration;

use ironstar_ports::contract::projection_store::RULES;
use ironstar_ports::{
    Build, BuildId, BuildUpdate, CommitError, Document, DocumentBatch, DocumentChange,
    DocumentPage, DocumentQuery, DocumentSource, EventStore, Failure, Found, LogPlace, Payload,
    Place, Position, ProjectionStore, StoreError,
};
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;
use time::macros::datetime;

use super::{Fresh, append_one, open, raw, url};
use crate::contract::passes;

#[tokio::test(flavor = "multi_thread")]
async fn the_projection_store_keeps_the_contract() {
    let fresh = Fresh::default();
    passes(RULES, async || {
        Arc::new(fresh.store().await.projections()) as Arc<dyn ProjectionStore>
    })
    .await;
}

/// A commit of documents with these keys, each in a collection.
pub(super) fn batch(
    build: &Build,
    from: u64,
    to: u64,
    keys: impl Iterator<Item = u64>,
) -> DocumentBatch {
    DocumentBatch {
        build: build.id,
        from: Position::new(from).into(),
        to: Position::new(to).into(),
        changes: keys
            .map(|key| {
                DocumentChange::Put(Document {
                    key: format!("key-{key}"),
                    place: Some(Place {
                        collection: "open".to_owned(),
                        sort: format!("{key:06}"),
                    }),
                    body: Payload::from_text(r#"{"text":"Buy milk"}"#.to_owned()).expect("JSON"),
                })
            })
            .collect(),
    }
}

async fn find_all(store: &dyn ProjectionStore, build: BuildId) -> Option<Found> {
    let page = DocumentPage {
        collections: vec!["open".to_owned()],
        after: None,
        limit: usize::MAX,
    };
    let query = DocumentQuery {
        keys: vec![],
        page: Some(page),
    };
    let source = DocumentSource::Build(build);
    store.find(&source, &query).await.expect("read")
}

async fn count(connection: &mut SqliteConnection, rows: &'static str) -> i64 {
    sqlx::query_scalar(rows)
        .fetch_one(connection)
        .await
        .expect("counted")
}

const DOCUMENTS: &str = "SELECT count(*) FROM documents";
const ENDED: &str = "SELECT count(*) FROM projections WHERE state = 'ended'";

/// Waits until all rows of ended builds are deleted.
async fn swept(connection: &mut SqliteConnection) {
    let swept = async {
        while count(connection, ENDED).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept)
        .await
        .expect("swept in time");
}

#[tokio::test]
async fn read_models_outlive_the_process() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    let projections = store.projections();
    let live = projections.begin("todo-list", 1).await.expect("begun");
    let first = batch(&live, 0, 5, 1..4);
    projections.commit(first).await.expect("committed");
    let promoted = projections.update(live.id, BuildUpdate::Promote).await;
    promoted.expect("promoted");
    let unfinished = projections.begin("todo-list", 2).await.expect("begun");
    let failure = Failure {
        position: Position::new(1),
        event_type: "created".to_owned(),
        reason: "no".to_owned(),
        attempts: 1,
        failed_at: datetime!(2026-11-24 06:00 UTC),
    };
    for update in [
        BuildUpdate::Fail(failure.clone()),
        BuildUpdate::Skip(failure.position),
        BuildUpdate::Fail(failure),
        BuildUpdate::Cancel,
    ] {
        let updated = projections.update(unfinished.id, update).await;
        updated.expect("updated");
    }
    let before = (
        projections.builds().await.expect("read"),
        find_all(&projections, live.id).await,
    );
    store.close().await.expect("closed");
    projections.begin("late", 1).await.expect_err("closed");

    let projections = open(&url(&directory)).await.projections();
    let after = (
        projections.builds().await.expect("read"),
        find_all(&projections, live.id).await,
    );
    assert_eq!(after, before);
    assert_eq!(after.0.len(), 2);
    assert_eq!(after.1.expect("found").page.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_an_ended_build_are_swept() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    let projections = store.projections();
    let mut connection = raw(url.path()).await;
    let mut former = None;
    for version in 1..=2 {
        let build = projections.begin("todo-list", version).await;
        let build = build.expect("begun");
        let all = batch(&build, 0, 5, 0..2_500);
        projections.commit(all).await.expect("committed");
        let promoted = projections.update(build.id, BuildUpdate::Promote).await;
        promoted.expect("promoted");
        former = former.or(Some(build.id));
    }
    let former = former.expect("the first");
    assert_eq!(find_all(&projections, former).await, None);
    append_one(&store).await.expect("appended meanwhile");
    swept(&mut connection).await;
    assert_eq!(count(&mut connection, DOCUMENTS).await, 2_500);
    assert_eq!(find_all(&projections, former).await, None);
}

/// The next process sweeps the rows that remained when this one ended.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_ended_build_is_swept_at_the_start() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    let projections = store.projections();
    let build = projections.begin("todo-list", 1).await.expect("begun");
    let all = batch(&build, 0, 5, 0..2_500);
    projections.commit(all).await.expect("committed");
    store.close().await.expect("closed");
    let mut connection = raw(url.path()).await;
    sqlx::query("UPDATE projections SET state = 'ended'")
        .execute(&mut connection)
        .await
        .expect("ended");
    let store = open(&url).await;
    swept(&mut connection).await;
    assert_eq!(count(&mut connection, DOCUMENTS).await, 0);
    let next = store.projections().begin("todo-list", 1).await;
    assert_ne!(next.expect("begun").id, build.id);
}

#[tokio::test]
async fn view_shows_the_documents_that_queries_find() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let projections = open(&url).await.projections();
    for version in 1..=2 {
        let build = projections.begin("todo-list", version).await;
        let build = build.expect("begun");
        let keys = u64::from(version)..4;
        let some = batch(&build, 0, 5, keys);
        projections.commit(some).await.expect("committed");
        if version == 1 {
            let promoted = projections.update(build.id, BuildUpdate::Promote).await;
            promoted.expect("promoted");
        }
    }
    let mut connection = raw(url.path()).await;
    let rows: Vec<(String, String, String, String, String)> =
        sqlx::query_as("SELECT * FROM read_models ORDER BY sort")
            .fetch_all(&mut connection)
            .await
            .expect("rows");
    let keys: Vec<&str> = rows.iter().map(|row| &*row.3).collect();
    assert_eq!(keys, ["key-1", "key-2", "key-3"]);
    let (projection, collection, sort, _, body) = &rows[0];
    assert_eq!(
        (&**projection, &**collection, &**sort, &**body),
        ("todo-list", "open", "000001", r#"{"text":"Buy milk"}"#)
    );
}

/// A commit that fails half-way leaves no trace. It affects neither the next commit nor the
/// next event.
#[tokio::test(flavor = "multi_thread")]
async fn failed_commit_changes_nothing() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let store = open(&url).await;
    let projections = store.projections();
    let build = projections.begin("todo-list", 1).await.expect("begun");
    let mut saboteur = raw(url.path()).await;
    let sabotage = "CREATE TRIGGER sabotage BEFORE INSERT ON documents WHEN NEW.key = 'key-2'
                    BEGIN SELECT RAISE(ABORT, 'sabotage'); END;";
    sqlx::raw_sql(sabotage)
        .execute(&mut saboteur)
        .await
        .expect("sabotaged");
    let answer = projections.commit(batch(&build, 0, 5, 1..4)).await;
    assert!(matches!(answer, Err(CommitError::Store(_))), "{answer:?}");
    append_one(&store).await.expect("appended");
    let found = find_all(&projections, build.id).await.expect("found");
    assert_eq!((found.checkpoint, found.page), (LogPlace::START, vec![]));
    let harmless = batch(&build, 0, 5, 1..2);
    projections.commit(harmless).await.expect("committed");
    append_one(&store).await.expect("appended");
    assert_eq!(store.head().await.expect("read"), Position::new(2));
}

#[tokio::test]
async fn projections_are_refused_after_the_file_is_removed() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let projections = open(&url).await.projections();
    let build = projections.begin("todo-list", 1).await.expect("begun");
    std::fs::remove_file(url.path()).expect("removed");
    let begun = projections.begin("other", 1).await;
    assert!(
        matches!(begun, Err(StoreError::Unavailable(_))),
        "{begun:?}"
    );
    let updated = projections.update(build.id, BuildUpdate::Cancel).await;
    updated.expect_err("the file is gone");
    let committed = projections.commit(batch(&build, 0, 5, 1..2)).await;
    committed.expect_err("the file is gone");
}
