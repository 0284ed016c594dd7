//! The files of a database are removed, replaced, overwritten or cut off while it is
//! open. The next commit is refused, and a server that starts on what is left finds all
//! that was acknowledged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ironstar_adapters::sqlite::SqliteEventStore;
use ironstar_ports::{Append, EventStore, ExpectedSequence, NewEvent, Payload, Position, StreamId};
use serde_json::json;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

use super::{append_one, event, looks_again, open, raw, url};

/// How many events a store has acknowledged before its files go away.
const BEFORE: u64 = 3;

const JUNK: &str = "This is not SQLite's.\n";

/// A store whose files go away.
struct Victim {
    directory: TempDir,
    store: SqliteEventStore,
}

impl Victim {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let store = open(&url(&directory)).await;
        for _ in 0..BEFORE {
            append_one(&store).await.expect("appended");
        }
        Self { directory, store }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("ironstar.db{suffix}"))
    }

    fn read(&self, suffix: &str) -> Vec<u8> {
        fs::read(self.path(suffix)).expect("content")
    }

    /// Where the log ends, in bytes. Its file may go on with an earlier log.
    fn end_of_log(&self) -> u64 {
        const HEADER: u64 = 32;
        const FRAME: u64 = 24 + 4_096;

        let index = self.read("-shm");
        let frames = index[16..20].try_into().expect("four bytes");
        HEADER + u64::from(u32::from_ne_bytes(frames)) * FRAME
    }

    /// Writes over a file's content, from a place on. The file stays the same.
    fn overwrite(&self, suffix: &str, start: u64, content: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.path(suffix));
        let written = file.and_then(|file| file.write_all_at(content, start));
        written.expect("overwritten");
    }

    fn cut_off(&self, suffix: &str, length: u64) {
        let file = OpenOptions::new().write(true).open(self.path(suffix));
        file.and_then(|file| file.set_len(length)).expect("cut off");
    }

    fn replace(&self, suffix: &str) {
        let other = self.path(".other");
        fs::write(&other, JUNK).expect("written");
        fs::rename(other, self.path(suffix)).expect("replaced");
    }

    /// Brings the log into the database, as another process.
    async fn checkpoint(&self, mode: &str) {
        let mut other = raw(&self.path("")).await;
        let checkpoint = AssertSqlSafe(format!("PRAGMA wal_checkpoint({mode})"));
        let outcome = sqlx::query_as(checkpoint).fetch_one(&mut other).await;
        let (is_busy, frames, backfilled): (bool, i64, i64) = outcome.expect("a checkpoint");
        assert!(!is_busy, "{mode}");
        assert_eq!(backfilled, frames, "{mode}");
    }

    /// Changes the database, as another process.
    async fn change(&self, other: &mut SqliteConnection) {
        sqlx::query("CREATE TABLE other (id INTEGER)")
            .execute(other)
            .await
            .expect("changed");
    }

    /// Makes sure that nothing is taken any more, and why.
    async fn assert_refused(&self, why: &str) {
        looks_again().await;
        for _ in 0..2 {
            let refused = append_one(&self.store).await.expect_err(why);
            let refused = format!("{refused:?}");
            let words = why.split(' ').collect::<Vec<_>>();
            let [part, how] = words[..] else {
                panic!("{why}: two words");
            };
            assert!(
                refused.contains(&format!("part: {part}")),
                "{why}: {refused}"
            );
            assert!(refused.contains(&format!("how: {how}")), "{why}: {refused}");
        }
        self.store.head().await.expect_err(why);
    }

    /// The files beside the database, without its log and index.
    fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().replace("ironstar.db", ""));
        let mut names: Vec<String> = names
            .filter(|name| !["", "-wal", "-shm"].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    /// What a killed server leaves.
    fn killed(&self, suffix: &str) -> TempDir {
        let copy = TempDir::new().expect("a directory");
        for log in ["", "-wal"] {
            let from = self.path(&format!("{suffix}{log}"));
            if from.exists() {
                let to = copy.path().join(format!("ironstar.db{log}"));
                fs::copy(from, to).expect("copied");
            }
        }
        copy
    }

    /// Whether the change of another process is there after a kill.
    async fn is_changed_after_kill(&self) -> bool {
        let copy = self.killed("");
        let mut connection = raw(url(&copy).path()).await;
        let tables = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'other'");
        let tables: i64 = tables.fetch_one(&mut connection).await.expect("read");
        tables == 1
    }

    /// Where the log ends for a server that starts once this one is killed.
    async fn head_after_kill(&self, suffix: &str) -> u64 {
        let copy = self.killed(suffix);
        let store = open(&url(&copy)).await;
        let head = store.head().await.expect("read").get();
        let events = store
            .load_after(Position::START, 1_000)
            .await
            .expect("read");
        assert_eq!(events.len() as u64, head);
        append_one(&store).await.expect("it goes on");
        store.close().await.expect("closed");
        head
    }
}

