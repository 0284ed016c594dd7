//! Programs that tests need and that may not be there.

use std::env;
use std::io::Write;
use std::path::PathBuf;

/// The first of these programs that is installed. Without any, the test says loudly
/// that it is skipped; in continuous integration no test may be.
pub(crate) fn installed(test: &str, names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|candidate| candidate.is_file());
    if found.is_none() {
        assert!(env::var_os("CI").is_none(), "{test} needs {}", names[0]);
        // Past the test harness, which would keep it to itself.
        writeln!(
            std::io::stderr(),
            "SKIPPED {test}: {} is not installed",
            names[0]
        )
        .expect("standard error takes it");
    }
    found
}
