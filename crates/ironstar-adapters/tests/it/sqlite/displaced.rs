//! Tests that remove, replace, overwrite or truncate the files of an open database. The store
//! must refuse the next commit. A server that starts on the remaining files must find every
//! acknowledged event.
//!
//! Each test runs on one thread, because a fault may take several steps: a store must not look
//! at the files between two of them.

mod shared;
mod victim;

use std::fs;
use std::path::Path;
use std::time::Duration;

use ironstar_ports::{Append, EventStore, ExpectedSequence, NewEvent, Payload, StreamId};
use serde_json::json;
use tempfile::TempDir;

use self::victim::{BEFORE, JUNK, Victim};
use super::{append_one, event, looks_again, open, raw};

/// The name of a fault, the fault, the reason in the refusal, and the files that are then
/// beside the database.
type Case = (
    &'static str,
    fn(&Victim),
    &'static str,
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "log removed",
        |it| fs::remove_file(it.path("-wal")).expect("removed"),
        "Log Removed",
        &[],
    ),
    (
        "log renamed",
        |it| fs::rename(it.path("-wal"), it.path(".moved")).expect("renamed"),
        "Log Removed",
        &[".moved"],
    ),
    (
        "log replaced",
        |it| it.replace("-wal", JUNK.as_bytes()),
        "Log Replaced",
        &["-wal.displaced-1"],
    ),
    (
        "log replaced by nothing",
        |it| {
            fs::remove_file(it.path("-wal")).expect("removed");
            fs::write(it.path("-wal"), "").expect("written");
        },
        "Log Replaced",
        &[],
    ),
    (
        "start of log overwritten",
        |it| it.overwrite("-wal", 0, JUNK.as_bytes()),
        "Log Overwritten",
        &[],
    ),
    (
        "end of log overwritten",
        |it| {
            let end = it.end_of_log();
            it.overwrite("-wal", end - 30, JUNK.as_bytes());
        },
        "Log Overwritten",
        &[],
    ),
    (
        "log emptied",
        |it| it.cut_off("-wal", 0),
        "Log Overwritten",
        &[],
    ),
    (
        "log cut off in its header",
        |it| it.cut_off("-wal", 20),
        "Log Overwritten",
        &[],
    ),
    (
        "log cut off in the middle",
        |it| it.cut_off("-wal", 5_000),
        "Log Overwritten",
        &[],
    ),
    (
        "log cut off in its last frame",
        |it| {
            it.cut_off("-wal", it.end_of_log() - 1);
        },
        "Log Overwritten",
        &[],
    ),
    (
        "index removed",
        |it| fs::remove_file(it.path("-shm")).expect("removed"),
        "Index Removed",
        &[],
    ),
    (
        "index renamed",
        |it| fs::rename(it.path("-shm"), it.path(".moved")).expect("renamed"),
        "Index Removed",
        &[".moved"],
    ),
    (
        "index replaced",
        |it| it.replace("-shm", JUNK.as_bytes()),
        "Index Replaced",
        &[],
    ),
    (
        "index overwritten",
        |it| it.overwrite("-shm", 0, JUNK.repeat(100).as_bytes()),
        "Index Overwritten",
        &[],
    ),
    (
        "database removed",
        |it| fs::remove_file(it.path("")).expect("removed"),
        "Main Removed",
        &[],
    ),
    (
        "database renamed",
        |it| fs::rename(it.path(""), it.path(".moved")).expect("renamed"),
        "Main Removed",
        &[".moved"],
    ),
    (
        "all removed",
        |it| {
            for suffix in ["", "-wal", "-shm"] {
                fs::remove_file(it.path(suffix)).expect("removed");
            }
        },
        "Main Removed",
        &[],
    ),
];

#[tokio::test]
async fn acknowledged_events_survive_every_displacement() {
    for (what, fault, why, beside) in CASES {
        let victim = Victim::new().await;
        fault(&victim);
        victim.assert_refused(why).await;
        assert_eq!(victim.beside(), *beside, "{what}");
        assert_eq!(victim.head_after_kill("").await, BEFORE, "{what}");
    }
}

