//! Sessions and secrets in the file of the log.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ironstar_ports::contract::{secret_store, session_store};
use ironstar_ports::{Payload, SecretStore, SessionHash, SessionStore, StoredSession};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use super::{Fresh, append_one, open, raw, url};
use crate::contract::passes;

#[tokio::test(flavor = "multi_thread")]
async fn the_session_store_keeps_the_contract() {
    let fresh = Fresh::default();
    passes(session_store::RULES, async || {
        Arc::new(fresh.store().await.sessions()) as Arc<dyn SessionStore>
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_store_keeps_the_contract() {
    let fresh = Fresh::default();
    passes(secret_store::RULES, async || {
        Arc::new(fresh.store().await.sessions()) as Arc<dyn SecretStore>
    })
    .await;
}

fn now() -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)
}

pub(super) fn session(number: u64) -> StoredSession {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    StoredSession {
        id: SessionHash::new(hash),
        data: Payload::from_text("{}".to_owned()).expect("JSON"),
        expires_at: now() + Duration::hours(1),
    }
}

#[tokio::test]
async fn new_file_is_readable_by_its_owner_only() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    store.sessions().create(session(1)).await.expect("created");
    let files = std::fs::read_dir(directory.path()).expect("read");
    let mut count = 0;
    for file in files {
        let file = file.expect("read");
        let mode = file.metadata().expect("read").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        count += 1;
    }
    assert_eq!(count, 3, "the database, its log and its index");
}

#[tokio::test]
async fn sessions_and_secrets_outlive_the_process() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    let sessions = store.sessions();
    sessions.create(session(1)).await.expect("created");
    let secret = sessions.secret("links", [1; 32]).await.expect("kept");
    store.close().await.expect("closed");

    let store = open(&url(&directory)).await;
    let sessions = store.sessions();
    let loaded = sessions.load(&session(1).id, now()).await.expect("loaded");
    assert_eq!(loaded, Some(session(1)));
    let again = sessions.secret("links", [2; 32]).await.expect("kept");
    assert_eq!(again, secret);
    store.close().await.expect("closed");
}

#[tokio::test]
async fn failed_session_does_not_affect_other_requests() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    let sessions = store.sessions();
    sessions.create(session(1)).await.expect("created");
    let (again, append, other) = tokio::join!(
        sessions.create(session(1)),
        append_one(&store),
        sessions.create(session(2)),
    );
    assert!(again.is_err());
    append.expect("appended");
    other.expect("created");
    store.close().await.expect("closed");
}

#[tokio::test]
async fn many_sessions_are_swept_little_by_little() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    let mut connection = raw(url(&directory).path()).await;
    let fill = "
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 2500)
        INSERT INTO sessions (id_hash, data, expires_at) SELECT randomblob(32), '{}', n FROM numbers";
    sqlx::query(fill)
        .execute(&mut connection)
        .await
        .expect("filled");
    let sessions = store.sessions();
    sessions.create(session(1)).await.expect("created");
    let mut swept = Vec::new();
    while swept.last() != Some(&0) {
        swept.push(sessions.sweep(now()).await.expect("swept"));
    }
    assert_eq!(swept, [1_000, 1_000, 500, 0]);
    let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(
        "EXPLAIN QUERY PLAN SELECT id_hash FROM sessions WHERE expires_at <= 1 ORDER BY expires_at LIMIT 1",
    )
    .fetch_all(&mut connection)
    .await
    .expect("a plan");
    assert!(plan[0].3.contains("sessions_by_expiry"), "{plan:?}");
    let left = sessions.load(&session(1).id, now()).await.expect("loaded");
    assert_eq!(left, Some(session(1)));
    store.close().await.expect("closed");
}
