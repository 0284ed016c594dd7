//! Runs the real server on a temporary database, with notes and remarks as its application.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use eventsource_stream::{Event, Eventsource};
use futures::StreamExt;
use futures::stream::BoxStream;
use ironstar_fixtures::note::OPEN;
use reqwest::header::{COOKIE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends the server.
pub(crate) struct Server {
    process: Child,
    /// The line that announces the server.
    pub(crate) ready: String,
    pub(crate) url: String,
    pub(crate) client: Client,
}

/// An open event stream.
pub(crate) struct Events(BoxStream<'static, Event>);

/// Returns the path of the server. It is an example of this crate, because a binary may not use
/// the crates of tests. `cargo test` builds it, unless it is told to build one test only.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("the folder of the profile");
    let program = profile.join("examples/notes");
    assert!(
        program.is_file(),
        "{} is missing: build it with 'cargo build --example notes'",
        program.display()
    );
    program
}

/// The address of the live page of the open note.
pub(crate) fn live_page() -> String {
    format!("/api/sse/notes/{OPEN}")
}

/// Returns a command line for the server, without this machine's settings.
pub(crate) fn server() -> Command {
    let mut command = Command::new(program());
    undisturbed(&mut command);
    command
}

/// Removes this machine's settings from a command.
pub(crate) fn undisturbed(command: &mut Command) {
    let settings = std::env::vars_os().map(|(variable, _)| variable);
    let is_ours = |variable: &OsString| variable.as_encoded_bytes().starts_with(b"IRONSTAR_");
    for variable in settings
        .filter(is_ours)
        .chain(["DATABASE_URL", "NOTES_CLOSE_REMARKS_AFTER", "RUST_LOG"].map(Into::into))
    {
        command.env_remove(variable);
    }
    // All requests of a test come from one busy client, and the machine may allow few open
    // files.
    command.envs([
        ("IRONSTAR_COMMAND_RATE", "0"),
        ("IRONSTAR_MAX_CONNECTIONS", "500"),
        ("IRONSTAR_STREAMS_PER_VISITOR", "0"),
    ]);
}

/// Runs a server that is expected to end by itself.
pub(crate) fn run_to_end(command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server starts");
    wait_for_output(child)
}

/// Waits for the end, at most until the deadline.
fn wait_for_output(mut child: Child) -> Output {
    wait(&mut child);
    child.wait_with_output().expect("its output")
}

fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("its status") {
            return status;
        }
        assert!(start.elapsed() < DEADLINE, "the server does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn database_url(directory: &TempDir) -> String {
    format!("sqlite:{}", database(directory).display())
}

pub(crate) fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("ironstar.db")
}

fn client(headers: HeaderMap) -> Client {
    Client::builder()
        .default_headers(headers)
        .read_timeout(DEADLINE)
        .build()
        .expect("a client")
}

impl Server {
    /// Starts a server on a free port, and waits until it is ready.
    pub(crate) fn start(directory: &TempDir) -> Self {
        Self::start_with(server().args(["--database-url", &database_url(directory)]))
    }

    pub(crate) fn start_with(command: &mut Command) -> Self {
        let mut process = command
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output"))
            .read_line(&mut line)
            .expect("a line");
        let Some(url) = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
        else {
            panic!("not ready: {:?}", wait_for_output(process));
        };
        Self {
            url: url.to_owned(),
            ready: line,
            process,
            client: client(HeaderMap::new()),
        }
    }

    /// Begins a session and uses it for all further requests. Returns its cookie.
    pub(crate) async fn begin_session(&mut self) -> HeaderValue {
        let url = format!("{}/api/session", self.url);
        let answer = self.client.post(url).send().await.expect("an answer");
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        let (pair, _) = cookie.split_once(';').expect("a cookie");
        let pair = HeaderValue::from_str(pair).expect("a header");
        self.resume_session(&pair);
        pair
    }

    /// Uses this session for all further requests.
    pub(crate) fn resume_session(&mut self, cookie: &HeaderValue) {
        self.client = client(HeaderMap::from_iter([(COOKIE, cookie.clone())]));
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends a command on a remark, and returns the status and the JSON of the answer.
    pub(crate) async fn command(&self, body: &Value) -> (StatusCode, Value) {
        self.command_on("remark", body).await
    }

    /// Sends a command on an aggregate, and returns the status and the JSON of the answer.
    pub(crate) async fn command_on(&self, what: &str, body: &Value) -> (StatusCode, Value) {
        let response = self
            .client
            .post(format!("{}/api/commands/{what}", self.url))
            .json(body)
            .send()
            .await
            .expect("an answer");
        let status = response.status();
        (status, response.json().await.expect("JSON"))
    }

    /// Creates a remark on the open note, and returns its id.
    pub(crate) async fn create(&self, text: &str) -> String {
        let (status, answer) = self.command(&json!({"type": "create", "text": text})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn stream(&self, path: &str) -> Events {
        self.stream_after(path, None).await
    }

    /// Opens a stream like a client that reconnects.
    pub(crate) async fn stream_after(&self, path: &str, last_event_id: Option<&str>) -> Events {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
        Events(
            response
                .bytes_stream()
                .eventsource()
                .filter_map(async |event| event.ok())
                .boxed(),
        )
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end. Returns the status and the log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.process);
        let mut log = String::new();
        let mut stderr = self.process.stderr.take().expect("its log");
        stderr.read_to_string(&mut log).expect("text");
        (status, log)
    }

    /// Stops reading the log.
    pub(crate) fn close_log(&mut self) {
        drop(self.process.stderr.take());
    }

    /// Waits for the end. Returns the status.
    pub(crate) fn status(&mut self) -> ExitStatus {
        wait(&mut self.process)
    }

    /// Ends the server cleanly. Returns the status and the log.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Events {
    /// Returns the next event, which must arrive before the deadline, with the mark removed
    /// from its id.
    pub(crate) async fn next(&mut self) -> Event {
        let mut event = self.next_marked().await;
        if let Some((position, rest)) = event.id.split_once('.') {
            let end = rest.find('-').map_or("", |end| &rest[end..]);
            event.id = format!("{position}{end}");
        }
        event
    }

    /// Returns the next event, which must arrive before the deadline, with its complete id.
    pub(crate) async fn next_marked(&mut self) -> Event {
        let event = self.next_or_end().await;
        event.expect("the stream goes on")
    }

    pub(crate) async fn next_or_end(&mut self) -> Option<Event> {
        tokio::time::timeout(DEADLINE, self.0.next())
            .await
            .expect("an event, or the end")
    }
}

/// Returns the rows of a `SELECT`, read with SQLite and not through the server.
pub(crate) async fn rows(
    path: &Path,
    query: &'static str,
) -> Vec<(i64, String, i64, String, String)> {
    use sqlx::ConnectOptions;
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .expect("a database");
    sqlx::query_as(query)
        .fetch_all(&mut connection)
        .await
        .expect("rows")
}
