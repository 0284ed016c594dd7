//! The real server, or a server with a bug, as a process that can be killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use anyhow::{Context, bail};
use reqwest::Client;
use serde_json::Value;

use crate::Bug;

/// The file name of the database.
pub(crate) const DATABASE: &str = "ironstar.db";

/// A command on a todo or a list, with its idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) to: Recipient,
    pub(crate) body: Value,
}

/// The aggregate that a command is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Recipient {
    Todo,
    List,
}

/// The position of a todo or a list after a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) position: u64,
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
    /// Starts a server on the database in a folder, and waits until it is ready.
    pub(crate) fn start(program: &Path, folder: &Path, bug: Option<Bug>) -> anyhow::Result<Self> {
        let mut command = match bug {
            None => {
                let mut command = Command::new(program);
                let url = format!("sqlite:{}", folder.join(DATABASE).display());
                command.args(["--listen", "127.0.0.1:0", "--database-url", &url]);
                command.args(["--archive-done-lists-after", "0s"]);
                command
            }
            Some(bug) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("serve").arg(folder).arg(bug.name());
                command
            }
        };
        let mut process = command
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
    ) -> anyhow::Result<Option<Answer>> {
        let to = match request.to {
            Recipient::Todo => "todo",
            Recipient::List => "list",
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
        let number = |name: &str| answer[name].as_u64();
        match (
            answer["id"].as_str(),
            number("sequence"),
            number("position"),
        ) {
            (Some(id), Some(sequence), Some(position)) if status.is_success() => Ok(Some(Answer {
                id: id.to_owned(),
                sequence,
                position,
            })),
            _ => bail!("{} is answered {status} {answer}", request.body),
        }
    }
}
