use std::process::{Command, Output, Stdio};

use ironstar_cluster::Cluster;
use tempfile::TempDir;

fn xtask(directory: &TempDir, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(directory.path())
        .env_remove("DATABASE_URL")
        .output()
        .expect("xtask runs");
    let text = String::from_utf8([&output.stdout[..], &output.stderr[..]].concat());
    (output, text.expect("text"))
}

#[test]
fn migrate_applies_and_lists_migrations() {
    let directory = TempDir::new().expect("a directory");
    let (output, text) = xtask(&directory, &["migrate", "status"]);
    assert!(output.status.success(), "{text}");
    let database = directory.path().canonicalize().expect("there");
    let database = database.join("ironstar.db");
    let expected = format!(
        "{} (there is no such file)\n  0001 events ",
        database.display()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.contains("pending") && !text.contains("applied"),
        "{text}"
    );
    assert!(!directory.path().join("ironstar.db").exists());

    let (output, text) = xtask(&directory, &["migrate"]);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("applied") && !text.contains("pending"),
        "{text}"
    );
    assert!(directory.path().join("ironstar.db").is_file());

    let (_, status) = xtask(&directory, &["migrate", "status"]);
    assert_eq!(status, text.replace(" (created)", ""));
    let files = std::fs::read_dir(directory.path()).expect("the directory");
    assert_eq!(files.count(), 1, "no file is left beside it");
}

#[test]
fn migrate_takes_a_database_url_and_refuses_nonsense() {
    let directory = TempDir::new().expect("a directory");
    for arguments in [
        ["migrate", "--database-url", "sqlite:one.db"].as_slice(),
        &["migrate", "status", "--database-url", "sqlite:one.db"],
    ] {
        let (output, text) = xtask(&directory, arguments);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("/one.db"), "{text}");
        assert!(text.contains("applied"), "{text}");
    }
    let (output, text) = xtask(&directory, &["migrate", "--database-url", "sqlite:a/b.db"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.starts_with("xtask: cannot make the database /")
            && text.contains("/a/b.db, as its folder does not exist"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_brings_a_postgresql_database_up_to_date() {
    let Some(cluster) = Cluster::shared("migrate_brings_a_postgresql_database_up_to_date") else {
        return;
    };
    let url = cluster.database().await.expect("a database");
    let directory = TempDir::new().expect("a directory");
    for (action, expected, other) in [
        (&["migrate", "status"][..], "pending", "applied"),
        (&["migrate"], "applied", "pending"),
        (&["migrate", "status"], "applied", "pending"),
    ] {
        let arguments = [action, &["--database-url", &url]].concat();
        let (output, text) = xtask(&directory, &arguments);
        assert!(output.status.success(), "{text}");
        assert!(
            text.starts_with(&format!("{url}\n  0001 events ")),
            "{text}"
        );
        assert!(text.contains(expected) && !text.contains(other), "{text}");
    }
    let secret = "postgres://ada:s3cret@localhost/x?sslmod=require";
    let (output, text) = xtask(&directory, &["migrate", "--database-url", secret]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text.contains("unknown parameter") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn task_ends_quietly_when_its_reader_has_gone_and_says_that_a_disk_is_full() {
    let directory = TempDir::new().expect("a directory");
    let ended = |arguments: &[&str], stdout: Stdio| {
        let child = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(arguments)
            .current_dir(directory.path())
            .env("DATABASE_URL", "")
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn();
        let output = child.expect("it starts").wait_with_output();
        let output = output.expect("its output");
        let said = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), said)
    };
    for arguments in [
        &["migrate", "status"][..],
        &["--help"],
        &["migrate", "--help"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let closed = ended(arguments, writer.into());
        assert_eq!(closed, (Some(0), String::new()), "{arguments:?}");
        let full = std::fs::File::options().write(true).open("/dev/full");
        let full = ended(arguments, full.expect("a file that takes nothing").into());
        let sentence =
            "xtask: cannot write to standard output: No space left on device (os error 28)\n";
        assert_eq!(full, (Some(1), sentence.to_owned()), "{arguments:?}");
    }
}

#[test]
fn empty_variable_counts_as_not_set() {
    let directory = TempDir::new().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["migrate", "status"])
        .current_dir(directory.path())
        .env("DATABASE_URL", "")
        .output()
        .expect("xtask runs");
    let said = String::from_utf8(output.stdout).expect("text");
    let first = said.lines().next().unwrap_or_default();
    assert!(
        first.ends_with("/ironstar.db (there is no such file)"),
        "{said}"
    );
}
