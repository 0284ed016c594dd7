//! The page on the contracts names every rule, and no others.

use std::fs;
use std::path::Path;

#[test]
fn the_page_lists_the_rules_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("text");
    let page = read("docs/CONTRACTS.md");
    let listed: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let ports = [
        "event_store",
        "snapshot_store",
        "projection_store",
        "secret_store",
        "session_store",
        "event_bus",
    ];
    let mutants = ports.map(|port| {
        read(&format!(
            "crates/ironstar-adapters/tests/it/mutants/{port}.rs"
        ))
    });
    // The tests of the adapters compare these tables with the rules themselves.
    let rules: Vec<&str> = mutants
        .iter()
        .flat_map(|source| source.split("\nmutants! {").nth(1))
        .flat_map(|table| table.split("\n}").next())
        .flat_map(|table| table.split('"').skip(1).step_by(2))
        .collect();
    assert_eq!(listed, rules);
    assert!(rules.len() > 20);
}
