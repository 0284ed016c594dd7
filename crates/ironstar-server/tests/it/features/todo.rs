//! The todo application.

mod archiving;
mod chromium;
mod first_release;
mod options;
mod previous_release;

use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Server, database_url, undisturbed};

/// Returns a command line for the server, without this machine's settings.
fn server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ironstar-server"));
    undisturbed(&mut command);
    command
}

/// Starts a server on a free port, and waits until it is ready.
fn start(directory: &TempDir) -> Server {
    Server::start_with(server().args(["--database-url", &database_url(directory)]))
}

/// Sends a command on a todo, and returns the status and the JSON of the answer.
async fn command(server: &Server, body: &Value) -> (StatusCode, Value) {
    server.command_on("todo", body).await
}

/// Creates a todo, and returns its id.
async fn create(server: &Server, text: &str) -> String {
    let (status, answer) = command(server, &json!({"type": "create", "text": text})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

/// Returns the todos of the shared list.
async fn todos(server: &Server, query: &str) -> Value {
    let url = format!("{}/api/todos?{query}", server.url);
    let response = server.client.get(url).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("JSON")
}
