//! A store whose files are displaced, with the faults that a test can cause.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use ironstar_adapters::sqlite::SqliteEventStore;
use ironstar_ports::{EventStore, Position};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;
use tempfile::TempDir;

use crate::sqlite::{append_one, looks_again, open, raw, url};

/// The number of events that a store has acknowledged before its files are displaced.
pub(super) const BEFORE: u64 = 3;

pub(super) const JUNK: &str = "This is not SQLite's.\n";

/// A store whose files are displaced.
pub(super) struct Victim {
    pub(super) directory: TempDir,
    pub(super) store: SqliteEventStore,
}

impl Victim {
    pub(super) async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let store = open(&url(&directory)).await;
        for _ in 0..BEFORE {
            append_one(&store).await.expect("appended");
        }
        Self { directory, store }
    }

    pub(super) fn path(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("ironstar.db{suffix}"))
    }

    pub(super) fn read(&self, suffix: &str) -> Vec<u8> {
        fs::read(self.path(suffix)).expect("content")
    }

    /// The end of the log, in bytes. Behind it, the file may contain an earlier log.
    pub(super) fn end_of_log(&self) -> u64 {
        const HEADER: u64 = 32;
        const FRAME: u64 = 24 + 4_096;

        let index = self.read("-shm");
        let frames = index[16..20].try_into().expect("four bytes");
        HEADER + u64::from(u32::from_ne_bytes(frames)) * FRAME
    }

    /// Overwrites a file's content from an offset on. The file keeps its identity.
    pub(super) fn overwrite(&self, suffix: &str, start: u64, content: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.path(suffix));
        let written = file.and_then(|file| file.write_all_at(content, start));
        written.expect("overwritten");
    }

    pub(super) fn cut_off(&self, suffix: &str, length: u64) {
        let file = OpenOptions::new().write(true).open(self.path(suffix));
        file.and_then(|file| file.set_len(length)).expect("cut off");
    }

    pub(super) fn replace(&self, suffix: &str, content: &[u8]) {
        let other = self.path(".other");
        fs::write(&other, content).expect("written");
        fs::rename(other, self.path(suffix)).expect("replaced");
    }

    /// Makes a checkpoint, as another process.
    pub(super) async fn checkpoint(&self, mode: &str) {
        let mut other = raw(&self.path("")).await;
        let checkpoint = AssertSqlSafe(format!("PRAGMA wal_checkpoint({mode})"));
        let outcome = sqlx::query_as(checkpoint).fetch_one(&mut other).await;
        let (is_busy, frames, backfilled): (bool, i64, i64) = outcome.expect("a checkpoint");
        assert!(!is_busy, "{mode}");
        assert_eq!(backfilled, frames, "{mode}");
    }

    /// Changes the database, as another process.
    pub(super) async fn change(&self, other: &mut SqliteConnection) {
        sqlx::query("CREATE TABLE other (id INTEGER)")
            .execute(other)
            .await
            .expect("changed");
    }

    /// Makes sure that the store refuses every request, for the given reason.
    pub(super) async fn assert_refused(&self, why: &str) {
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
    pub(super) fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.map(|name| name.to_string_lossy().replace("ironstar.db", ""));
        let mut names: Vec<String> = names
            .filter(|name| !["", "-wal", "-shm"].contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    /// Copies the files that a killed server would leave.
    pub(super) fn killed(&self, suffix: &str) -> TempDir {
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

    /// Returns true if the change of another process survives a kill.
    pub(super) async fn is_changed_after_kill(&self) -> bool {
        let copy = self.killed("");
        let mut connection = raw(url(&copy).path()).await;
        let tables = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'other'");
        let tables: i64 = tables.fetch_one(&mut connection).await.expect("read");
        tables == 1
    }

    /// The head of the log for a server that starts after this one is killed.
    pub(super) async fn head_after_kill(&self, suffix: &str) -> u64 {
        let copy = self.killed(suffix);
        let store = open(&url(&copy)).await;
        let head = store.head().await.expect("read").get();
        let events = store
            .load_after(Position::START, 1_000)
            .await
            .expect("read");
        assert_eq!(events.len() as u64, head);
        append_one(&store).await.expect("the log accepts events");
        store.close().await.expect("closed");
        head
    }
}
