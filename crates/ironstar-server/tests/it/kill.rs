//! Kills the server under load, again and again, and compares its log with the record of a
//! witness.

use std::time::Duration;

use ironstar_torture::{Plan, kill};

use crate::process::program;

/// After a kill and a restart, every acknowledged command is there, once. A command in
/// progress is there completely or not at all. A command that is sent again with its key is
/// not carried out twice.
#[tokio::test(flavor = "multi_thread")]
async fn kill_loses_no_acknowledged_command_and_repeats_none() {
    let plan = Plan {
        seed: 1,
        time: Duration::from_secs(3),
        bug: None,
        symptoms: &[],
    };
    let findings = kill::check(&plan, &program())
        .await
        .expect("the check works");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(
        findings.work.iter().all(|(_, count)| *count > 0),
        "{findings:?}"
    );
}
