//! The layout of the code.

use std::fs;
use std::path::{Path, PathBuf};

/// A file with more lines is split by responsibility.
const MOST_LINES: usize = 500;

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is in the workspace")
}

/// Returns every Rust file of the workspace.
pub(crate) fn sources() -> Vec<PathBuf> {
    let mut folders = ["crates", "examples", "xtask"]
        .map(|it| root().join(it))
        .to_vec();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(path);
            }
        }
    }
    assert!(sources.len() > 20, "too few sources were found");
    sources
}

#[test]
fn no_file_is_long() {
    for path in sources() {
        let lines = fs::read_to_string(&path).expect("text").lines().count();
        assert!(lines <= MOST_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_module_begins_with_its_purpose() {
    for path in sources() {
        let is_test =
            path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
        let text = fs::read_to_string(&path).expect("text");
        assert!(
            is_test || text.starts_with("//! "),
            "{} does not begin with a comment on its purpose",
            path.display()
        );
    }
}

/// These macros panic when the output is closed or full. Tests and cargo's build scripts may
/// use them.
#[test]
fn no_program_prints_by_a_macro_that_panics() {
    let is_program = |path: &PathBuf| {
        let is_of_tests = path.components().any(|part| part.as_os_str() == "tests");
        !is_of_tests && !path.ends_with("tests.rs") && !path.ends_with("build.rs")
    };
    for path in sources().into_iter().filter(is_program) {
        let text = fs::read_to_string(&path).expect("text");
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        for line in text.lines().filter(is_code) {
            let mut macros = ["print!(", "println!(", "dbg!("].into_iter();
            let used = macros.find(|name| line.contains(name));
            assert_eq!(used, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn the_architecture_page_stays_readable() {
    let page = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("the page");
    assert!(page.lines().count() <= 200);
}
