//! The write-ahead log: it must belong to its database, and must stay small.

use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ironstar_adapters::sqlite::{
    DEFAULT_COMMAND_RETENTION, OpenError, SqliteDatabase, SqliteEventStore, WalError, WalLimits,
};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::{EventStore, Position};
use sqlx::AssertSqlSafe;
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::{append_one, open, raw, url};

const DEADLINE: Duration = Duration::from_secs(30);

/// The length of the header of a log, in bytes.
const WAL_HEADER: usize = 32;

/// Copies the files that a server would leave if it were killed now.
fn killed(of: &TempDir) -> TempDir {
    let directory = TempDir::new().expect("a directory");
    for name in ["ironstar.db", "ironstar.db-wal"] {
        let from = of.path().join(name);
        if from.exists() {
            fs::copy(from, directory.path().join(name)).expect("copied");
        }
    }
    directory
}

async fn head(directory: &TempDir) -> Position {
    let store = open(&url(directory)).await;
    let head = store.head().await.expect("read");
    store.close().await.expect("closed");
    head
}

async fn refusal(directory: &TempDir) -> WalError {
    let before = files(directory.path());
    let error = SqliteDatabase::open(&url(directory)).await;
    assert_eq!(files(directory.path()), before, "no file is changed");
    let error = error.map(|_| ()).expect_err("refused");
    let OpenError::Wal(error) = error else {
        panic!("{error:?}");
    };
    error
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).expect("a folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("content"))
        })
        .collect();
    files.sort();
    files
}

async fn vacuum_into(directory: &TempDir, copy: &Path) {
    let mut connection = raw(url(directory).path()).await;
    let vacuum = format!("VACUUM INTO '{}'", copy.display());
    sqlx::raw_sql(AssertSqlSafe(vacuum))
        .execute(&mut connection)
        .await
        .expect("copied");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_of_killed_server_is_accepted_at_any_time() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    for position in 1..=1_500 {
        append_one(&store).await.expect("appended");
        if position % 100 == 1 {
            let killed = killed(&directory);
            assert_eq!(head(&killed).await, Position::new(position));
            assert_eq!(head(&killed).await, Position::new(position));
        }
    }
}

