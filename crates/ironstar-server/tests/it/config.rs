use tempfile::TempDir;

use crate::process::{Server, database_url, run_to_end, server};

#[test]
fn help_names_every_option_its_variable_and_its_default() {
    let output = run_to_end(server().arg("--help"));
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).expect("text");
    for expected in [
        "--listen",
        "IRONSTAR_LISTEN",
        "127.0.0.1:3000",
        "--database-url",
        "DATABASE_URL",
        "sqlite:ironstar.db",
        "--command-rate",
        "IRONSTAR_COMMAND_RATE",
        "20",
        "--streams-per-visitor",
        "IRONSTAR_STREAMS_PER_VISITOR",
        "64",
        "--compress-streams",
        "IRONSTAR_COMPRESS_STREAMS",
        "--max-connections",
        "IRONSTAR_MAX_CONNECTIONS",
        "20000",
        "--client-address-header",
        "IRONSTAR_CLIENT_ADDRESS_HEADER",
        "--allowed-hosts",
        "IRONSTAR_ALLOWED_HOSTS",
        "--log-format",
        "IRONSTAR_LOG_FORMAT",
        "text",
        "json",
    ] {
        assert!(help.contains(expected), "{expected} is missing in:\n{help}");
    }
}

#[tokio::test]
async fn the_database_is_a_file_in_the_working_directory_by_default() {
    let directory = TempDir::new().expect("a directory");
    let server = Server::start_with(server().current_dir(directory.path()));
    server.create("Buy milk").await;
    assert!(directory.path().join("ironstar.db").is_file());
}

#[tokio::test]
async fn variables_stand_in_for_options() {
    let directory = TempDir::new().expect("a directory");
    let url = database_url(&directory);
    let server = Server::start_with(
        server()
            .env("DATABASE_URL", &url)
            .env("IRONSTAR_LOG_FORMAT", "json"),
    );
    server.create("Buy milk").await;
    assert!(directory.path().join("ironstar.db").is_file());
    let (_, log) = server.stop();
    assert!(!log.is_empty());
    for line in log.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert!(
            entry["level"].is_string() && entry["message"].is_string(),
            "{line}"
        );
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (arguments, reason) in [
        (["--listen", "localhost:3000"], "such as 127.0.0.1:3000"),
        (
            ["--database-url", "mysql://localhost"],
            "looks like sqlite:",
        ),
        (
            ["--database-url", "sqlite::memory:"],
            "in memory loses every event",
        ),
        (["--log-format", "xml"], "[possible values: text, json]"),
    ] {
        let output = run_to_end(server().args(arguments));
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).expect("text");
        assert!(message.contains(reason), "{message}");
    }
}
