//! One test of the page in a real browser. The whole browser suite is `cargo xtask e2e`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{create, start};
use crate::programs::installed;

/// Returns the Chromium to test with. Without one, the test reports loudly that it is skipped.
/// In continuous integration, no test may be skipped.
fn chromium(test: &str) -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    let names = ["chromium", "chromium-browser", "google-chrome"];
    named.or_else(|| installed(test, &names))
}

#[tokio::test]
async fn chromium_shows_the_page() {
    let Some(chromium) = chromium("chromium_shows_the_page") else {
        return;
    };
    let directory = TempDir::new().expect("a directory");
    let server = start(&directory);
    create(&server, "<b>Buy</b> \"milk\" & 'eggs'").await;
    let profile = TempDir::new().expect("a directory");
    let output = Command::new(chromium)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", &server.url])
        .output()
        .expect("Chromium runs");
    let dom = String::from_utf8_lossy(&output.stdout);
    assert!(
        dom.contains("<label dir=\"auto\">&lt;b&gt;Buy&lt;/b&gt; \"milk\" &amp; 'eggs'</label>"),
        "{dom}"
    );
}
