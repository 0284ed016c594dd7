//! Programs that tests need and that may be missing.

use std::env;
use std::io::Write;
use std::path::PathBuf;

/// Returns the first of these programs that is installed. Without any, the test reports loudly
/// that it is skipped. In continuous integration, no test may be skipped.
pub(crate) fn installed(test: &str, names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        skip(test, names[0]);
    }
    found
}

/// Reports that a test is skipped, because a program is missing.
pub(crate) fn skip(test: &str, name: &str) {
    assert!(env::var_os("CI").is_none(), "{test} needs {name}");
    // Past the test harness, which would hide the message.
    writeln!(std::io::stderr(), "SKIPPED {test}: {name} is not installed")
        .expect("standard error is writable");
}
