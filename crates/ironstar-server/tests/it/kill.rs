//! Kills the server under load, again and again, with a witness beside it.

use std::path::Path;
use std::time::Duration;

use ironstar_torture::{Plan, kill};

/// Whatever was acknowledged before a kill is there after it, once; what was
/// under way is there whole or not at all; and a command that is sent again
/// with its key after the restart is not carried out twice.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let plan = Plan {
        seed: 1,
        time: Duration::from_secs(3),
        bug: None,
    };
    let server = Path::new(env!("CARGO_BIN_EXE_ironstar-server"));
    let findings = kill::check(&plan, server).await.expect("the check works");
    assert_eq!(findings.violations, Vec::<String>::new());
    assert!(
        findings.work.iter().all(|(_, count)| *count > 0),
        "{findings:?}"
    );
}
