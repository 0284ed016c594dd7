//! A short run of each check that needs no server, and of the bug that only power cuts find.
//! `cargo xtask torture` does more, for longer.

use std::time::Duration;

use ironstar_torture::{Bug, Plan, bus, power, races};

const PLAN: Plan = Plan {
    seed: 1,
    time: Duration::from_secs(2),
    bug: None,
    symptoms: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn power_cuts_and_failing_disks_lose_nothing() {
    let findings = power::check(&PLAN).await.expect("the check works");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(
        findings.work.iter().all(|(_, count)| *count > 0),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn power_cut_finds_a_missing_sync() {
    let plan = Plan {
        time: Duration::from_secs(30),
        bug: Some(Bug::AcknowledgesBeforeSync),
        symptoms: &["which was acknowledged, is gone"],
        ..PLAN
    };
    let findings = power::check(&plan).await.expect("the check works");
    assert!(findings.symptom().is_some(), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_bus_loses_no_event() {
    let findings = bus::check(&PLAN).await.expect("the check works");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(
        findings.work.iter().all(|(_, count)| *count > 0),
        "{findings:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_commands_have_a_sequential_history() {
    let findings = races::check(&PLAN).await.expect("the check works");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(
        findings.work.iter().all(|(_, count)| *count > 0),
        "{findings:?}"
    );
}
