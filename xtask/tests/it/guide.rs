//! The guide shows code that is tested.

use std::fs;
use std::path::Path;

use crate::layout::{root, sources};

#[test]
fn the_guide_shows_the_code_that_is_tested() {
    let root = root();
    let read = |path: &Path| fs::read_to_string(path).expect("text");
    let guide = read(&root.join("docs/FIRST_AGGREGATE.md"));
    let example = root.join("examples/library");
    let files = sources()
        .into_iter()
        .filter(|path| path.starts_with(&example));
    let code: Vec<String> = files.map(|path| read(&path)).collect();
    let blocks: Vec<&str> = guide
        .split("```rust\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() > 15, "the guide has code");
    for block in blocks {
        let is_shown = code.iter().any(|code| code.contains(block.trim_end()));
        assert!(is_shown, "not tested:\n{block}");
    }
}
