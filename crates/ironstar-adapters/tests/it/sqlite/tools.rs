//! The file as SQLite's own tools read it, such as `sqlite3` 3.40 of Debian 12.

use std::collections::HashMap;
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ironstar_adapters::sqlite::{OpenError, SqliteDatabase, SqliteEventStore, SqliteUrl};
use ironstar_ports::{
    BuildState, BuildUpdate, EventStore, Position, ProjectionStore, SecretStore, SessionStore,
    SnapshotStore,
};
use sqlx::Connection;
use sqlx::migrate::Migrator;
use tempfile::TempDir;

use super::commands::with_key;
use super::locked::snapshot;
use super::projections::batch;
use super::sessions::session;
use super::{append_one, open, raw, url};

/// Functions that SQLite 3.38 (February 2022) has. A function that is not in this list may be
/// newer than the tools of operators.
const FUNCTIONS: &[&str] = &[
    "coalesce",
    "json_valid",
    "length",
    "max",
    "raise",
    "strftime",
];

/// Returns the system's `sqlite3`. If there is none, it reports that the test is skipped. In
/// continuous integration, no test may be skipped.
fn sqlite3(test: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found = env::split_paths(&path).map(|folder| folder.join("sqlite3"));
    let found = found.find(|program| program.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "{test} needs sqlite3");
        // Not through the test harness, which would hide the output.
        writeln!(
            std::io::stderr(),
            "SKIPPED {test}: sqlite3 is not installed"
        )
        .expect("standard error is writable");
    }
    found
}

