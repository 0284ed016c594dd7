//! The connection that makes changes, and its requests.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;
use serde::Deserialize;

/// The longest time to wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One connection that is kept alive. A request may be sent before the answer to the one
/// before.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) stream: TcpStream,
    host: String,
    /// The `Cookie` header of an owner of lists. Empty for a visitor without a session.
    pub(super) cookie: String,
    received: Vec<u8>,
    /// The expected position of each unanswered request, if it is known.
    expected: VecDeque<Option<u64>>,
    /// The position after the newest request.
    pub(super) position: u64,
}

/// The answer to a command.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) id: String,
    position: u64,
}

/// Begins a session. Returns its `Cookie` header, with the end of the line.
pub(super) fn begin_session(address: SocketAddr) -> anyhow::Result<String> {
    let mut stream = net::TcpStream::connect(address)?;
    write!(
        stream,
        "POST /api/session HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cookie = answer
        .lines()
        .find_map(|line| line.to_ascii_lowercase().starts_with("set-cookie: ").then_some(line))
        .and_then(|line| line["set-cookie: ".len()..].split(';').next())
        .context("a session begins without a cookie")?;
    Ok(format!("Cookie: {cookie}\r\n"))
}

/// A request: the path and the body.
pub(super) type Post = (&'static str, Vec<u8>);

impl Publisher {
    pub(super) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            host: address.to_string(),
            cookie: String::new(),
            received: Vec::new(),
            expected: VecDeque::new(),
            position: 0,
        })
    }

    /// Sends a request. It leads to the next position, because no other client writes.
    pub(super) fn send(&mut self, (path, body): &Post) -> anyhow::Result<()> {
        self.position += 1;
        self.write(path, body, Some(self.position))
    }

    /// Sends a command, and waits for its answer, which may have any position.
    pub(super) fn command(&mut self, path: &str, body: &str) -> anyhow::Result<Answer> {
        self.write(path, body.as_bytes(), None)?;
        let end = Instant::now() + PATIENCE;
        loop {
            match self.receive_one()? {
                Some(answer) => {
                    let answer: Answer = serde_json::from_slice(&answer)?;
                    self.position = answer.position;
                    return Ok(answer);
                }
                None => std::thread::sleep(Duration::from_micros(100)),
            }
            ensure!(Instant::now() < end, "a command was not answered");
        }
    }

    /// Returns true if every request is answered.
    pub(super) fn is_done(&self) -> bool {
        self.expected.is_empty()
    }

    /// Reads the answers that have arrived.
    pub(super) fn receive(&mut self) -> anyhow::Result<()> {
        while self.receive_one()?.is_some() {}
        Ok(())
    }

    fn write(&mut self, path: &str, body: &[u8], expected: Option<u64>) -> anyhow::Result<()> {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.host,
            self.cookie,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.expected.push_back(expected);
        let mut unsent = &*request;
        while !unsent.is_empty() {
            match self.stream.write(unsent) {
                Ok(sent) => unsent = &unsent[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Returns the body of the next answer, if it has arrived.
    fn receive_one(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut buffer = [0; 4_096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the server has closed the connection"),
                Ok(read) => self.received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let Some(length) = length(&self.received)? else {
            return Ok(None);
        };
        let rest = self.received.split_off(length.end);
        let answer = std::mem::replace(&mut self.received, rest);
        ensure!(
            answer.starts_with(b"HTTP/1.1 200"),
            "a command was refused: {}",
            String::from_utf8_lossy(&answer)
        );
        let body = answer[length.start..].to_vec();
        let expected = self
            .expected
            .pop_front()
            .context("an answer without a request")?;
        if let Some(expected) = expected
            && !body.is_empty()
        {
            let answer: Answer = serde_json::from_slice(&body)?;
            ensure!(answer.position == expected, "another client is writing");
        }
        Ok(Some(body))
    }
}

/// Returns the range of the first answer's body, if the answer is complete.
fn length(received: &[u8]) -> anyhow::Result<Option<std::ops::Range<usize>>> {
    let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end])?.to_ascii_lowercase();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .context("an answer has no length")?
        .trim()
        .parse()?;
    let start = end + 4;
    Ok((received.len() >= start + length).then_some(start..start + length))
}

/// A sequence of changes that are sent to a server.
#[derive(Debug)]
pub(super) enum Changes {
    /// Completes these todos and reopens them.
    Toggles { todos: Vec<String>, next: usize },
    /// Gives these todos other texts.
    Renames { todos: Vec<String>, next: usize },
    /// The recorded frames of another server, one change after the other, with new ids.
    Replay { recorded: Vec<Vec<u8>>, next: usize },
}

impl Changes {
    pub(super) fn toggles(todos: Vec<String>) -> Self {
        Self::Toggles { todos, next: 0 }
    }

    pub(super) fn renames(todos: Vec<String>) -> Self {
        Self::Renames { todos, next: 0 }
    }

    pub(super) fn replay(recorded: Vec<Vec<u8>>) -> Self {
        Self::Replay { recorded, next: 0 }
    }

    /// The number of todos that are not completed.
    pub(super) fn active(&self) -> usize {
        match self {
            Self::Toggles { todos, next } => {
                let completed = next % (2 * todos.len());
                completed.abs_diff(todos.len())
            }
            Self::Renames { todos, .. } => todos.len(),
            Self::Replay { .. } => 0,
        }
    }

    /// Returns the next change, which leads to this position.
    pub(super) fn next(&mut self, position: u64) -> anyhow::Result<Post> {
        match self {
            Self::Toggles { todos, next } => {
                let action = match (*next / todos.len()).is_multiple_of(2) {
                    true => "complete",
                    false => "reopen",
                };
                let id = &todos[*next % todos.len()];
                *next += 1;
                Ok(todo(format!(r#"{{"type":"{action}","id":"{id}"}}"#)))
            }
            Self::Renames { todos, next } => {
                let id = &todos[*next % todos.len()];
                *next += 1;
                // A text that the todo does not have yet.
                Ok(todo(format!(
                    r#"{{"type":"rename","id":"{id}","text":"Take {position}"}}"#
                )))
            }
            Self::Replay { recorded, next } => {
                let frames = &recorded[*next % recorded.len()];
                *next += 1;
                with_id(frames, position)
            }
        }
    }
}

/// Creates a request with a command on a todo.
pub(super) fn todo(command: String) -> Post {
    ("/api/commands/todo", command.into_bytes())
}

/// Returns the same frames for the bare server, with this id in the last one. The frames end
/// with it.
pub(super) fn with_id(frames: &[u8], id: u64) -> anyhow::Result<Post> {
    let start = memchr::memmem::rfind(frames, b"\nid: ").context("a frame without an id")?;
    let mut frames = frames[..start].to_vec();
    frames.extend_from_slice(format!("\nid: {id}\n\n").as_bytes());
    Ok(("/publish", frames))
}
