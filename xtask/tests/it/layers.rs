//! The dependency arrows between crates point downwards only, and programs contain no test code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::layout::root;

/// The dependencies that each crate may have. Any other one is a decision about the design:
/// see `docs/ARCHITECTURE.md`.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "ironstar-domain",
        &[
            // Unicode's tables (docs/adr/0009).
            "icu_normalizer",
            "icu_properties",
            "serde",
            "serde_json",
            "thiserror",
            "time",
            "uuid",
        ],
    ),
    (
        "ironstar-ports",
        &[
            "async-trait",
            "futures",
            "serde",
            "serde_json",
            "thiserror",
            "time",
            "uuid",
        ],
    ),
    (
        "ironstar-adapters",
        &[
            "async-trait",
            "base64",
            "bytes",
            "deadpool",
            "futures",
            "getrandom",
            "http-body-util",
            "hyper-rustls",
            "hyper-util",
            "ironstar-ports",
            "libsqlite3-sys",
            "oauth2",
            "parking_lot",
            "percent-encoding",
            "rustix",
            "serde",
            "serde_json",
            "sqlx",
            "thiserror",
            "time",
            "tokio",
            "tokio-util",
            "tracing",
            "url",
            "uuid",
            "zenoh",
        ],
    ),
    (
        "ironstar-app",
        &[
            "base64",
            "futures",
            "hmac",
            "ironstar-domain",
            "ironstar-ports",
            "lru",
            "parking_lot",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "time",
            "tokio",
            "tokio-util",
            "tracing",
            "uuid",
        ],
    ),
    (
        "ironstar-web",
        &[
            "axum",
            "base64",
            "bytes",
            "crc32fast",
            "datastar",
            "fastrand",
            "flate2",
            "futures",
            "governor",
            "ironstar-app",
            "ironstar-domain",
            "ironstar-ports",
            "lru",
            "maud",
            "parking_lot",
            "problem_details",
            // Never compiled: it carries Datastar's bundle (docs/adr/0004).
            "rama-http",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "time",
            "tokio",
            "tokio-util",
            "tower",
            "tower-http",
            "tracing",
        ],
    ),
    (
        "ironstar-server",
        &[
            "anyhow",
            "axum",
            "clap",
            "humantime",
            "hyper",
            "hyper-util",
            "ironstar-adapters",
            "ironstar-app",
            "ironstar-domain",
            "ironstar-ports",
            "ironstar-web",
            "mimalloc",
            "parking_lot",
            "rlimit",
            "rustix",
            "serde",
            "serde_json",
            "sha2",
            "thiserror",
            "time",
            "tokio",
            "tokio-util",
            "tower",
            "tracing",
            "tracing-subscriber",
        ],
    ),
    (
        "ironstar-fixtures",
        &[
            "axum",
            "datastar",
            "futures",
            "ironstar-app",
            "ironstar-domain",
            "ironstar-ports",
            "ironstar-web",
            "maud",
            "proptest",
            "serde",
            "thiserror",
            "tokio",
            "uuid",
        ],
    ),
    (
        "library",
        &[
            "axum",
            "clap",
            "datastar",
            "futures",
            "ironstar-app",
            "ironstar-domain",
            "ironstar-ports",
            "ironstar-server",
            "ironstar-web",
            "maud",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "uuid",
        ],
    ),
    (
        "ironstar-github",
        &[
            "anyhow",
            "axum",
            "base64",
            "clap",
            "futures",
            "getrandom",
            "maud",
            "parking_lot",
            "serde",
            "serde_json",
            "sha2",
            "tokio",
            "tokio-util",
        ],
    ),
    (
        "ironstar-cluster",
        &["anyhow", "rustix", "sqlx", "tempfile", "tokio"],
    ),
    (
        "ironstar-torture",
        &[
            "anyhow",
            "async-trait",
            "axum",
            "clap",
            "eventsource-stream",
            "fastrand",
            "futures",
            "ironstar-adapters",
            "ironstar-app",
            "ironstar-cluster",
            "ironstar-domain",
            "ironstar-fixtures",
            "ironstar-ports",
            "ironstar-server",
            "ironstar-web",
            "libsqlite3-sys",
            "parking_lot",
            "reqwest",
            "serde",
            "serde_json",
            "sqlx",
            "tempfile",
            "thiserror",
            "tokio",
            "tokio-util",
            "uuid",
        ],
    ),
    (
        "xtask",
        &[
            "anyhow",
            "cargo_metadata",
            "clap",
            "ironstar-adapters",
            "ironstar-cluster",
            "serde_json",
            "tokio",
        ],
    ),
];

#[test]
fn every_crate_has_only_allowed_dependencies() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("the workspace's metadata");
    let actual: BTreeMap<&str, BTreeSet<&str>> = metadata
        .packages
        .iter()
        .map(|package| (package.name.as_str(), dependencies(package)))
        .collect();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = ALLOWED
        .iter()
        .map(|(name, dependencies)| (*name, dependencies.iter().copied().collect()))
        .collect();
    assert_eq!(
        actual.keys().collect::<Vec<_>>(),
        allowed.keys().collect::<Vec<_>>(),
        "the crates of the workspace"
    );
    for (name, dependencies) in actual {
        let foreign: Vec<_> = dependencies.difference(&allowed[name]).collect();
        assert!(foreign.is_empty(), "{name} must not depend on {foreign:?}");
        let unused: Vec<_> = allowed[name].difference(&dependencies).collect();
        let spare = ["time"];
        assert!(
            unused.iter().all(|dependency| spare.contains(*dependency)),
            "{name} is allowed {unused:?}, and does not use it"
        );
    }
}

/// The contracts and the test doubles of the ports are behind a feature.
#[test]
fn only_tests_and_fixtures_enable_features_of_the_ports() {
    let metadata = MetadataCommand::new().no_deps().exec();
    for package in metadata.expect("the workspace's metadata").packages {
        for dependency in package.dependencies {
            let is_of_tests = dependency.kind == DependencyKind::Development
                || *package.name == "ironstar-fixtures";
            assert!(
                dependency.name != "ironstar-ports"
                    || is_of_tests
                    || dependency.features.is_empty(),
                "{} enables {:?}",
                package.name,
                dependency.features
            );
        }
    }
}

/// The benchmarks are a workspace of their own, which is built with its lock file as it is.
#[test]
fn lock_file_of_the_benchmarks_knows_the_dependencies_of_each_crate() {
    let lock = root().join("bench/Cargo.lock");
    let lock = fs::read_to_string(lock).expect("the lock file");
    let metadata = MetadataCommand::new().no_deps().exec();
    let mut checked = 0;
    for package in metadata.expect("the workspace's metadata").packages {
        let name = format!("name = \"{}\"\n", package.name);
        let Some(entry) = lock.split("[[package]]\n").find(|it| it.starts_with(&name)) else {
            continue;
        };
        // A line such as ` "sha2 0.10.9",`.
        let names = entry.lines().filter_map(|line| line.strip_prefix(" \""));
        let locked: BTreeSet<&str> = names
            .filter_map(|line| line.split([' ', '"']).next())
            .collect();
        assert_eq!(
            locked,
            dependencies(&package),
            "bench/Cargo.lock is out of date for {}: run 'cargo check' in bench",
            package.name
        );
        checked += 1;
    }
    assert!(checked > 3, "the benchmarks use the crates");
}

/// Returns the dependencies of a package, without those of its tests and build script.
fn dependencies(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.as_str())
        .collect()
}
