//! Databases that cannot be opened, and databases that many processes open at once.

use std::error::Error;
use std::iter;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use ironstar_adapters::postgres::{
    OpenError, PostgresDatabase, PostgresUrl, Unfit, migrate, migration_status,
};
use ironstar_adapters::system::SystemClock;
use ironstar_cluster::Cluster;
use ironstar_ports::{EventStore, ExpectedSequence};

use super::{appending, fresh_url, name, open};

async fn refused(url: &str) -> OpenError {
    let parsed: PostgresUrl = url.parse().expect(url);
    let opened = PostgresDatabase::open(&parsed, Arc::new(SystemClock)).await;
    opened.expect_err(url)
}

/// The error and its causes as one text.
fn text(error: &dyn Error) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_cannot_be_opened_is_refused_with_the_reason() {
    let test = "database_that_cannot_be_opened_is_refused_with_the_reason";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let database = name(&fresh_url(cluster).await);
    // Other tests may have made the user.
    let _ = cluster
        .execute(&database, "CREATE USER locked PASSWORD 'right'")
        .await;
    // As PostgreSQL 15 does by itself.
    let closed = "REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    cluster.execute(&database, closed).await.expect("revoked");
    let port = cluster.port();
    let nowhere = TcpListener::bind("127.0.0.1:0").expect("a port");
    let free = nowhere.local_addr().expect("an address").port();
    drop(nowhere);
    for (url, expected) in [
        (
            format!("postgres://locked:wr0ng@127.0.0.1:{port}/{database}"),
            "does not admit the user locked. Check the user name and the password",
        ),
        (
            format!("postgres://postgres:wr0ng@127.0.0.1:{port}/no_such_database"),
            "has no database no_such_database. Create it",
        ),
        (
            format!("postgres://postgres:wr0ng@127.0.0.1:{free}/{database}"),
            "cannot reach the PostgreSQL server at 127.0.0.1:",
        ),
        (
            format!("postgres://postgres:wr0ng@127.0.0.1:{port}/{database}?sslmode=require"),
            "cannot make an encrypted connection",
        ),
        (
            format!("postgres://locked:right@127.0.0.1:{port}/{database}"),
            "the user locked lacks a permission in the database",
        ),
    ] {
        let error = refused(&url).await;
        let text = text(&error);
        assert!(text.contains(expected), "{url}: {text}");
        let shown = format!("{text} {error:?}");
        assert!(!shown.contains("wr0ng"), "{shown}");
    }
    assert!(
        refused(&format!("postgres://ada@127.0.0.1:{free}/x"))
            .await
            .may_heal()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_acknowledges_too_early_is_refused() {
    let Some(cluster) = Cluster::shared("database_that_acknowledges_too_early_is_refused") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let set = format!("ALTER DATABASE {} SET synchronous_commit = off", name(&url));
    cluster.execute("postgres", &set).await.expect("set");
    let opened = PostgresDatabase::open(&url, Arc::new(SystemClock)).await;
    let error = opened.expect_err("unsafe");
    let value = "off".to_owned();
    assert!(
        matches!(&error, OpenError::Unfit { source, .. }
            if *source == Unfit::SynchronousCommit { value }),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_open_a_new_database_at_once() {
    let Some(cluster) = Cluster::shared("many_processes_open_a_new_database_at_once") else {
        return;
    };
    let url = fresh_url(cluster).await;
    let pending = migration_status(&url).await.expect("a status");
    assert!(pending.iter().all(|migration| !migration.applied));
    let stores = join_all((0..8).map(|_| open(&url))).await;
    for store in stores {
        assert_eq!(store.head().await.expect("the head").get(), 0);
    }
    let applied = migrate(&url).await.expect("a status");
    assert!(applied.iter().all(|migration| migration.applied));
    assert_eq!(applied.len(), pending.len());
}

/// A program serves a database with migrations of a newer program, until one of these refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn database_with_newer_migrations_is_used_while_it_is_compatible() {
    let test = "database_with_newer_migrations_is_used_while_it_is_compatible";
    let Some(cluster) = Cluster::shared(test) else {
        return;
    };
    let url = fresh_url(cluster).await;
    let before = open(&url).await;
    let append = appending::one(1, ExpectedSequence::NoStream, 1);
    before.append(append).await.expect("appended");
    // What an expanding migration may do: more columns, tables, and functions.
    let expand = "
        ALTER TABLE events ADD COLUMN colour text NOT NULL DEFAULT 'red';
        ALTER TABLE sessions ADD COLUMN colour text;
        ALTER TABLE documents ADD COLUMN colour text;
        CREATE TABLE paint (colour text PRIMARY KEY);
        CREATE FUNCTION append_batch(colour text) RETURNS text LANGUAGE sql AS 'SELECT colour';
        INSERT INTO _sqlx_migrations VALUES (9999, 'of the future', now(), true, '', 0)";
    cluster
        .execute(&name(&url), expand)
        .await
        .expect("expanded");
    let after = open(&url).await;
    for (number, store) in [(2, &before), (3, &after)] {
        let append = appending::one(number, ExpectedSequence::NoStream, number);
        store.append(append).await.expect("appended");
    }
    for store in [&before, &after] {
        assert_eq!(appending::log(store).await.len(), 3);
    }
    let status = migration_status(&url).await.expect("a status");
    let last = status.last().expect("a migration");
    assert_eq!(last.version, 9999);
    assert_eq!(last.description, "of the future (of a newer program)");

    let contract = "UPDATE compatibility SET oldest = 9999";
    cluster
        .execute(&name(&url), contract)
        .await
        .expect("contracted");
    let opened = PostgresDatabase::open(&url, Arc::new(SystemClock)).await;
    let refused = text(&opened.expect_err("too old"));
    assert!(
        refused.contains("programs that know its migration 9999, and this program is older"),
        "{refused}"
    );
    // The next connections of a running program are refused, too.
    let cut_off = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    cluster
        .execute(&name(&url), cut_off)
        .await
        .expect("cut off");
    let start = Instant::now();
    loop {
        // The first reads may find the old connections.
        let refused = text(&before.head().await.expect_err("too old"));
        if refused.contains("this program is older") {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{refused}");
    }
}