/// Returns the output of `sqlite3` for an input, which must not cause an error.
fn said(sqlite3: &Path, file: &Path, input: &str) -> String {
    let mut child = Command::new(sqlite3)
        .args(["-batch", "-bail"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("sqlite3 runs");
    let mut stdin = child.stdin.take().expect("its input");
    stdin
        .write_all(input.as_bytes())
        .expect("sqlite3 reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Writes a row of each kind, and several rows where they differ.
async fn fill(store: &SqliteEventStore) {
    for _ in 0..3 {
        append_one(store).await.expect("appended");
    }
    store.append(with_key("key")).await.expect("appended");
    store.save_snapshot(snapshot()).await.expect("saved");
    store.sessions().create(session(1)).await.expect("created");
    let secret = store.sessions().secret("links", [7; 32]).await;
    secret.expect("made");
    let projections = store.projections();
    let live = projections.begin("todos", 1).await.expect("begun");
    projections
        .commit(batch(&live, 0, 3, 0..3))
        .await
        .expect("committed");
    projections
        .update(live.id, BuildUpdate::Promote)
        .await
        .expect("live");
    projections.begin("lists", 1).await.expect("begun");
}

async fn filled(directory: &TempDir) -> SqliteUrl {
    let url = url(directory);
    let store = open(&url).await;
    fill(&store).await;
    store.close().await.expect("closed");
    url
}

/// All tables of a file, with their rows as text.
async fn tables(url: &SqliteUrl) -> Vec<(String, Vec<String>)> {
    let mut connection = raw(url.path()).await;
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(&mut connection)
            .await
            .expect("read");
    let mut tables = Vec::new();
    for name in names {
        let columns: Vec<String> =
            sqlx::query_scalar("SELECT format('quote(%s)', name) FROM pragma_table_info(?1)")
                .bind(&name)
                .fetch_all(&mut connection)
                .await
                .expect("read");
        let rows = format!(
            "SELECT {} AS r FROM {name} ORDER BY r",
            columns.join(" || ',' || ")
        );
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(rows))
            .fetch_all(&mut connection)
            .await
            .expect("read");
        tables.push((name, rows));
    }
    connection.close().await.expect("closed");
    tables
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite3_of_the_system_finds_no_error_in_a_row_of_each_kind() {
    let directory = TempDir::new().expect("a directory");
    let url = filled(&directory).await;
    for (name, rows) in tables(&url).await {
        assert!(!rows.is_empty(), "the test has no row for the table {name}");
    }
    let Some(sqlite3) = sqlite3("sqlite3_of_the_system_finds_no_error") else {
        return;
    };
    let checked = said(&sqlite3, url.path(), "PRAGMA integrity_check;");
    assert_eq!(checked, "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn dump_loads_without_loss_and_is_opened() {
    let Some(sqlite3) = sqlite3("dump_loads_without_loss_and_is_opened") else {
        return;
    };
    let directory = TempDir::new().expect("a directory");
    let url = filled(&directory).await;
    let dump = said(&sqlite3, url.path(), ".dump");
    let loaded: SqliteUrl = directory.path().join("loaded.db").into();
    said(&sqlite3, loaded.path(), &dump);
    assert_eq!(tables(&loaded).await, tables(&url).await);

    // A dump does not contain the mark.
    let mark = "PRAGMA application_id;";
    assert_eq!(said(&sqlite3, loaded.path(), mark), "0\n");
    let store = open(&loaded).await;
    assert_eq!(store.head().await.expect("read"), Position::new(4));
    append_one(&store).await.expect("the log accepts events");
    store.close().await.expect("closed");
    assert_eq!(said(&sqlite3, loaded.path(), mark), "1769107310\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn incompletely_loaded_dump_is_refused() {
    for (damage, missing) in [
        (
            "DROP TRIGGER events_come_next",
            "the trigger events_come_next",
        ),
        ("DROP TABLE sessions", "the index sessions_by_expiry"),
        (
            "DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE id = 2;
             CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
             BEGIN SELECT RAISE(ABORT, 'no'); END",
            "some of its events",
        ),
    ] {
        let directory = TempDir::new().expect("a directory");
        let url = filled(&directory).await;
        execute(&url, "PRAGMA application_id = 0").await;
        execute(&url, damage).await;
        let before = std::fs::read(url.path()).expect("read");
        let error = SqliteDatabase::open(&url).await.expect_err("incomplete");
        assert!(error.to_string().contains(missing), "{error}");
        assert_eq!(std::fs::read(url.path()).expect("read"), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusal_of_a_file_without_the_mark_says_how_to_mark_it() {
    let directory = TempDir::new().expect("a directory");
    let url = filled(&directory).await;
    // After this, nothing in the file shows that the tables belong to ironstar.
    let forget = "PRAGMA application_id = 0; UPDATE _sqlx_migrations SET checksum = x'00'";
    execute(&url, forget).await;
    let error = SqliteDatabase::open(&url).await.expect_err("unknown");
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    let advice = format!(
        "mark it: sqlite3 '{}' \"PRAGMA application_id = 1769107310\"",
        url.path().display()
    );
    assert!(error.to_string().ends_with(&advice), "{error}");
}

async fn execute(url: &SqliteUrl, statements: &'static str) {
    let mut connection = raw(url.path()).await;
    let executed = sqlx::raw_sql(statements).execute(&mut connection).await;
    executed.expect("executed");
    connection.close().await.expect("closed");
}

/// Creates a database with the last schema that had only `json_valid(failure)` as its check.
async fn old_database(url: &SqliteUrl) {
    let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let migrator = Migrator::new(migrations).await.expect("migrations");
    let mut connection = raw(url.path()).await;
    migrator.run_to(6, &mut connection).await.expect("migrated");
    connection.close().await.expect("closed");
    execute(
        url,
        r#"INSERT INTO projections (id, name, version, state, checkpoint, failure, skipped) VALUES
             (3, 'todos', 1, 'live', 7, NULL, '[]'),
             (4, 'lists', 2, 'building', 5, NULL, '[]'),
             (5, 'users', 1, 'cancelled', 2,
              '{"position":3,"event_type":"created","reason":"no","attempts":2,"failed_at":"2026-01-01T00:00:00Z"}',
              '[{"position":2,"event_type":"created","reason":"no"}]'),
             (9, 'gone', 1, 'building', 1, NULL, '[]');
           DELETE FROM projections WHERE id = 9;
           INSERT INTO documents VALUES (3, 'key', 'open', '1', '{}');
           INSERT INTO events VALUES (1, 'Todo', '1', 0, 'created', 1, '{}', '{}', '2026');"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_an_old_database_survive_the_new_check() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    old_database(&url).await;
    let mut before = tables(&url).await;
    before.retain(|(name, _)| name != "_sqlx_migrations");
    open(&url).await.close().await.expect("closed");
    let after: HashMap<_, _> = tables(&url).await.into_iter().collect();
    for (name, rows) in before {
        // Later migrations append columns.
        let kept = after[&name].iter().zip(&rows);
        let kept = kept.filter(|(after, before)| after.starts_with(&***before));
        assert_eq!(
            (kept.count(), after[&name].len()),
            (rows.len(), rows.len()),
            "{name}: {rows:?}"
        );
    }
    if let Some(sqlite3) = sqlite3("rows_of_an_old_database_survive_the_new_check") {
        let input = "PRAGMA integrity_check; SELECT count(*) FROM read_models;";
        assert_eq!(said(&sqlite3, url.path(), input), "ok\n1\n");
    }

    let projections = open(&url).await.projections();
    let builds = projections.builds().await.expect("read");
    let states: Vec<_> = builds
        .iter()
        .map(|build| (&*build.name, build.state))
        .collect();
    assert_eq!(
        states,
        [
            ("lists", BuildState::Building),
            ("todos", BuildState::Live),
            ("users", BuildState::Cancelled)
        ]
    );
    let next = projections.begin("new", 1).await.expect("begun");
    assert_eq!(next.id.get(), 10, "a number is never reused");
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_calls_only_functions_that_old_tools_have() {
    let directory = TempDir::new().expect("a directory");
    let url = filled(&directory).await;
    let mut connection = raw(url.path()).await;
    let schema: Vec<String> =
        sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'")
            .fetch_all(&mut connection)
            .await
            .expect("read");
    let mut called = 0;
    for line in schema.iter().flat_map(|sql| sql.lines()) {
        let code = line.split("--").next().unwrap_or_default();
        for (end, _) in code.match_indices('(') {
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            let word = code[..end].rsplit(|character| !is_word(character)).next();
            let word = word.unwrap_or_default().to_lowercase();
            let is_known = word.is_empty() || FUNCTIONS.contains(&&*word);
            assert!(is_known, "{word} may be newer than SQLite 3.38: {line}");
            called += usize::from(!word.is_empty());
        }
        let is_old = !code.contains("->") && !code.contains("IS DISTINCT");
        assert!(is_old, "an operator may be newer than SQLite 3.38: {line}");
    }
    assert!(called > 10, "calls are found");
}
