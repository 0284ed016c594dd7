//! Databases that are refused at the start.

use ironstar_adapters::sqlite::{OpenError, SqliteDatabase, SqliteUrl, migrate, migration_status};
use tempfile::TempDir;

use super::{open, raw, url};

#[tokio::test]
async fn database_that_another_program_keeps_locked_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    open(&url).await.close().await.expect("closed");
    let mut other = raw(url.path()).await;
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("locked");
    let error = SqliteDatabase::open(&url).await.expect_err("refused");
    assert!(matches!(error, OpenError::Unlockable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_schema_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    open(&url).await.close().await.expect("closed");
    let mut connection = raw(url.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .expect("inserted");
    for error in [
        SqliteDatabase::open(&url)
            .await
            .map(|_| ())
            .expect_err("newer"),
        migrate(&url).await.map(|_| ()).expect_err("newer"),
        migration_status(&url).await.map(|_| ()).expect_err("newer"),
    ] {
        assert!(
            matches!(error, OpenError::NewerSchema { version: 9999, .. }),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_not_a_database_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    std::fs::write(
        url.path(),
        "This is a letter, not a database.\n".repeat(300),
    )
    .expect("written");
    let error = SqliteDatabase::open(&url)
        .await
        .map(|_| ())
        .expect_err("not a database");
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");

    let nowhere: SqliteUrl = directory.path().join("missing/ironstar.db").into();
    let error = SqliteDatabase::open(&nowhere)
        .await
        .map(|_| ())
        .expect_err("no such directory");
    assert!(matches!(error, OpenError::NoFolder { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn database_of_another_application_is_left_unchanged() {
    let directory = TempDir::new().expect("a directory");
    let url = url(&directory);
    let mut connection = raw(url.path()).await;
    sqlx::raw_sql("PRAGMA application_id = 4242; CREATE TABLE theirs (id INTEGER);")
        .execute(&mut connection)
        .await
        .expect("created");
    drop(connection);
    let before = std::fs::read(url.path()).expect("read");
    for error in [
        SqliteDatabase::open(&url).await.map(|_| ()),
        migrate(&url).await.map(|_| ()),
    ] {
        let error = error.expect_err("not ours");
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    }
    assert_eq!(std::fs::read(url.path()).expect("read"), before);
}
