use super::Processes;
use crate::written::{
    OTHER, REMARK, Written, carried_out, closed, created, envelopes, refused, reopened, rewritten,
};

/// Returns the violations of a log, and then the remaining work.
fn examine(log: &[Written]) -> (Vec<String>, usize) {
    let mut processes = Processes::default();
    let mut violations = Vec::new();
    for envelope in envelopes(log) {
        violations.extend(processes.see(&envelope).expect("readable"));
    }
    violations.extend(processes.end());
    (violations, processes.unfinished().len())
}

#[test]
fn remark_may_be_closed_by_its_step_or_by_a_client() {
    let log = [
        created(REMARK),
        closed(REMARK, Some("closing/1.0")),
        carried_out("closing/1.0"),
        created(OTHER),
        closed(OTHER, None),
        refused("closing/4.0"),
    ];
    assert_eq!(examine(&log), (Vec::new(), 0));
}

#[test]
fn open_remark_is_unfinished_work() {
    let log = [
        created(REMARK),
        closed(REMARK, None),
        reopened(REMARK),
        created(OTHER),
    ];
    assert_eq!(examine(&log), (Vec::new(), 2));
}

#[test]
fn step_that_is_not_recorded_with_its_effect_is_found() {
    let effect = closed(REMARK, Some("closing/1.0"));
    let (violations, _) = examine(&[created(REMARK), effect.clone()]);
    assert_eq!(violations.len(), 1, "at the end");
    let late = [
        created(REMARK),
        effect,
        created(OTHER),
        carried_out("closing/1.0"),
    ];
    let (violations, _) = examine(&late);
    assert!(violations[0].contains("is not followed by the record"));
}

#[test]
fn record_without_an_effect_is_found() {
    let (violations, _) = examine(&[created(REMARK), carried_out("closing/1.0")]);
    assert_eq!(violations.len(), 1);
}

#[test]
fn step_that_runs_twice_is_found() {
    let (effect, record) = (
        closed(REMARK, Some("closing/1.0")),
        carried_out("closing/1.0"),
    );
    let log = [
        created(REMARK),
        effect.clone(),
        record.clone(),
        reopened(REMARK),
        effect,
        record,
    ];
    let (violations, _) = examine(&log);
    assert!(violations[1].contains("is recorded again at 6"));
}

#[test]
fn step_that_closes_another_remark_is_found() {
    let log = [
        created(REMARK),
        created(OTHER),
        closed(OTHER, Some("closing/1.0")),
        carried_out("closing/1.0"),
    ];
    let (violations, _) = examine(&log);
    assert!(violations[0].contains("the step closing/1.0 causes Closed"));
}

#[test]
fn step_that_reacts_to_an_outdated_event_is_found() {
    let step = |step: &str| [closed(REMARK, Some(step)), carried_out(step)];
    let changes = [
        vec![rewritten(REMARK)],
        vec![closed(REMARK, None), reopened(REMARK)],
    ];
    for changes in changes {
        let last = changes.len() + 1;
        let changed = [vec![created(REMARK)], changes].concat();
        let (violations, _) = examine(&[&*changed, &step("closing/1.0")].concat());
        assert_eq!(violations.len(), 1, "{changed:?}");
        assert!(violations[0].contains("the step closing/1.0 causes Closed"));
        let up_to_date = step(&format!("closing/{last}.0"));
        assert_eq!(examine(&[&*changed, &up_to_date].concat()).0, [""; 0]);
    }
}

#[test]
fn step_that_closes_a_closed_remark_is_found() {
    let log = [
        created(REMARK),
        closed(REMARK, None),
        closed(REMARK, Some("closing/2.0")),
        carried_out("closing/2.0"),
    ];
    assert_eq!(examine(&log).0.len(), 1);
}
