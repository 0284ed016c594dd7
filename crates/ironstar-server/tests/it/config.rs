//! The operator's options: their variables, values and defaults.

use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, database_url, program, run_to_end, server};

#[test]
fn help_names_every_option_its_variable_and_its_default() {
    let own = [
        "--close-remarks-after",
        "NOTES_CLOSE_REMARKS_AFTER",
        "2592000",
    ];
    expect_options_in_help(&mut server(), &own);
}

/// Checks that the help of a server has the options of every server, and these texts.
pub(crate) fn expect_options_in_help(server: &mut Command, own: &[&str]) {
    let output = run_to_end(server.arg("--help"));
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).expect("text");
    let of_every_server = [
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
        "--bus-connect",
        "IRONSTAR_BUS_CONNECT",
        "--bus-authorities",
        "IRONSTAR_BUS_AUTHORITIES",
        "--bus-certificate",
        "IRONSTAR_BUS_CERTIFICATE",
        "--bus-key",
        "IRONSTAR_BUS_KEY",
        "--bus-user",
        "IRONSTAR_BUS_USER",
        "--bus-password",
        "IRONSTAR_BUS_PASSWORD",
        "--log-format",
        "IRONSTAR_LOG_FORMAT",
        "text",
        "json",
    ];
    for expected in of_every_server.iter().chain(own) {
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

/// As compose files write them. The help lists every variable.
#[tokio::test]
async fn empty_variables_count_as_not_set() {
    let directory = TempDir::new().expect("a directory");
    let help = String::from_utf8(run_to_end(server().arg("--help")).stdout).expect("text");
    let variables = help.split("[env: ").skip(1);
    let variables = variables.filter_map(|rest| rest.split(['=', ']']).next());
    let variables: Vec<&str> = variables.chain(["RUST_LOG"]).collect();
    assert!(variables.contains(&"IRONSTAR_MAX_CONNECTIONS"), "{help}");
    for blank in ["", " "] {
        let all = variables.iter().map(|variable| (*variable, blank));
        let server = Server::start_with(server().envs(all).current_dir(directory.path()));
        server.create("Buy milk").await;
        assert!(directory.path().join("ironstar.db").is_file());
    }
    let all = variables.iter().map(|variable| (*variable, ""));
    let again = run_to_end(server().arg("--help").envs(all));
    let again = String::from_utf8(again.stdout).expect("text");
    for variable in variables {
        assert!(
            again.contains(variable),
            "{variable} is missing in:\n{again}"
        );
    }
}

#[test]
fn a_switch_takes_the_words_that_operators_use() {
    let directory = TempDir::new().expect("a directory");
    let ended = |word: &str| {
        let output = run_to_end(
            server()
                .args(["projections", "list"])
                .args(["--database-url", &database_url(&directory)])
                .env("IRONSTAR_COMPRESS_STREAMS", word),
        );
        let said = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), said)
    };
    for word in ["1", "0", "yes", "No", "TRUE", "false", "on", "OFF", ""] {
        let (code, said) = ended(word);
        // The switch is accepted: only the database is missing.
        assert!(
            code == Some(1) && said.contains("there is no database"),
            "{word}: {said}"
        );
    }
    let (code, said) = ended("maybe");
    assert_eq!(code, Some(2), "{said}");
    let note = "'--compress-streams' comes from the variable IRONSTAR_COMPRESS_STREAMS";
    assert!(said.contains(note), "{said}");
}

/// A program inherits the limit of its shell.
#[test]
fn default_start_does_not_warn_about_open_files() {
    let directory = TempDir::new().expect("a directory");
    let url = database_url(&directory);
    let log = |options: &[&str]| {
        let mut command = std::process::Command::new("sh");
        command
            .args(["-c", "ulimit -n 1000 && exec \"$0\" \"$@\""])
            .arg(program())
            .args(options)
            .env("DATABASE_URL", &url);
        for variable in [
            "IRONSTAR_MAX_CONNECTIONS",
            "RUST_LOG",
            "IRONSTAR_LOG_FORMAT",
        ] {
            command.env_remove(variable);
        }
        Server::start_with(&mut command).stop().1
    };
    let usual = log(&[]);
    assert!(usual.contains("at most 900 connections"), "{usual}");
    assert!(!usual.contains("WARN"), "{usual}");
    let asked = log(&["--max-connections", "5000"]);
    let warning = "at most 900 connections are served at once, and not 5000";
    assert!(asked.contains("WARN") && asked.contains(warning), "{asked}");
    let fitting = log(&["--max-connections", "500"]);
    assert!(!fitting.contains("at most"), "{fitting}");
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
fn invalid_options_are_refused() {
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
