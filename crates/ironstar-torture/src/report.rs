//! The printed report. The exit code states the outcome, too, so the checks continue when no
//! reader takes the report.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

use ironstar_torture::{Bug, Findings};

use super::Expectation;

/// The largest number of violations that are printed for a check.
const PRINTED: usize = 10;

pub(super) fn start(seed: u64, minutes: f64) {
    say(format_args!("torture: seed {seed}, {minutes} minutes\n"));
}

pub(super) fn beginning(check: &str, time: Duration) {
    say(format_args!("{check} ({:.0} s) ...", time.as_secs_f64()));
}

pub(super) fn findings(check: &str, findings: &Findings) {
    for (work, count) in &findings.work {
        say(format_args!("    {count:>9} {work}"));
    }
    let violations = findings.violations.len();
    say(format_args!("    {violations:>9} violations"));
    for violation in findings.violations.iter().take(PRINTED) {
        say(format_args!("VIOLATION ({check}): {violation}"));
    }
}

pub(super) fn bugs() {
    say(format_args!("\ndeliberate bugs"));
}

/// Prints the result of a check on a bug. Returns true if it is the expected result.
pub(super) fn bug(check: &str, bug: Bug, expectation: Expectation, findings: &Findings) -> bool {
    let (is_expected, outcome) = match (expectation, findings.violations.first()) {
        (Expectation::Caught(_), first) => match (findings.symptom(), first) {
            (Some(found), _) => (true, format!("caught: {found}")),
            (None, Some(other)) => (false, format!("NOT CAUGHT; found instead: {other}")),
            (None, None) => (false, "NOT CAUGHT".to_owned()),
        },
        (Expectation::Missed(why), None) => (true, format!("missed, as expected: {why}")),
        (Expectation::Missed(_), Some(found)) => (false, format!("NOT EXPECTED: {found}")),
    };
    say(format_args!("    {check}, {}: {outcome}", bug.name()));
    is_expected
}

pub(super) fn end(violations: usize, surprises: usize) {
    say(format_args!(
        "\n{violations} violations, {surprises} bugs with an unexpected result"
    ));
}

pub(super) fn broken(error: &anyhow::Error) {
    // If standard error is closed, there is no other place to report the error.
    let _ = writeln!(stderr(), "torture: {error:#}");
}

fn say(line: Arguments<'_>) {
    let _ = writeln!(stdout(), "{line}");
}