/// Replaced by one step, so the rescue may run on a thread of its own.
#[tokio::test(flavor = "multi_thread")]
async fn database_is_saved_beside_one_that_took_its_place() {
    let victim = Victim::new().await;
    victim.replace("", JUNK.as_bytes());
    victim.assert_refused("Main Replaced").await;
    assert_eq!(victim.beside(), [".rescued-1", ".rescued-1-wal"]);
    assert_eq!(victim.read(""), JUNK.as_bytes());
    assert_eq!(victim.head_after_kill(".rescued-1").await, BEFORE);
}

#[tokio::test]
async fn overwritten_database_is_left_unchanged() {
    let victim = Victim::new().await;
    victim.overwrite("", 0, JUNK.as_bytes());
    victim.assert_refused("Main Overwritten").await;
    assert_eq!(victim.beside(), [""; 0]);
}

#[tokio::test]
async fn truncated_database_is_detected() {
    let victim = Victim::new().await;
    victim.checkpoint("PASSIVE").await;
    append_one(&victim.store).await.expect("appended");
    victim.cut_off("", victim.read("").len() as u64 - 1);
    victim.assert_refused("Main Overwritten").await;
}

/// An operator copies the files while the database is open, and later puts them back.
#[tokio::test]
async fn earlier_files_are_detected() {
    for (suffix, why) in [("-wal", "Log Overwritten"), ("-shm", "Index Overwritten")] {
        let victim = Victim::new().await;
        let earlier = victim.read(suffix);
        append_one(&victim.store).await.expect("appended");
        victim.overwrite(suffix, 0, &earlier);
        victim.cut_off(suffix, earlier.len() as u64);
        victim.assert_refused(why).await;
        assert_eq!(victim.head_after_kill("").await, BEFORE + 1, "{suffix}");
    }
}

/// The index describes a log that is older than the present one.
#[tokio::test]
async fn index_of_an_earlier_log_is_detected() {
    let victim = Victim::new().await;
    let (log, index) = (victim.read("-wal"), victim.read("-shm"));
    victim.checkpoint("RESTART").await;
    for _ in 0..2 {
        append_one(&victim.store).await.expect("appended");
    }
    victim.overwrite("-wal", 0, &log);
    victim.overwrite("-shm", 0, &index);
    victim.assert_refused("Index Overwritten").await;
    assert_eq!(victim.head_after_kill("").await, BEFORE + 2);
}

