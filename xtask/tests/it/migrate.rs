use std::process::{Command, Output};

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
