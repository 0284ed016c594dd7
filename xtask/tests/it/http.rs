//! Whether `docs/HTTP.md` has what the server answers.

use std::fs;
use std::path::PathBuf;

use crate::layout::{root, sources};

fn page() -> String {
    fs::read_to_string(root().join("docs/HTTP.md")).expect("the page")
}

/// The code of the crates, without tests.
fn code() -> impl Iterator<Item = (PathBuf, String)> {
    let is_test = |path: &PathBuf| {
        path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
    };
    sources()
        .into_iter()
        .filter(move |path| !is_test(path))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("text");
            (path, text)
        })
}

#[test]
fn page_has_every_route() {
    let page = page();
    let mut routes = 0;
    for (path, text) in code() {
        if !path.starts_with(root().join("crates/ironstar-web/src")) {
            continue;
        }
        for route in text.split(".route(").skip(1) {
            // Others are named by constants, or made in a loop.
            let Some(route) = route.trim_start().strip_prefix('"') else {
                continue;
            };
            let (route, _) = route.split_once('"').expect("the end of the route");
            // The page has each word that may stand there.
            let route = route
                .trim_end_matches("{word}")
                .trim_end_matches("{action}");
            assert!(page.contains(route), "docs/HTTP.md does not have {route}");
            routes += 1;
        }
    }
    assert!(routes > 20, "the routes are where they were: {routes}");
}

#[test]
fn every_problem_of_the_page_is_in_the_code() {
    let page = page();
    let code: Vec<String> = code().map(|(_, text)| text).collect();
    let names = page
        .split("`/problems/")
        .skip(1)
        .map(|rest| rest.split('`').next());
    let names: Vec<&str> = names.flatten().collect();
    assert!(names.len() > 40, "the problems are where they were");
    for name in names {
        let literal = format!("\"{name}\"");
        let is_there = code.iter().any(|text| text.contains(&literal));
        assert!(is_there, "no code answers with /problems/{name}");
    }
}
