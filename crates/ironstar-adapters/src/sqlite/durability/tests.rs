use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::WriteConnection;
use crate::sqlite::connection::connect;

async fn open(directory: &TempDir) -> WriteConnection {
    let url = directory.path().join("ironstar.db").into();
    WriteConnection::new(connect(&url).await.expect("a connection"))
}

async fn synchronous(connection: &mut SqliteConnection) -> i64 {
    sqlx::query_scalar("SELECT synchronous FROM pragma_synchronous")
        .fetch_one(connection)
        .await
        .expect("read")
}

#[tokio::test]
async fn each_gets_what_it_needs_however_often_it_changes() {
    let directory = TempDir::new().expect("a directory");
    let mut connection = open(&directory).await;
    for _ in 0..3 {
        for _ in 0..2 {
            let durable = connection.durable().await.expect("durable");
            assert_eq!(synchronous(durable).await, 2);
        }
        for _ in 0..2 {
            let relaxed = connection.relaxed().await.expect("relaxed");
            assert_eq!(synchronous(relaxed).await, 1);
        }
    }
}

#[tokio::test]
async fn what_is_not_durable_is_not_given_out_as_such() {
    let directory = TempDir::new().expect("a directory");
    let mut connection = open(&directory).await;
    let relaxed = connection.relaxed().await.expect("relaxed");
    // Nothing can be set now.
    sqlx::raw_sql("CREATE TABLE t (x); BEGIN; INSERT INTO t VALUES (1)")
        .execute(relaxed)
        .await
        .expect("begun");
    connection.durable().await.expect_err("it is relaxed");
    // What was in the way is gone.
    let durable = connection.durable().await.expect("durable");
    assert_eq!(synchronous(durable).await, 2);
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM t")
        .fetch_one(durable)
        .await
        .expect("read");
    assert_eq!(rows, 0);
}
