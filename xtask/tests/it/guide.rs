//! The guide shows code that is tested.

use std::fs;
use std::path::Path;

#[test]
fn the_guide_shows_the_code_that_is_tested() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("text");
    let guide = read("docs/FIRST_AGGREGATE.md");
    let code = read("crates/ironstar-app/tests/it/first_aggregate.rs");
    let blocks: Vec<&str> = guide
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() > 8, "the guide has code");
    for block in blocks {
        assert!(code.contains(block.trim_end()), "not tested:\n{block}");
    }
}
