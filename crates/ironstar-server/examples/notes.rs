//! A server with notes and remarks, for the tests of this crate.

use std::process::ExitCode;

use ironstar_torture::NotesSite;

#[tokio::main]
async fn main() -> ExitCode {
    ironstar_server::run::<NotesSite>().await
}
