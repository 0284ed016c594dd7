//! What is printed: the report is what was asked for.

#![expect(clippy::print_stdout, reason = "this is what was asked for")]

use std::time::Duration;

use ironstar_torture::{Bug, Findings};

use super::Expectation;

/// How many violations of a check are printed.
const PRINTED: usize = 10;

pub(super) fn start(seed: u64, minutes: f64) {
    println!("torture: seed {seed}, {minutes} minutes\n");
}

pub(super) fn beginning(check: &str, time: Duration) {
    println!("{check} ({:.0} s) ...", time.as_secs_f64());
}

pub(super) fn findings(check: &str, findings: &Findings) {
    for (work, count) in &findings.work {
        println!("    {count:>9} {work}");
    }
    let violations = findings.violations.len();
    println!("    {violations:>9} violations");
    for violation in findings.violations.iter().take(PRINTED) {
        println!("VIOLATION ({check}): {violation}");
    }
}

pub(super) fn bugs() {
    println!("\nbugs put in on purpose");
}

/// Whether the check made of the bug what it was expected to.
pub(super) fn bug(check: &str, bug: Bug, expectation: Expectation, found: &[String]) -> bool {
    let (is_expected, outcome) = match (expectation, found) {
        (Expectation::Caught(words), found) => {
            let is_it = |found: &&String| words.iter().any(|words| found.contains(words));
            match (found.iter().find(is_it), found.first()) {
                (Some(found), _) => (true, format!("caught: {found}")),
                (None, Some(other)) => (false, format!("NOT CAUGHT, but this was: {other}")),
                (None, None) => (false, "NOT CAUGHT".to_owned()),
            }
        }
        (Expectation::Missed(why), []) => (true, format!("missed, as expected: {why}")),
        (Expectation::Missed(_), [found, ..]) => (false, format!("NOT EXPECTED: {found}")),
    };
    println!("    {check}, {}: {outcome}", bug.name());
    is_expected
}

pub(super) fn end(violations: usize, surprises: usize) {
    println!("\n{violations} violations, {surprises} bugs not as expected");
}

#[expect(clippy::print_stderr, reason = "the check itself is broken")]
pub(super) fn broken(error: &anyhow::Error) {
    eprintln!("torture: {error:#}");
}
