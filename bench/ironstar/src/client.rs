//! A light HTTP client: one connection, kept alive, one request at a time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
}

/// The answer to a command, and the time that it took. Any status but success is an error.
type Answered = anyhow::Result<(Answer, Duration)>;

/// The answer to an accepted command.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) id: String,
    pub(crate) position: u64,
}

/// A stream of events.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    /// The data since the last expected frame.
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // If the connection breaks, the request in progress gets the error.
        tokio::spawn(connection);
        Ok(Self { sender, address })
    }

    /// Sends a command.
    async fn command(&mut self, command: String) -> Answered {
        let request = Request::post("/api/commands/todo")
            .header(header::HOST, self.address.to_string())
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(command)))?;
        let start = Instant::now();
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let time = start.elapsed();
        ensure!(
            status.is_success(),
            "a command was answered with {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok((serde_json::from_slice(&body)?, time))
    }

    /// Creates a todo.
    pub(crate) async fn create(&mut self, number: usize) -> Answered {
        self.command(format!(
            r#"{{"type":"create","text":"Todo number {number}"}}"#
        ))
        .await
    }

    /// Sends a command on a todo that needs no more data.
    pub(crate) async fn act(&mut self, action: &str, id: &str) -> Answered {
        self.command(format!(r#"{{"type":"{action}","id":"{id}"}}"#))
            .await
    }

    /// Changes the text of a todo.
    pub(crate) async fn rename(&mut self, id: &str, number: usize) -> Answered {
        self.command(format!(
            r#"{{"type":"rename","id":"{id}","text":"Todo number {number}"}}"#
        ))
        .await
    }

    /// Opens a stream, which uses the connection up.
    pub(crate) async fn events(mut self, path: &str) -> anyhow::Result<Events> {
        let request = Request::get(path)
            .header(header::HOST, self.address.to_string())
            .body(Full::default())?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        ensure!(status.is_success(), "a stream was answered with {status}");
        Ok(Events {
            body: response.into_body(),
            received: Vec::new(),
        })
    }
}

impl Events {
    /// Waits for the frame with a position.
    pub(crate) async fn reach(&mut self, position: u64) -> anyhow::Result<()> {
        let ids = [".", "\n"].map(|end| format!("\nid: {position}{end}"));
        while !ids.iter().any(|id| has_frame(&self.received, id.as_bytes())) {
            let received = self.receive().await?;
            self.received.extend_from_slice(&received);
        }
        self.received.clear();
        Ok(())
    }

    /// Waits for more data.
    pub(crate) async fn receive(&mut self) -> anyhow::Result<Bytes> {
        let frame = self.body.frame().await.context("a stream has ended")??;
        Ok(frame.into_data().unwrap_or_default())
    }
}

/// Returns true if a text has an id, and the end of its frame.
fn has_frame(text: &[u8], id: &[u8]) -> bool {
    let Some(start) = find(text, id) else {
        return false;
    };
    find(&text[start + 1..], b"\n\n").is_some()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
