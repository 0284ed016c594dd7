//! Displaced files that other stores and other processes have open, too.

use std::fs;
use std::time::Duration;

use ironstar_ports::EventStore;

use super::victim::{BEFORE, JUNK, Victim};
use crate::sqlite::{append_one, looks_again, open, raw, url};

/// A change that is not an append trusts the index of one commit before, and overwrites the
/// last commit. Afterwards the index has as many frames as before the damage.
#[tokio::test]
async fn overwritten_commit_is_saved() {
    let victim = Victim::new().await;
    let earlier = victim.read("-shm");
    append_one(&victim.store).await.expect("appended");
    let mut other = raw(&victim.path("")).await;
    sqlx::query("SELECT count(*) FROM events")
        .execute(&mut other)
        .await
        .expect("the other process has the files open");
    victim.overwrite("-shm", 0, &earlier);
    sqlx::raw_sql("BEGIN IMMEDIATE; CREATE TABLE one (id); CREATE TABLE two (id); COMMIT")
        .execute(&mut other)
        .await
        .expect("another change");
    victim.assert_refused("Log Overwritten").await;
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// The commit makes the log as long as before, and leaves a hole in it.
#[tokio::test]
async fn log_truncated_during_a_commit_is_detected() {
    let victim = Victim::new().await;
    let mut other = raw(&victim.path("")).await;
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("a transaction");
    victim.change(&mut other).await;
    victim.cut_off("-wal", 5_000);
    sqlx::query("COMMIT")
        .execute(&mut other)
        .await
        .expect("committed");
    victim.assert_refused("Log Overwritten").await;
    assert_eq!(victim.head_after_kill("").await, BEFORE);
}

/// Each store detects the displacement by itself, by a read as well.
#[tokio::test]
async fn other_store_of_the_same_files_refuses_as_well() {
    let victim = Victim::new().await;
    let other = open(&url(&victim.directory)).await;
    append_one(&other).await.expect("appended");
    fs::remove_file(victim.path("-wal")).expect("removed");
    other.head().await.expect_err("the log is gone");
    victim.assert_refused("Log R").await;
    append_one(&other).await.expect_err("appends stay refused");
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// A commit of another process since the last look may have followed the damaged index,
/// unless a checkpoint has copied a part of it to the database.
#[tokio::test]
async fn change_of_another_process_is_left_out_of_a_log_without_index() {
    for (before, since, is_kept) in [
        (None, None, false),
        (None, Some("PASSIVE"), true),
        (Some("RESTART"), None, false),
        (Some("RESTART"), Some("PASSIVE"), true),
    ] {
        let victim = Victim::new().await;
        let mut other = raw(&victim.path("")).await;
        if let Some(mode) = before {
            victim.checkpoint(mode).await;
        }
        victim.change(&mut other).await;
        if let Some(mode) = since {
            victim.checkpoint(mode).await;
        }
        victim.overwrite("-shm", 0, JUNK.repeat(100).as_bytes());
        victim.assert_refused("Index Overwritten").await;
        let uncut: &[&str] = if is_kept { &[] } else { &["-wal.uncut-1"] };
        assert_eq!(victim.beside(), uncut, "{before:?} {since:?}");
        assert_eq!(victim.is_changed_after_kill().await, is_kept);
        assert_eq!(victim.head_after_kill("").await, BEFORE);
    }
}

/// The index confirms that the change is committed.
#[tokio::test]
async fn change_of_another_process_is_put_back_with_the_log() {
    for before in [None, Some("RESTART")] {
        let victim = Victim::new().await;
        let mut other = raw(&victim.path("")).await;
        if let Some(mode) = before {
            victim.checkpoint(mode).await;
        }
        victim.change(&mut other).await;
        fs::remove_file(victim.path("-wal")).expect("removed");
        victim.assert_refused("Log Removed").await;
        assert!(victim.is_changed_after_kill().await, "{before:?}");
        assert_eq!(victim.head_after_kill("").await, BEFORE);
    }
}

/// One store has seen an empty log, and the other has acknowledged an event since then.
#[tokio::test]
async fn log_that_another_store_has_put_back_is_kept() {
    let victim = Victim::new().await;
    let other = open(&url(&victim.directory)).await;
    victim.checkpoint("TRUNCATE").await;
    // Wait until both stores have looked at the files again.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    append_one(&other).await.expect("appended");
    victim.overwrite("-shm", 0, JUNK.repeat(100).as_bytes());
    victim.overwrite("-wal", 0, JUNK.as_bytes());
    looks_again().await;
    append_one(&other)
        .await
        .expect_err("the log is overwritten");
    victim.assert_refused("Log Replaced").await;
    assert_eq!(victim.beside(), [""; 0]);
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}