/// What is done to the files, what the refusal says, and what is beside them then.
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
        |it| it.replace("-wal"),
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
        |it| it.replace("-shm"),
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_saved_whatever_happens_to_files() {
    for (what, fault, why, beside) in CASES {
        let victim = Victim::new().await;
        fault(&victim);
        victim.assert_refused(why).await;
        assert_eq!(victim.beside(), *beside, "{what}");
        assert_eq!(victim.head_after_kill("").await, BEFORE, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn database_is_saved_beside_one_that_took_its_place() {
    let victim = Victim::new().await;
    victim.replace("");
    victim.assert_refused("Main Replaced").await;
    assert_eq!(victim.beside(), [".rescued-1", ".rescued-1-wal"]);
    assert_eq!(victim.read(""), JUNK.as_bytes());
    assert_eq!(victim.head_after_kill(".rescued-1").await, BEFORE);
}

#[tokio::test(flavor = "multi_thread")]
async fn overwritten_database_is_left_alone() {
    let victim = Victim::new().await;
    victim.overwrite("", 0, JUNK.as_bytes());
    victim.assert_refused("Main Overwritten").await;
    assert_eq!(victim.beside(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn database_that_is_cut_off_is_noticed() {
    let victim = Victim::new().await;
    victim.checkpoint("PASSIVE").await;
    append_one(&victim.store).await.expect("appended");
    victim.cut_off("", victim.read("").len() as u64 - 1);
    victim.assert_refused("Main Overwritten").await;
}

/// An operator has copied the files while the database was open, and puts them back.
#[tokio::test(flavor = "multi_thread")]
async fn earlier_files_are_noticed() {
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

/// The index tells of a log that was begun before the one that is there.
#[tokio::test(flavor = "multi_thread")]
async fn index_of_an_earlier_log_is_noticed() {
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

/// The database has all of the log, which is replayed no more.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_the_database_has_all_of_is_moved_away() {
    let victim = Victim::new().await;
    victim.checkpoint("PASSIVE").await;
    append_one(&victim.store).await.expect("appended");
    victim.checkpoint("PASSIVE").await;
    victim.cut_off("-wal", 5_000);
    victim.assert_refused("Log Overwritten").await;
    assert_eq!(victim.beside(), ["-wal.stale-1"]);
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// The same, and that is not what is noticed first.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_the_database_has_all_of_is_moved_away_whatever_else_is_wrong() {
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

/// A change that is no append follows an index of one commit before, and overwrites that
/// commit. The index is then as far as it was.
#[tokio::test(flavor = "multi_thread")]
async fn commit_that_was_overwritten_is_saved() {
    let victim = Victim::new().await;
    let earlier = victim.read("-shm");
    append_one(&victim.store).await.expect("appended");
    let mut other = raw(&victim.path("")).await;
    sqlx::query("SELECT count(*) FROM events")
        .execute(&mut other)
        .await
        .expect("it has the files open");
    victim.overwrite("-shm", 0, &earlier);
    sqlx::raw_sql("BEGIN IMMEDIATE; CREATE TABLE one (id); CREATE TABLE two (id); COMMIT")
        .execute(&mut other)
        .await
        .expect("another change");
    victim.assert_refused("Log Overwritten").await;
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// A log is begun anew in a file that has an earlier one.
#[tokio::test(flavor = "multi_thread")]
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

/// 16 MiB of a log are kept in memory; what is longer is lost with its file.
#[tokio::test(flavor = "multi_thread")]
async fn overwritten_log_is_given_up_if_it_is_too_long() {
    const MIB: usize = 1024 * 1024;

    for (mebibytes, beside) in [(14, &[][..]), (18, &["-wal.damaged-1"])] {
        let victim = Victim::new().await;
        let mut reader = raw(&victim.path("")).await;
        for statement in ["BEGIN", "SELECT count(*) FROM events"] {
            sqlx::query(statement)
                .execute(&mut reader)
                .await
                .expect("it reads");
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

/// Reads are told of it, too, and so is a store that only reads.
#[tokio::test(flavor = "multi_thread")]
async fn other_store_of_the_same_files_refuses_as_well() {
    let victim = Victim::new().await;
    let other = open(&url(&victim.directory)).await;
    append_one(&other).await.expect("appended");
    fs::remove_file(victim.path("-wal")).expect("removed");
    other.head().await.expect_err("the log is gone");
    victim.assert_refused("Log R").await;
    append_one(&other).await.expect_err("it stays refused");
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// The operator's name for the database is followed again at each look.
#[tokio::test(flavor = "multi_thread")]
async fn link_that_leads_elsewhere_is_noticed() {
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
    let refused = append_one(&store).await.expect_err("it leads elsewhere");
    assert!(
        format!("{refused:?}").contains("how: Replaced"),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_log_is_not_put_back() {
    let victim = Victim::new().await;
    victim.checkpoint("TRUNCATE").await;
    fs::remove_file(victim.path("-wal")).expect("removed");
    victim.assert_refused("Log Removed").await;
    assert!(!victim.path("-wal").exists());
    assert_eq!(victim.head_after_kill("").await, BEFORE);
}

/// What another process has committed since the last look may have followed the false
/// index, unless a checkpoint has brought some of it into the database.
#[tokio::test(flavor = "multi_thread")]
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

/// With the index, it is known to be committed.
#[tokio::test(flavor = "multi_thread")]
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

/// An earlier copy of the log would take the database back.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_ends_before_what_the_database_has_is_moved_away() {
    let victim = Victim::new().await;
    let end = usize::try_from(victim.end_of_log()).expect("a length");
    let mut earlier = victim.read("-wal");
    earlier.truncate(end);
    append_one(&victim.store).await.expect("appended");
    victim.checkpoint("PASSIVE").await;
    victim.cut_off("-wal", 5_000);
    let other = victim.path(".other");
    fs::write(&other, earlier).expect("written");
    fs::rename(other, victim.path("-wal")).expect("replaced");
    victim.assert_refused("Log Replaced").await;
    assert_eq!(victim.beside(), ["-wal.displaced-1"]);
    assert!(!victim.path("-wal").exists());
    assert_eq!(victim.head_after_kill("").await, BEFORE + 1);
}

/// Nothing is lost with them.
#[tokio::test(flavor = "multi_thread")]
async fn overwritten_index_of_an_empty_log_is_noticed() {
    let victim = Victim::new().await;
    victim.checkpoint("TRUNCATE").await;
    // Until the store has looked at the files once more.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    victim.overwrite("-shm", 0, JUNK.repeat(100).as_bytes());
    victim.assert_refused("Index Overwritten").await;
    assert_eq!(victim.beside(), [""; 0]);
    assert_eq!(victim.head_after_kill("").await, BEFORE);
}

/// One store knows of an empty log, and the other has acknowledged an event since.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_another_store_has_put_back_is_left_alone() {
    let victim = Victim::new().await;
    let other = open(&url(&victim.directory)).await;
    victim.checkpoint("TRUNCATE").await;
    // Until both have looked at the files once more.
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
