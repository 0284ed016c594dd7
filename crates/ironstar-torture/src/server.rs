//! The real server, or a server with a bug, as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use anyhow::{Context, bail};
use ironstar_ports::Position;
use reqwest::Client;
use serde_json::Value;

use crate::Bug;

/// The file name of the database.
pub(crate) const DATABASE: &str = "ironstar.db";

/// The type of the problem when a command closes a remark that is already closed.
const ALREADY_CLOSED: &str = "/problems/remark-already-closed";

/// A command on a note or a remark, with its idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) to: Recipient,
    pub(crate) body: Value,
    /// The position of the sender's last event of the same remark, or the start.
    pub(crate) last: Position,
}

/// The aggregate that a command is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recipient {
    Note,
    Remark,
}

/// The position of a note or a remark after a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) position: u64,
}

/// The reply to a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    /// The command was accepted.
    Accepted(Answer),
    /// The remark with this id was already closed: a process manager had been faster. `last` is
    /// the position of the client's last event of the remark.
    AlreadyClosed { id: String, last: Position },
}

impl Reply {
    /// Returns the answer to a command that nothing can prevent.
    pub(crate) fn accepted(self) -> anyhow::Result<Answer> {
        match self {
            Self::Accepted(answer) => Ok(answer),
            Self::AlreadyClosed { id, .. } => bail!("the remark {id} was already closed"),
        }
    }
}

/// A running server. Dropping it kills the server.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    url: String,
    http: Client,
    is_killed: Arc<AtomicBool>,
}

impl Server {
    /// Starts a server on the database in a folder, with options of the application, and waits
    /// until it is ready.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        bug: Option<Bug>,
        options: &[&str],
    ) -> anyhow::Result<Self> {
        let mut command = match bug {
            None => {
                let mut command = Command::new(program);
                let url = format!("sqlite:{}", folder.join(DATABASE).display());
                command.args(["--listen", "127.0.0.1:0", "--database-url", &url]);
                command
            }
            Some(bug) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("serve").arg(folder).arg(bug.name());
                command
            }
        };
        let mut process = command
            .args(options)
            .env_remove("NOTES_CLOSE_REMARKS_AFTER")
            .env("RUST_LOG", "off")
            // All requests of this check come from one address, so the limits are off.
            .env("IRONSTAR_COMMAND_RATE", "0")
            .env("IRONSTAR_STREAMS_PER_VISITOR", "0")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let Some(url) = url else {
            bail!("the server does not start: {line:?}, {:?}", process.wait()?);
        };
        Ok(Self {
            url: url.to_owned(),
            process,
            http: Client::new(),
            is_killed: Arc::default(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn commands(&self) -> Commands {
        Commands {
            http: self.http.clone(),
            url: format!("{}/api/commands", self.url),
            is_killed: Arc::clone(&self.is_killed),
        }
    }

    /// `kill -9`. Returns the exit status if the server had ended before.
    pub(crate) fn kill(mut self) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.process.try_wait()?;
        self.is_killed.store(true, SeqCst);
        self.process.kill()?;
        self.process.wait()?;
        Ok(ended)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends commands to a server.
#[derive(Clone, Debug)]
pub(crate) struct Commands {
    http: Client,
    url: String,
    is_killed: Arc<AtomicBool>,
}

impl Commands {
    /// Begins a session, and returns its cookie. Returns `None` if the server is killed.
    pub(crate) async fn begin_session(&self) -> anyhow::Result<Option<String>> {
        let url = self.url.replace("/api/commands", "/api/session");
        let response = match self.http.post(url).send().await {
            Ok(response) => response,
            Err(_) if self.is_killed.load(SeqCst) => return Ok(None),
            Err(error) => {
                return Err(error)
                    .context("the server does not answer, although it was not killed");
            }
        };
        let cookie = response.headers().get("set-cookie");
        let cookie = cookie.context("a session begins without a cookie")?;
        let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
        Ok(Some(pair.to_owned()))
    }

    /// Sends a command. Returns `None` if the server is killed.
    pub(crate) async fn send(
        &self,
        request: &Request,
        cookie: Option<&str>,
    ) -> anyhow::Result<Option<Reply>> {
        let to = match request.to {
            Recipient::Note => "note",
            Recipient::Remark => "remark",
        };
        let mut post = self
            .http
            .post(format!("{}/{to}", self.url))
            .header("idempotency-key", &request.key)
            .header("x-request-id", &request.key)
            .json(&request.body);
        if let Some(cookie) = cookie {
            post = post.header("cookie", cookie);
        }
        let response = post.send().await;
        let answered = async {
            let response = response?;
            let status = response.status();
            Ok((status, response.json::<Value>().await?))
        };
        let (status, answer) = match answered.await {
            Ok(answered) => answered,
            Err(_) if self.is_killed.load(SeqCst) => return Ok(None),
            Err(error) => {
                let error: reqwest::Error = error;
                return Err(error)
                    .context("the server does not answer, although it was not killed");
            }
        };
        if let Some(answer) = answer_in(&answer).filter(|_| status.is_success()) {
            return Ok(Some(Reply::Accepted(answer)));
        }
        if answer["type"] == ALREADY_CLOSED
            && let Some(id) = request.body["id"].as_str()
        {
            let (id, last) = (id.to_owned(), request.last);
            return Ok(Some(Reply::AlreadyClosed { id, last }));
        }
        bail!("{} is answered {status} {answer}", request.body)
    }
}

fn answer_in(body: &Value) -> Option<Answer> {
    Some(Answer {
        id: body["id"].as_str()?.to_owned(),
        sequence: body["sequence"].as_u64()?,
        position: body["position"].as_u64()?,
    })
}
