//! Logs that move to another database, through a file.

use std::fs;
use std::path::{Path, PathBuf};

use ironstar_cluster::Cluster;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, run_to_end, server};
use crate::projections::remarks;

/// A folder with an exported log, and databases.
struct World {
    folder: TempDir,
    file: PathBuf,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("log.ndjson");
        Self { folder, file }
    }

    /// The URL of a SQLite file.
    fn url(&self, name: &str) -> String {
        format!("sqlite:{}", self.folder.path().join(name).display())
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.file)
    }

    fn export(&self, url: &str, options: &[&str]) -> String {
        did(url, "export", &self.file, options)
    }

    fn import(&self, url: &str) -> String {
        did(url, "import", &self.file, &[])
    }

    /// The reason why an import fails.
    fn refused(&self, url: &str) -> String {
        let mut command = server();
        command.args(["import", "--database-url", url]);
        let refused = run_to_end(command.arg(&self.file));
        assert!(!refused.status.success());
        String::from_utf8(refused.stderr).expect("text")
    }
}

fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a file");
    text.lines().map(str::to_owned).collect()
}

/// Runs a task to its end, and returns what it says.
fn did(url: &str, task: &str, file: &Path, options: &[&str]) -> String {
    let mut command = server();
    command.args([task, "--database-url", url]).args(options);
    let done = run_to_end(command.arg(file));
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).expect("text")
}

fn start(url: &str) -> Server {
    Server::start_with(server().args(["--database-url", url]))
}

async fn texts(server: &Server) -> Vec<Value> {
    let remarks = remarks(server, "").await;
    remarks
        .into_iter()
        .map(|remark| remark["text"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn log_moves_to_postgresql_and_back() {
    let Some(cluster) = Cluster::shared("log_moves_to_postgresql_and_back") else {
        return;
    };
    let world = World::new();
    let (sqlite, back) = (world.url("first.db"), world.url("last.db"));
    let postgres = cluster.database().await.expect("a database");
    let mut source = start(&sqlite);
    let cookie = source.begin_session().await;
    source.create("before").await;
    let keyed = json!({"type": "create", "text": "keyed", "command_id": "k"});
    let (_, answer) = source.command(&keyed).await;
    // The source serves meanwhile.
    let told = world.export(&sqlite, &[]);
    assert!(
        told.starts_with("exported all events up to position"),
        "{told}"
    );
    source.create("after").await;
    world.export(&sqlite, &["--close"]);
    let late = json!({"type": "create", "text": "too late"});
    let (status, _) = source.command(&late).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let shown = texts(&source).await;

    let told = world.import(&postgres);
    assert!(
        told.contains("and all sessions, secrets and keys"),
        "{told}"
    );
    let mut there = start(&postgres);
    there.resume_session(&cookie);
    there.create("there").await;
    let after: Vec<Value> = texts(&there).await;
    assert_eq!(after.len(), shown.len() + 1);
    assert!(shown.iter().all(|text| after.contains(text)), "{after:?}");
    assert_eq!(there.command(&keyed).await, (StatusCode::OK, answer));
    there.stop();

    // The export of PostgreSQL has the same lines, and goes on with the new event.
    let first = world.lines();
    let events = first.iter().filter(|line| line.starts_with("{\"event\""));
    let events: Vec<&String> = events.collect();
    fs::remove_file(&world.file).expect("removed");
    world.export(&postgres, &["--close"]);
    let second = world.lines();
    assert_eq!(first[..=events.len()], second[..=events.len()]);
    let secret = |line: &&String| line.starts_with("{\"belonging\":{\"secret\"");
    let object = |line: &String| line.split(",\"hash\"").next().map(str::to_owned);
    let secrets = |lines: &[String]| lines.iter().filter(secret).map(object).collect::<Vec<_>>();
    assert!(!secrets(&first).is_empty());
    assert_eq!(secrets(&first), secrets(&second));
    world.import(&back);
    let mut home = start(&back);
    home.resume_session(&cookie);
    assert_eq!(texts(&home).await, after);

    // Nothing has moved away from the first database, which can serve again.
    did_reopen(&sqlite);
    source.create("on its own").await;
}

fn did_reopen(url: &str) {
    let reopened = run_to_end(server().args(["reopen", "--database-url", url]));
    assert!(reopened.status.success(), "{reopened:?}");
    assert_eq!(
        String::from_utf8_lossy(&reopened.stdout),
        "the log is open again: servers accept commands\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn export_and_import_continue_after_an_interruption() {
    let world = World::new();
    let (from, to) = (world.url("from.db"), world.url("to.db"));
    let source = start(&from);
    for number in 0..5 {
        source.create(&format!("remark {number}")).await;
    }
    source.stop();
    world.export(&from, &[]);
    let whole = fs::read(&world.file).expect("a file");
    let lines = world.lines();
    // Whole lines, a part of a line, and nothing at all.
    let lengths = [whole.len() - 1, whole.len() / 2, lines[0].len() + 1, 10, 0];
    for length in lengths {
        fs::write(&world.file, &whole[..length]).expect("written");
        let told = world.refused(&to);
        let is_begun = length > lines[0].len();
        let reason = if is_begun {
            "without the last line of a complete export"
        } else {
            "this is not the export of a log"
        };
        assert!(told.contains(reason), "{length}: {told}");
        world.export(&from, &[]);
        assert_eq!(fs::read(&world.file).expect("a file"), whole, "{length}");
    }
    // A longer end than that of the next export.
    world.export(&from, &["--close"]);
    did_reopen(&from);
    world.export(&from, &[]);
    assert_eq!(fs::read(&world.file).expect("a file"), whole);
    world.import(&to);
    let told = world.import(&to);
    assert!(told.starts_with("imported 0 events"), "{told}");
    assert_eq!(texts(&start(&to)).await, texts(&start(&from)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_and_foreign_files_are_refused() {
    let world = World::new();
    let (one, other) = (world.url("one.db"), world.url("other.db"));
    for url in [&one, &other] {
        let source = start(url);
        source.create("first").await;
        source.create("second").await;
        source.stop();
    }
    world.export(&one, &[]);
    // A file of one log is no file of another one.
    let mut export = server();
    export.args(["export", "--database-url", &other]);
    let refused = run_to_end(export.arg(&world.file));
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("has another event at position"), "{told}");
    let told = world.refused(&other);
    assert!(
        told.contains("the database has another event at position"),
        "{told}"
    );

    let text = fs::read_to_string(&world.file).expect("a file");
    let lines = world.lines();
    let changed = text.replacen("first", "fir5t", 1);
    let missing = text.replacen(&format!("{}\n", lines[1]), "", 1);
    let doubled = text.replacen(&lines[1], &format!("{}\n{}", lines[1], lines[1]), 1);
    for damaged in [changed, missing, doubled] {
        fs::write(&world.file, damaged).expect("written");
        let told = world.refused(&world.url("empty.db"));
        assert!(told.contains("the line does not match its hash"), "{told}");
    }
    // A file that is not an export stays as it is.
    fs::write(&world.file, "a text\n").expect("written");
    let mut export = server();
    export.args(["export", "--database-url", &one]);
    let refused = run_to_end(export.arg(&world.file));
    assert!(!refused.status.success());
    assert_eq!(world.lines(), ["a text"]);
}
