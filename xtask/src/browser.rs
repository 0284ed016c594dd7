//! Finds Chromium.

use std::env;
use std::path::PathBuf;

/// The names under which Chromium is installed.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Returns the Chromium to test with: `$CHROMIUM`, or the first on the path.
pub(crate) fn find() -> anyhow::Result<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM").filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            anyhow::anyhow!(
                "Chromium is not installed; install it (Debian: apt-get install chromium), \
                 or name it in the environment variable CHROMIUM"
            )
        })
}