/// A power cut leaves any part of a log that has just begun again. The first commit after it
/// may keep the log's salts.
#[tokio::test(flavor = "multi_thread")]
async fn log_that_was_cut_off_in_its_first_transaction_is_accepted() {
    const SECTOR: usize = 512;

    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    store.close().await.expect("closed");
    let _store = open(&url(&directory)).await;
    let log = fs::read(directory.path().join("ironstar.db-wal")).expect("a log");
    let whole_sectors = (0..log.len()).step_by(SECTOR);
    for length in whole_sectors.chain([WAL_HEADER, log.len()]) {
        let killed = killed(&directory);
        let cut = killed.path().join("ironstar.db-wal");
        fs::write(cut, &log[..length]).expect("cut off");
        let store = open(&url(&killed)).await;
        append_one(&store).await.expect("appended");
        store.close().await.expect("closed");
        assert_eq!(head(&killed).await, Position::new(2), "{length} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_beside_log_of_another_time_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let path = url(&directory).path().to_owned();
    let copies = TempDir::new().expect("a directory");
    let copy = |name: &str| copies.path().join(name);

    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    store.close().await.expect("closed");
    fs::copy(&path, copy("while it was stopped")).expect("copied");
    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    vacuum_into(&directory, &copy("just before")).await;
    append_one(&store).await.expect("appended");
    let crashed = killed(&directory);
    assert_eq!(head(&killed(&crashed)).await, Position::new(3));
    // Long enough for the log to begin again several times.
    for _ in 0..1_500 {
        append_one(&store).await.expect("appended");
    }
    vacuum_into(&directory, &copy("much later")).await;
    fs::copy(&path, copy("a plain copy, much later")).expect("copied");
    let other = TempDir::new().expect("a directory");
    let foreign = open(&url(&other)).await;
    append_one(&foreign).await.expect("appended");
    foreign.close().await.expect("closed");
    fs::copy(url(&other).path(), copy("another database")).expect("copied");

    for name in [
        "while it was stopped",
        "just before",
        "much later",
        "a plain copy, much later",
        "another database",
    ] {
        let restored = killed(&crashed);
        fs::copy(copy(name), url(&restored).path()).expect("restored");
        let error = refusal(&restored).await;
        assert!(matches!(error, WalError::Stale { .. }), "{name}: {error:?}");
        // Moved away, as the refusal advises.
        fs::remove_file(restored.path().join("ironstar.db-wal")).expect("moved away");
        head(&restored).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_without_its_database_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    let killed = killed(&directory);
    let path = url(&killed).path().to_owned();
    fs::remove_file(&path).expect("removed");
    let error = refusal(&killed).await;
    assert!(matches!(error, WalError::Orphan { .. }), "{error:?}");
    fs::write(&path, "").expect("written");
    let error = refusal(&killed).await;
    assert!(matches!(error, WalError::Orphan { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_copy_is_not_forgotten_when_database_is_gone() {
    let directory = TempDir::new().expect("a directory");
    let copy = directory.path().join("ironstar.db.rescued-1");
    fs::write(&copy, "").expect("written");
    let error = refusal(&directory).await;
    assert!(matches!(error, WalError::Rescued { .. }), "{error:?}");
    fs::remove_file(copy).expect("moved away");
    assert_eq!(head(&directory).await, Position::START);
}

/// A subscriber that collects the messages of warnings and errors.
#[derive(Clone, Debug, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn about(&self, words: &str) -> Vec<String> {
        let all = self.0.lock().expect("the lock");
        all.iter()
            .filter(|it| it.contains(words))
            .cloned()
            .collect()
    }
}

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0.lock().expect("the lock").push(format!("{value:?}"));
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Returns true if `sqlite3` is installed. If not, it reports that the test is skipped. In
/// continuous integration, no test may be skipped.
fn has_sqlite3(test: &str) -> bool {
    if Command::new("sqlite3").arg("--version").output().is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test} needs sqlite3");
    // Not through the test harness, which would hide the output.
    writeln!(
        std::io::stderr(),
        "SKIPPED {test}: sqlite3 is not installed"
    )
    .expect("standard error is writable");
    false
}

#[tokio::test]
async fn operator_learns_which_process_keeps_the_log_from_shrinking() {
    const MIB: u64 = 1024 * 1024;

    if !has_sqlite3("operator_learns_which_process_keeps_the_log_from_shrinking") {
        return;
    }
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let directory = TempDir::new().expect("a directory");
    let limits = WalLimits {
        kept: 2 * MIB,
        warned: 6 * MIB,
    };
    let database = SqliteDatabase::open(&url(&directory)).await.expect("open");
    let database = database.with_wal_limits(limits);
    let store = SqliteEventStore::new(database, Arc::new(SystemClock), DEFAULT_COMMAND_RETENTION);
    append_one(&store).await.expect("appended");

    let mut reader = Command::new("sqlite3")
        .arg(url(&directory).path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sqlite3 runs");
    let mut input = reader.stdin.take().expect("its input");
    let mut output = reader.stdout.take().expect("its output");
    input
        .write_all(b"BEGIN; SELECT 'reads ' || count(*) FROM events;\n")
        .expect("written");
    let mut answer = [0; 8];
    std::io::Read::read_exact(&mut output, &mut answer).expect("sqlite3 reads");

    let start = Instant::now();
    let told = || warnings.about("has grown to");
    while told().len() < 2 {
        append_one(&store).await.expect("appended");
        assert!(start.elapsed() < DEADLINE, "{:?}", store.wal());
    }
    let told = told();
    let who = format!("process {} (\"sqlite3\")", reader.id());
    assert!(
        told.iter().all(|warning| warning.contains(&who)),
        "{told:?}"
    );
    let figures = store.wal();
    assert!(
        figures.bytes > 2 * limits.warned,
        "the log has doubled: {figures:?}"
    );
    assert!(figures.checkpointed < figures.frames, "{figures:?}");

    drop(input);
    reader.wait().expect("sqlite3 ends");
    // This happens without an append.
    while store.wal().bytes > limits.kept {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(start.elapsed() < 2 * DEADLINE, "{:?}", store.wal());
    }
    store.close().await.expect("closed");
}

/// The store looks at its files each second. A log without new events needs no checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn log_does_not_begin_again_without_events() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    append_one(&store).await.expect("appended");
    let header = || {
        let log = fs::read(directory.path().join("ironstar.db-wal"));
        log.expect("a log")[..WAL_HEADER].to_vec()
    };
    let before = header();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(header(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn log_begins_again_while_events_are_appended() {
    let directory = TempDir::new().expect("a directory");
    let store = open(&url(&directory)).await;
    for _ in 0..1_500 {
        append_one(&store).await.expect("appended");
        let bytes = store.wal().bytes;
        assert!(bytes <= WalLimits::default().kept, "{bytes}");
    }
    let log = fs::metadata(directory.path().join("ironstar.db-wal")).expect("a log");
    assert!(log.len() <= WalLimits::default().kept, "{log:?}");
}
