//! Runs contract rules, each on a fresh adapter and under a deadline.

use std::fmt::Debug;
use std::time::Duration;

use ironstar_ports::contract::Rule;

/// Longer than any rule takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a mutant gets: one that hangs has to be waited for.
const MUTANT_DEADLINE: Duration = Duration::from_secs(10);

/// Runs every rule, all of which must be kept.
pub(crate) async fn passes<S>(rules: &[Rule<S>], fresh: impl AsyncFn() -> S) {
    assert!(!rules.is_empty());
    assert_eq!(violations(rules, DEADLINE, fresh).await, []);
}

/// Runs every rule on every mutant: each must break its rule, and no other.
pub(crate) async fn each_breaks_its_rule_and_no_other<S, M: Copy + Debug>(
    rules: &[Rule<S>],
    mutants: &[(&str, M)],
    with: impl Fn(M) -> S,
) {
    let names: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
    let covered: Vec<&str> = mutants.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(covered, names);
    for &(rule, mutation) in mutants {
        let violations = violations(rules, MUTANT_DEADLINE, async || with(mutation)).await;
        let broken: Vec<&str> = violations.into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(broken, [rule], "{mutation:?}");
    }
}

async fn violations<S>(
    rules: &[Rule<S>],
    deadline: Duration,
    fresh: impl AsyncFn() -> S,
) -> Vec<(&'static str, String)> {
    let mut violations = Vec::new();
    for rule in rules {
        let subject = fresh().await;
        match tokio::time::timeout(deadline, (rule.check)(subject)).await {
            Ok(Ok(())) => {}
            Ok(Err(violation)) => violations.push((rule.name, violation.to_string())),
            Err(_) => violations.push((rule.name, format!("did not end within {deadline:?}"))),
        }
    }
    violations
}
