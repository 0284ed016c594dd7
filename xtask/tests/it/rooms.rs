//! The rooms of a crate: its modules stand on floors, and import only from floors below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::layout::{root, sources};

/// The rooms of each crate, from the ground up. A room may use the rooms on lower floors. The
/// root (`lib.rs`) uses all of them, and no room uses the root.
const ROOMS: &[(&str, &[&[&str]])] = &[
    (
        "ironstar-app",
        &[
            &["backoff", "codec", "finish", "history", "leases"],
            &["caller", "snapshots", "turns", "warm"],
            &["command", "feed"],
            &["access", "projection", "user"],
            &["process"],
            &["hand_over"],
            &["feature", "test_kit"],
            &["features"],
        ],
    ),
    (
        "ironstar-web",
        &[
            &["services", "site"],
            &["stream"],
            &["edge"],
            &["session"],
            &["page"],
            &["account"],
            &["command", "feature"],
            &["bundle", "events"],
            &["router"],
            &["features"],
        ],
    ),
];

/// The modules of a crate, each as its path below the crate's root.
fn modules(name: &str) -> Vec<(Vec<String>, String)> {
    let folder = root().join("crates").join(name).join("src");
    let is_test =
        |path: &PathBuf| path.ends_with("tests.rs") || path.iter().any(|it| it == "tests");
    let mut modules = Vec::new();
    for path in sources().into_iter().filter(|path| !is_test(path)) {
        let Ok(below) = path.strip_prefix(&folder) else {
            continue;
        };
        let below = below.with_extension("");
        let module: Vec<String> = below
            .iter()
            .map(|part| part.to_str().expect("text").to_owned())
            .collect();
        if below != Path::new("lib") {
            modules.push((module, fs::read_to_string(&path).expect("text")));
        }
    }
    assert!(modules.len() > 20, "{name} has modules");
    modules
}

/// The imports of a module, as paths below the crate's root. A name in a path is a module if it
/// begins with a small letter.
fn imports(module: &[String], text: &str) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod ").next();
    let code = text
        .expect("some text")
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = code.collect::<Vec<_>>().join("\n");
    let mut imports = Vec::new();
    for (begin, base) in [
        ("crate::", &[][..]),
        ("super::", &module[..module.len() - 1]),
    ] {
        for rest in code.split(begin).skip(1) {
            let is_path = |next: char| next.is_alphanumeric() || matches!(next, '_' | ':');
            let (path, rest) = rest.split_at(rest.find(|next| !is_path(next)).unwrap_or(0));
            let group = rest
                .strip_prefix('{')
                .and_then(|group| group.split('}').next());
            let ends = group.map_or(vec![""], |group| group.split(',').map(str::trim).collect());
            imports.extend(ends.into_iter().map(|end| {
                let path = path.split("::").chain(end.split("::"));
                let is_module = |name: &&str| name.starts_with(|it: char| it.is_ascii_lowercase());
                let names = path.filter(|name| !name.is_empty()).take_while(is_module);
                base.iter()
                    .cloned()
                    .chain(names.map(str::to_owned))
                    .collect()
            }));
        }
    }
    imports
}

#[test]
fn every_room_imports_from_floors_below() {
    for (name, floors) in ROOMS {
        let floor_of = |room: &str| floors.iter().position(|floor| floor.contains(&room));
        let mut rooms = BTreeSet::new();
        for (module, text) in modules(name) {
            let room = &module[0];
            rooms.insert(room.clone());
            let floor = floor_of(room);
            let floor = floor.unwrap_or_else(|| panic!("{name}: {room} stands on no floor"));
            for import in imports(&module, &text) {
                let Some(used) = import.first() else {
                    panic!("{name}: {} imports from the root", module.join("::"));
                };
                let is_below = floor_of(used).is_some_and(|used| used < floor);
                assert!(
                    used == room || is_below,
                    "{name}: {} imports {}, which is not below {room}",
                    module.join("::"),
                    import.join("::"),
                );
            }
        }
        let known: BTreeSet<String> = floors.concat().into_iter().map(str::to_owned).collect();
        assert_eq!(rooms, known, "the rooms of {name}");
    }
}

/// Within a room, modules do not import each other in a circle. The room's own file is apart: it
/// and its modules know each other.
#[test]
fn modules_of_a_room_import_each_other_in_no_circle() {
    for (name, _) in ROOMS {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (module, text) in modules(name) {
            let Some(own) = module.get(..2).map(|own| own.join("::")) else {
                continue;
            };
            for import in imports(&module, &text) {
                let Some(used) = import.get(..2).map(|used| used.join("::")) else {
                    continue;
                };
                if used != own {
                    uses.entry(own.clone()).or_default().insert(used);
                }
            }
        }
        for module in uses.keys() {
            let mut reached = BTreeSet::new();
            let mut next: Vec<&String> = uses[module].iter().collect();
            while let Some(used) = next.pop() {
                assert_ne!(
                    used, module,
                    "{name}: {module} imports itself by way of {reached:?}"
                );
                if reached.insert(used) {
                    next.extend(uses.get(used).into_iter().flatten());
                }
            }
        }
    }
}
