//! A server that cannot start reports the reason in one line.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Server, database, database_url, program, rows, run_to_end, server};

/// Expects exit code 1, no standard output, and one line on standard error. Returns that line.
fn refusal(command: &mut Command) -> String {
    let output = run_to_end(command.env("RUST_BACKTRACE", "1"));
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.starts_with("notes: "), "{message}");
    message
}

fn on_any_port(directory: &TempDir) -> Command {
    let mut command = server();
    command
        .args(["--listen", "127.0.0.1:0"])
        .args(["--database-url", &database_url(directory)]);
    command
}

#[test]
fn port_in_use_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let message = refusal(
        server()
            .args(["--listen", &address])
            .args(["--database-url", &database_url(&directory)]),
    );
    assert!(message.contains(&address), "{message}");
    assert!(
        message.contains("choose another port with --listen"),
        "{message}"
    );
    assert!(!database(&directory).exists(), "the database is left alone");
}

/// Root may write everything, so here the server runs as another user.
#[cfg(target_os = "linux")]
#[test]
fn read_only_database_is_refused() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().expect("a directory");
    Server::start(&directory).stop();
    let binary = directory.path().join("server");
    fs::copy(program(), &binary).expect("copied");
    let restrict = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("restricted");
    };
    let refusal = |url: &str| {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
            command.arg(&binary);
            command
        } else {
            Command::new(&binary)
        };
        let command = command.args(["--listen", "127.0.0.1:0", "--database-url", url]);
        // Without the warning that other users can read the file.
        refusal(command.env("RUST_LOG", "error"))
    };
    let path = database(&directory).display().to_string();
    let file = format!("{path}, because this user may not write {path};");
    let folder = directory.path().display();
    let folder = format!("{path}, because this user may not make files in {folder};");
    for (file_mode, folder_mode, expected) in [
        (0o444, 0o555, &file),
        (0o666, 0o555, &folder),
        // SQLite opens such a file, and begins transactions in it, without an error.
        (0o444, 0o777, &file),
    ] {
        restrict(&database(&directory), file_mode);
        restrict(directory.path(), folder_mode);
        let message = refusal(&database_url(&directory));
        let is_said = message.contains(expected);
        assert!(is_said, "{file_mode:o} in {folder_mode:o}: {message}");
    }
    // In this folder, no other database can be created either.
    restrict(directory.path(), 0o555);
    let message = refusal(&format!("{}.new", database_url(&directory)));
    let advice = "let this user read and write the file and its folder";
    assert!(message.contains(advice), "{message}");
    restrict(directory.path(), 0o755);
}

#[test]
fn invalid_log_filter_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let message = refusal(on_any_port(&directory).env("RUST_LOG", "ironstar_app=banana"));
    assert!(
        message.contains("RUST_LOG is 'ironstar_app=banana'"),
        "{message}"
    );
}

#[test]
fn refusal_names_variable_of_option() {
    let output = run_to_end(server().env("NOTES_CLOSE_REMARKS_AFTER", "zz"));
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(
        message
            .contains("'--close-remarks-after' comes from the variable NOTES_CLOSE_REMARKS_AFTER"),
        "{message}"
    );
}

#[cfg(target_os = "linux")]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").expect("this process").uid() == 0
}

#[test]
fn folder_as_database_is_refused() {
    let directory = TempDir::new().expect("a directory");
    // A folder is not a file, also for root.
    fs::create_dir(database(&directory)).expect("a folder");
    let message = refusal(&mut on_any_port(&directory));
    assert!(
        message.contains("that is a folder; name a file in it"),
        "{message}"
    );
}

#[test]
fn database_in_missing_folder_is_refused() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing");
    let url = format!("sqlite:{}/ironstar.db", missing.display());
    let message = refusal(server().args(["--listen", "127.0.0.1:0", "--database-url", &url]));
    assert!(message.contains("its folder does not exist"), "{message}");
    assert!(!missing.exists());
}

#[test]
fn other_file_as_database_is_refused_and_unchanged() {
    let directory = TempDir::new().expect("a directory");
    let letter = "This is a letter, not a database.\n".repeat(300);
    fs::write(database(&directory), &letter).expect("written");
    let message = refusal(&mut on_any_port(&directory));
    assert!(
        message.contains("is not a database, and was left as it is"),
        "{message}"
    );
    assert_eq!(
        fs::read_to_string(database(&directory)).expect("read"),
        letter
    );
}

#[tokio::test]
async fn database_of_newer_schema_is_refused() {
    let directory = TempDir::new().expect("a directory");
    Server::start(&directory).stop();
    rows(
        &database(&directory),
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    let message = refusal(&mut on_any_port(&directory));
    assert!(message.contains("schema version 9999"), "{message}");
    assert!(message.contains("run a newer ironstar"), "{message}");
}
