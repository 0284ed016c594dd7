//! The threat model: every control names its tests, and the tests exist.

use std::fs;
use std::path::Path;

use crate::layout::{root, sources};

const MODEL: &str = "docs/SECURITY.md";

#[test]
fn every_control_names_existing_tests() {
    let model = fs::read_to_string(root().join(MODEL)).expect("text");
    let sources = sources();
    let code: Vec<String> = sources
        .iter()
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect();
    // Names of crates stand without their common prefix. Files may stand without their folder.
    let is_of = |path: &Path, file: &str| {
        path.ends_with(format!("ironstar-{file}")) || path.ends_with(file)
    };
    let has = |file: Option<&str>, name: &str| {
        let all = sources.iter().zip(&code);
        all.filter(|(path, _)| file.is_none_or(|file| is_of(path, file)))
            .any(|(_, code)| code.contains(&format!("fn {name}(")))
    };
    let is_file =
        |file: &str| root().join(file).is_file() || sources.iter().any(|path| is_of(path, file));
    let rows = model.lines().filter_map(|line| line.strip_prefix("| "));
    let mut named = 0;
    for row in rows.filter(|row| !row.starts_with("control") && !row.starts_with("---")) {
        let (control, tests) = row.split_once(" | ").expect("two columns");
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {control}");
        for test in tests {
            let is_there = match test.split_once(": ") {
                Some((file, name)) => has(Some(file), name),
                None if test.contains('.') => is_file(test),
                None => has(None, test),
            };
            assert!(is_there, "there is no {test}: {control}");
            named += 1;
        }
    }
    assert!(named > 30, "{named}");
}