/// The database has all frames of the log, so the next start must not replay it.
#[tokio::test]
async fn completely_checkpointed_log_is_moved_away() {
    let victim = Victim::new().await;
    victim.checkpoint("PASSIVE").await;
    append_one(&victim.store).await.expect("appended");
    victim.checkpoint("PASSIVE").await;
    victim.cut_off("-wal", 5_000);
    victim.assert_refused("Log Overwritten").await;
    assert_eq!(victim.beside(), ["-wal.stale-1"]);
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// As before, but another fault is detected first.
#[tokio::test]
async fn completely_checkpointed_log_is_moved_away_after_other_faults() {
    for (suffix, why) in [("-shm", "Index Removed"), ("", "Main Removed")] {
        let victim = Victim::new().await;
        victim.checkpoint("PASSIVE").await;
        append_one(&victim.store).await.expect("appended");
        victim.checkpoint("PASSIVE").await;
        victim.cut_off("-wal", 5_000);
        fs::remove_file(victim.path(suffix)).expect("removed");
        victim.assert_refused(why).await;
        assert_eq!(victim.beside(), ["-wal.stale-1"], "{why}");
        assert_eq!(victim.head_after_kill("").await, BEFORE + 1, "{why}");
    }
}

/// A new log begins in a file that still contains an earlier one.
#[tokio::test]
async fn log_that_was_begun_again_is_saved() {
    for mode in ["RESTART", "TRUNCATE"] {
        let victim = Victim::new().await;
        victim.checkpoint(mode).await;
        append_one(&victim.store).await.expect("appended");
        victim.overwrite("-wal", 0, JUNK.as_bytes());
        victim.assert_refused("Log Overwritten").await;
        assert_eq!(victim.head_after_kill("").await, BEFORE + 1, "{mode}");
    }
}

/// Up to 16 MiB of a log are kept in memory. A longer log is lost with its file.
#[tokio::test]
async fn overwritten_log_is_given_up_if_it_is_too_long() {
    const MIB: usize = 1024 * 1024;

    for (mebibytes, beside) in [(14, &[][..]), (18, &["-wal.damaged-1"])] {
        let victim = Victim::new().await;
        let mut reader = raw(&victim.path("")).await;
        for statement in ["BEGIN", "SELECT count(*) FROM events"] {
            sqlx::query(statement)
                .execute(&mut reader)
                .await
                .expect("a read");
        }
        for _ in 0..mebibytes {
            let payload = Payload::of(&json!({"text": "x".repeat(MIB)})).expect("JSON");
            let large = NewEvent { payload, ..event() };
            let stream = StreamId::new("Todo", "1");
            let append = Append::to_stream(stream, ExpectedSequence::Any, vec![large]);
            victim.store.append(append).await.expect("appended");
        }
        victim.overwrite("-wal", 0, JUNK.as_bytes());
        victim.assert_refused("Log Overwritten").await;
        assert_eq!(victim.beside(), beside, "{mebibytes} MiB");
        if beside.is_empty() {
            let all = BEFORE + mebibytes;
            assert_eq!(victim.head_after_kill("").await, all);
        }
    }
}

/// Each look follows the operator's name for the database again.
#[tokio::test]
async fn link_that_leads_elsewhere_is_detected() {
    let directory = TempDir::new().expect("a directory");
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    for folder in [&one, &two] {
        fs::create_dir(folder).expect("a folder");
        fs::write(folder.join("ironstar.db"), "").expect("a file");
    }
    let link = directory.path().join("link");
    let to = |folder: &Path| {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(folder.join("ironstar.db"), &link).expect("a link");
    };
    to(&one);
    let store = open(&link.clone().into()).await;
    append_one(&store).await.expect("appended");
    to(&two);
    looks_again().await;
    let refused = append_one(&store)
        .await
        .expect_err("the link leads elsewhere");
    assert!(
        format!("{refused:?}").contains("how: Replaced"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn empty_log_is_not_put_back() {
    let victim = Victim::new().await;
    victim.checkpoint("TRUNCATE").await;
    fs::remove_file(victim.path("-wal")).expect("removed");
    victim.assert_refused("Log Removed").await;
    assert!(!victim.path("-wal").exists());
    assert_eq!(victim.head_after_kill("").await, BEFORE);
}

/// An earlier copy of the log would make the database older.
#[tokio::test]
async fn log_that_ends_before_the_frames_of_the_database_is_moved_away() {
    let victim = Victim::new().await;
    let end = usize::try_from(victim.end_of_log()).expect("a length");
    let mut earlier = victim.read("-wal");
    earlier.truncate(end);
    append_one(&victim.store).await.expect("appended");
    victim.checkpoint("PASSIVE").await;
    victim.cut_off("-wal", 5_000);
    victim.replace("-wal", &earlier);
    victim.assert_refused("Log Replaced").await;
    assert_eq!(victim.beside(), ["-wal.displaced-1"]);
    assert!(!victim.path("-wal").exists());
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// The log has no data to save, and stays unchanged.
#[tokio::test]
async fn overwritten_index_of_an_empty_log_is_detected() {
    let victim = Victim::new().await;
    victim.checkpoint("TRUNCATE").await;
    // Wait until the store has looked at the files again.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    victim.overwrite("-shm", 0, JUNK.repeat(100).as_bytes());
    victim.assert_refused("Index Overwritten").await;
    assert_eq!(victim.beside(), [""; 0]);
    assert_eq!(victim.head_after_kill("").await, BEFORE);
}
