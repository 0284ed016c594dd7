//! A backup that is restored over the database, while the server is stopped or while it runs.

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{DEADLINE, Events, Server, database, live_page};
use crate::programs::installed;
use crate::projections::{change, remarks};

/// The way in which a backup gets over the database.
#[derive(Clone, Copy, Debug)]
enum Restore {
    /// The server is stopped, the file is replaced, and a server is started.
    Stopped,
    /// The whole file is written again while the server runs, as `sqlite3` does.
    Live,
    /// Only the log in the file is taken back, while the server runs.
    OnlyTheLog,
}

/// The ids and answers that clients hold from a log of ten events, before a backup of five is
/// restored.
struct Held {
    directory: TempDir,
    server: Server,
    /// The id of the tenth event, as a program holds it.
    program: String,
    /// The id of the tenth event, as a page holds it.
    page: String,
    /// The answer to the tenth command.
    answer: Value,
}

impl Held {
    async fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let server = Server::start(&directory);
        for number in 1..=5 {
            server.create(&format!("Kept {number}")).await;
        }
        let backup = directory.path().join("backup.db");
        sqlite3(&directory, &format!(".backup {}", backup.display()));
        for number in 6..=9 {
            server.create(&format!("Ghost {number}")).await;
        }
        let tenth = json!({"type": "create", "text": "Ghost 10"});
        let (_, answer) = server.command(&tenth).await;
        remarks(&server, "at_least=10").await;
        let mut events = server.stream("/api/events?after=9").await;
        let program = events.next_marked().await.id;
        let page = whole(&mut server.stream(&live_page()).await).await.0;
        assert!(
            program.starts_with("10.") && page == program,
            "{program} {page}"
        );
        Self {
            directory,
            server,
            program,
            page,
            answer,
        }
    }

    async fn restore(mut self, how: Restore) -> Self {
        let mut open = [
            self.server.stream("/api/events").await,
            self.server.stream(&live_page()).await,
        ];
        let backup = self.directory.path().join("backup.db");
        match how {
            Restore::Stopped => {
                self.server.signal("TERM");
                assert!(self.server.status().success());
                std::fs::copy(&backup, database(&self.directory)).expect("copied");
                self.server = Server::start(&self.directory);
            }
            Restore::Live => {
                sqlite3(&self.directory, &format!(".restore {}", backup.display()));
            }
            Restore::OnlyTheLog => {
                change(
                    &self.directory,
                    &[
                        "DROP TRIGGER events_are_never_deleted",
                        "DELETE FROM events WHERE id > 5",
                    ],
                )
                .await;
            }
        }
        for events in &mut open {
            ended(events).await;
        }
        self
    }

    /// Creates remarks, and retries until the server accepts them.
    async fn create(&self, count: usize) {
        let start = Instant::now();
        for number in 1..=count {
            let command = json!({
                "type": "create",
                "text": format!("New {number}"),
                "command_id": format!("new-{number}"),
            });
            let url = format!("{}/api/commands/remark", self.server.url);
            loop {
                let sent = self.server.client.post(&url).json(&command).send().await;
                match sent.map(|answer| answer.status()) {
                    Ok(StatusCode::OK) => break,
                    refused => assert!(start.elapsed() < DEADLINE, "{refused:?}"),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Returns the texts of all remarks, once the read model has reached a position.
    async fn texts(&self, position: usize) -> Vec<String> {
        let start = Instant::now();
        let url = format!("{}/api/remarks?at_least={position}", self.server.url);
        loop {
            let answer = self
                .server
                .client
                .get(&url)
                .send()
                .await
                .expect("an answer");
            if answer.status() == StatusCode::OK {
                let page: Value = answer.json().await.expect("JSON");
                let remarks = page["remarks"].as_array().expect("remarks").iter();
                let text = |remark: &Value| remark["text"].as_str().expect("text").to_owned();
                return remarks.map(text).collect();
            }
            // A read model of the previous log is built again first.
            assert!(start.elapsed() < DEADLINE, "{}", answer.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn expected(new: usize) -> Vec<String> {
    let kept = (1..=5).map(|number| format!("Kept {number}"));
    kept.chain((1..=new).map(|number| format!("New {number}")))
        .collect()
}

/// Waits for the end of a stream.
async fn ended(events: &mut Events) {
    while events.next_or_end().await.is_some() {}
}

/// Returns the id and the content of the whole view of a page, which must come first.
async fn whole(events: &mut Events) -> (String, String) {
    loop {
        let event = events.next_marked().await;
        // Elements beside the view have no id.
        if event.data.contains("id=\"lines\"") {
            return (event.id, event.data);
        }
        assert!(!event.data.contains("id=\"line-"), "{}", event.data);
    }
}

/// Runs a command of `sqlite3` on the database.
fn sqlite3(directory: &TempDir, command: &str) {
    let output = Command::new("sqlite3")
        .arg(database(directory))
        .args([".timeout 5000", command])
        .output()
        .expect("sqlite3 runs");
    assert!(output.status.success(), "{output:?}");
}

/// Returns true if `sqlite3` is installed.
fn has_sqlite3(test: &str) -> bool {
    installed(test, &["sqlite3"]).is_some()
}

const WAYS: [Restore; 3] = [Restore::Stopped, Restore::Live, Restore::OnlyTheLog];

#[tokio::test(flavor = "multi_thread")]
async fn program_hears_of_a_restore_and_then_of_all_events() {
    if !has_sqlite3("program_hears_of_a_restore_and_then_of_all_events") {
        return;
    }
    for how in WAYS {
        let held = Held::new().await.restore(how).await;
        held.create(8).await;
        let mut events = held
            .server
            .stream_after("/api/events", Some(&held.program))
            .await;
        let reset = events.next_marked().await;
        assert_eq!((&*reset.event, &*reset.id), ("log-reset", "0"), "{how:?}");
        for position in 1..=13 {
            let event = events.next().await;
            assert_eq!(event.id, position.to_string(), "{how:?}");
            assert!(!event.data.contains("Ghost"), "{how:?}: {}", event.data);
        }
        let place = held.answer["place"].as_str().expect("a place");
        let url = format!("{}/api/remarks?at_least={place}", held.server.url);
        let query = held.server.client.get(url).send().await.expect("an answer");
        assert_eq!(query.status(), StatusCode::CONFLICT, "{how:?}");
        assert_eq!(held.texts(13).await, expected(8), "{how:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn page_shows_no_ghosts_after_a_restore_that_ends_where_it_was() {
    if !has_sqlite3("page_shows_no_ghosts_after_a_restore_that_ends_where_it_was") {
        return;
    }
    for how in WAYS {
        let held = Held::new().await.restore(how).await;
        held.create(5).await;
        assert_eq!(held.texts(10).await, expected(5), "{how:?}");
        let mut page = held
            .server
            .stream_after(&live_page(), Some(&held.page))
            .await;
        let (id, shown) = whole(&mut page).await;
        assert!(id.starts_with("10.") && id != held.page, "{how:?}: {id}");
        assert!(!shown.contains("Ghost"), "{how:?}: {shown}");
        for text in expected(5) {
            assert!(shown.contains(&text), "{how:?}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_is_refused_until_the_server_has_begun_again() {
    if !has_sqlite3("command_is_refused_until_the_server_has_begun_again") {
        return;
    }
    let held = Held::new().await;
    let backup = held.directory.path().join("backup.db");
    sqlite3(&held.directory, &format!(".restore {}", backup.display()));
    held.create(1).await;
    assert_eq!(held.texts(6).await, expected(1));
    let (status, log) = held.server.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("a backup was restored over"), "{log}");
    assert!(log.contains("the server starts again"), "{log}");
}
