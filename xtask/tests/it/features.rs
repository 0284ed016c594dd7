//! The features of the application: each registers all that it has, and the engine names none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::layout::{root, sources};

/// The crates with features.
const CRATES: [&str; 3] = ["ironstar-domain", "ironstar-app", "ironstar-web"];

fn source(name: &str) -> PathBuf {
    root().join("crates").join(name).join("src")
}

fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests")
}

/// The code of each feature of a crate, by the name of its module, without tests.
fn features(name: &str) -> BTreeMap<String, String> {
    let folder = source(name).join("features");
    let mut features = BTreeMap::new();
    for path in sources() {
        let Ok(below) = path.strip_prefix(&folder) else {
            continue;
        };
        let module = below.components().next().expect("a module");
        let module = Path::new(module.as_os_str()).with_extension("");
        let module = module.to_str().expect("text").to_owned();
        let code: &mut String = features.entry(module).or_default();
        if !is_test(&path) {
            let text = fs::read_to_string(&path).expect("text");
            code.push_str(text.split("#[cfg(test)]").next().expect("some text"));
        }
    }
    assert!(!features.is_empty(), "{name} has features");
    features
}

/// The types that implement a trait.
fn implementors<'c>(code: &'c str, name: &str) -> Vec<&'c str> {
    let begin = format!("impl {name} for ");
    let rest = code.split(&begin).skip(1);
    rest.map(|rest| rest.split([' ', '<']).next().expect("a type"))
        .collect()
}

#[test]
fn every_feature_registers_all_that_it_has() {
    let [domain, app, web] = CRATES.map(features);
    for (feature, code) in &app {
        for projection in implementors(code, "Projection") {
            let registered = format!("Registered::of::<{projection}>()");
            assert!(
                code.contains(&registered),
                "{feature} does not register {projection}"
            );
        }
        for process in implementors(code, "ProcessManager") {
            let registered = format!("Registered::of::<Process<{process}>>()");
            assert!(
                code.contains(&registered),
                "{feature} does not register {process}"
            );
        }
    }
    let mut owned = 0;
    for (feature, code) in &domain {
        let app = app
            .get(feature)
            .unwrap_or_else(|| panic!("app has no feature {feature}"));
        for aggregate in implementors(code, "Aggregate") {
            let part = format!(", {aggregate}>()");
            let own = format!("AudienceRule::owned::<{aggregate}>()");
            assert!(
                app.contains(&own)
                    || app.contains("AudienceRule::part_of::<") && app.contains(&part),
                "{feature} does not register an audience for {aggregate}"
            );
        }
        for aggregate in implementors(code, "Owned") {
            assert!(
                app.contains("hand_over: Some("),
                "{feature} does not hand over {aggregate} when its owner signs in"
            );
            owned += 1;
        }
    }
    assert!(owned > 0, "lists have owners");
    let scopes = domain
        .values()
        .flat_map(|code| code.split("const LINK_SCOPE: &'static str = ").skip(1));
    let mut scopes: Vec<&str> = scopes.filter_map(|rest| rest.split(';').next()).collect();
    scopes.sort_unstable();
    assert!(
        scopes.len() == owned && scopes.is_sorted_by(|one, next| one < next),
        "{scopes:?}"
    );
    for (name, features) in CRATES.iter().zip([&domain, &app, &web]) {
        let registry = fs::read_to_string(source(name).join("features.rs")).expect("the registry");
        for feature in features.keys() {
            assert!(
                registry.contains(&format!("mod {feature};")),
                "{name} does not register {feature}"
            );
        }
    }
}

/// The lines of a file that are code, up to its tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().expect("some text");
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn engine_names_no_feature() {
    let features: Vec<String> = features("ironstar-domain").into_keys().collect();
    for name in CRATES.into_iter().chain(["ironstar-server"]) {
        let folder = source(name);
        let mut files = 0;
        for path in sources() {
            let Ok(below) = path.strip_prefix(&folder) else {
                continue;
            };
            // The root of a crate lists its modules, and the binary of the server is the todo
            // application.
            let is_feature = ["features", "features.rs", "main.rs"];
            let is_engine = !is_feature.iter().any(|feature| below.starts_with(feature));
            if !is_engine || below == Path::new("lib.rs") || is_test(&path) {
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("text");
            for line in code(&text) {
                for feature in &features {
                    assert!(
                        !names(line, feature),
                        "{} names {feature}: {line}",
                        path.display()
                    );
                }
            }
        }
        assert!(files > 8, "{name} has an engine");
    }
}

/// The tests of the engine that stand outside of its crates' sources, and their least number of
/// files.
const TESTS: [(&str, usize); 3] = [
    ("crates/ironstar-web/tests/it", 30),
    ("crates/ironstar-server/tests/it", 20),
    ("crates/ironstar-torture/src", 20),
];

/// So the tests of the engine stay when a feature goes.
#[test]
fn tests_of_the_engine_name_no_feature() {
    let features: Vec<String> = features("ironstar-web").into_keys().collect();
    for (folder, least) in TESTS {
        let mut files = 0;
        for path in sources() {
            let Ok(below) = path.strip_prefix(root().join(folder)) else {
                continue;
            };
            let parts = ["features", "features.rs", "main.rs"];
            if parts.iter().any(|part| below.starts_with(part)) {
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("text");
            for line in code(&text) {
                let named = features.iter().any(|feature| names(line, feature));
                let is_free = !named && !line.contains("features::");
                assert!(is_free, "{} names a feature: {line}", path.display());
            }
        }
        assert!(files >= least, "{folder} has {files} files");
    }
}

/// So any feature can go without those that it uses.
#[test]
fn features_use_each_other_in_one_direction() {
    let mut uses = BTreeSet::new();
    for name in CRATES {
        let features = features(name);
        for (user, text) in &features {
            let used = features.keys().filter(|used| *used != user);
            let used = used.filter(|used| code(text).any(|line| names(line, used)));
            uses.extend(used.map(|used| (user.clone(), used.clone())));
        }
    }
    assert!(!uses.is_empty(), "todos use lists");
    for (user, used) in &uses {
        let back = (used.clone(), user.clone());
        assert!(!uses.contains(&back), "{user} and {used} use each other");
    }
}

/// Returns true if a line of code has a path, a type or a stream type of a feature: `todo::`,
/// `TodoId`, `"Todo"`.
fn names(line: &str, feature: &str) -> bool {
    let kind = feature[..1].to_uppercase() + &feature[1..];
    let has_path = line.match_indices(&format!("{feature}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && before != '_')
    });
    let has_type = line.match_indices(&kind).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + kind.len()..].chars().next();
        let begins = before.is_none_or(|before| !before.is_alphanumeric() && before != '_');
        begins && after.is_some_and(|after| after.is_uppercase() || after == '"')
    });
    has_path || has_type
}
