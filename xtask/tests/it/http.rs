//! `docs/HTTP.md` lists the routes and problems of the code.

use std::fs;
use std::path::PathBuf;

use crate::layout::{root, sources};

fn page() -> String {
    fs::read_to_string(root().join("docs/HTTP.md")).expect("the page")
}

/// Returns the code of the crates, without tests.
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
            // Other routes are named by constants, or created in a loop.
            let Some(route) = route.trim_start().strip_prefix('"') else {
                continue;
            };
            let (route, _) = route.split_once('"').expect("the end of the route");
            // The page lists each possible word.
            let route = route
                .trim_end_matches("{word}")
                .trim_end_matches("{action}");
            assert!(page.contains(route), "docs/HTTP.md does not have {route}");
            routes += 1;
        }
    }
    assert!(routes > 20, "too few routes were found: {routes}");
}

#[test]
fn every_handler_of_a_command_states_its_cost() {
    let mut handlers = 0;
    let code: Vec<_> = code().collect();
    for (path, text) in &code {
        let sites = ["crates/ironstar-web/src", "examples"];
        if !sites.iter().any(|site| path.starts_with(root().join(site))) {
            continue;
        }
        let posts = ["(post(", ", post(", " post(", ".post("];
        for handler in posts.iter().flat_map(|post| text.split(post).skip(1)) {
            let (handler, _) = handler.split_once(')').expect("the end of the route");
            let (module, name) = handler.rsplit_once("::").unwrap_or(("", handler));
            // The handler stands in the module itself, or in the named one below it.
            let home = match module {
                "" => path.clone(),
                module => path.with_extension("").join(module).with_extension("rs"),
            };
            let (_, code) = code
                .iter()
                .find(|(path, _)| *path == home)
                .unwrap_or_else(|| panic!("{} is not there", home.display()));
            // A method may have the same name: a function begins a line.
            let begin = ["", "pub(super) ", "pub(crate) "]
                .map(|visibility| format!("\n{visibility}async fn {name}("));
            let parameters = begin
                .iter()
                .find_map(|begin| Some(code.split_once(begin)?.1.trim_start()));
            let parameters = parameters.unwrap_or_else(|| panic!("no handler {name}"));
            assert!(
                parameters.starts_with("_: Cost"),
                "{name} in {} does not begin with its cost",
                home.display()
            );
            handlers += 1;
        }
    }
    assert!(
        handlers > 10,
        "the handlers are where they were: {handlers}"
    );
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
    assert!(names.len() > 40, "too few problems were found");
    for name in names {
        let literal = format!("\"{name}\"");
        let is_there = code.iter().any(|text| text.contains(&literal));
        assert!(is_there, "no code answers with /problems/{name}");
    }
}
