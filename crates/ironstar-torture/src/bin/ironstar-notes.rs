//! The server of notes and remarks, without a bug.

use std::process::ExitCode;

use ironstar_torture::NotesSite;

#[tokio::main]
async fn main() -> ExitCode {
    ironstar_server::run::<NotesSite>().await
}
