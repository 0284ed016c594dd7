//! Runs contract rules, each on a new adapter and with a deadline.

use std::fmt::Debug;
use std::time::Duration;

use ironstar_ports::contract::Rule;

/// Longer than any rule takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// The deadline for a mutant. A test has to wait for a mutant that hangs.
const MUTANT_DEADLINE: Duration = Duration::from_secs(10);

/// Runs all rules, which must all pass.
pub(crate) async fn passes<S>(rules: &[Rule<S>], fresh: impl AsyncFn() -> S) {
    assert!(!rules.is_empty());
    assert_eq!(violations(rules, DEADLINE, fresh).await, []);
}

/// Runs all rules on every mutant. Each mutant must break its own rule, and no other.
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
