//! `kill -9` of the real server under load.
//!
//! Clients send commands with keys until the server is killed. After the restart, they repeat
//! the commands without an answer. In between, the database is compared with the answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use crate::examined::examine;
use crate::remarks::{Client, Witness};
use crate::server::Server;
use crate::{Findings, Plan};

/// The number of concurrent clients. Every fourth client creates notes.
const CLIENTS: usize = 8;

/// The number of kills for one database, which is read completely after each kill.
const KILLS: usize = 8;

/// The option that lets a process manager close remarks at once.
const CLOSING: [&str; 2] = ["--close-remarks-after", "0"];

/// The time of a round in which the server runs the remaining steps of process managers: at first,
/// and at most.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(16);

/// Runs the check against a server.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan, server: &Path) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    while Instant::now() < end && !findings.is_enough() {
        let folder = TempDir::new()?;
        let witness = Witness::default();
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|number| {
                let makes_notes = number % 4 == 0;
                Client::new(
                    number.to_string(),
                    makes_notes,
                    witness.clone(),
                    random.u64(..),
                )
            })
            .collect();
        for _ in 0..KILLS {
            let server = Server::start(server, folder.path(), plan.bug, &CLOSING)?;
            let pause = Duration::from_millis(random.u64(20..500));
            clients = run_until_killed(server, clients, pause, &mut findings).await?;
            for violation in examine(folder.path(), &witness).await?.violations {
                findings.found(format!("after a kill: {violation}"));
            }
            findings.did("kills", 1);
            if Instant::now() > end || findings.is_enough() {
                break;
            }
        }
        if witness.len() == 0 {
            findings.found("the server acknowledges nothing");
        }
        findings.did("commands acknowledged", witness.len() as u64);
        finish(plan, server, folder.path(), &witness, &mut findings).await?;
    }
    Ok(findings)
}

/// The rounds in which the server runs the remaining steps of process managers.
#[derive(Debug)]
struct Rounds {
    time: Duration,
    /// The numbers of unfinished remarks and of steps after the last round.
    last: Option<(usize, u64)>,
}

impl Default for Rounds {
    fn default() -> Self {
        let time = FIRST_REST;
        Self { time, last: None }
    }
}

impl Rounds {
    /// Returns true if another round may help. The machine may be slow, so the number of rounds
    /// with progress is not limited. Each round without progress makes the next one longer, and
    /// the longest one without progress is the last.
    fn may_go_on(&mut self, unfinished: usize, steps: u64) -> bool {
        let last = self.last.replace((unfinished, steps));
        let is_progress = last.is_none_or(|(left, over)| unfinished < left || steps > over);
        if unfinished == 0 || !is_progress && self.time >= LONGEST_REST {
            return false;
        }
        if !is_progress {
            self.time = (self.time * 2).min(LONGEST_REST);
        }
        true
    }
}

/// Lets the server run the remaining steps of process managers, until none is left.
async fn finish(
    plan: &Plan,
    server: &Path,
    folder: &Path,
    witness: &Witness,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let mut rounds = Rounds::default();
    loop {
        let server = Server::start(server, folder, plan.bug, &CLOSING)?;
        tokio::time::sleep(rounds.time).await;
        server.kill()?;
        let examined = examine(folder, witness).await?;
        let may_go_on = rounds.may_go_on(examined.unfinished.len(), examined.steps);
        if may_go_on && examined.violations.is_empty() {
            continue;
        }
        for violation in examined.violations.into_iter().chain(examined.unfinished) {
            findings.found(format!("at the end: {violation}"));
        }
        findings.did("steps of a process manager", examined.steps);
        return Ok(());
    }
}

/// Lets clients send commands, and kills the server in the middle.
async fn run_until_killed(
    server: Server,
    clients: Vec<Client>,
    pause: Duration,
    findings: &mut Findings,
) -> anyhow::Result<Vec<Client>> {
    let running: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let commands = server.commands();
            tokio::spawn(async move {
                let violations = client.run(&commands).await?;
                anyhow::Ok((client, violations))
            })
        })
        .collect();
    tokio::time::sleep(pause).await;
    if let Some(status) = server.kill()? {
        findings.found(format!("the server ended without a kill: {status}"));
    }
    let mut clients = Vec::new();
    for client in running {
        match client.await.context("a client")? {
            Ok((client, violations)) => {
                clients.push(client);
                for violation in violations {
                    findings.found(violation);
                }
            }
            Err(refused) => findings.found(format!("{refused:#}")),
        }
    }
    Ok(clients)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_on_as_long_as_there_is_progress() {
        let mut rounds = Rounds::default();
        for left in (1..1_000).rev() {
            assert!(rounds.may_go_on(left, 0));
        }
        for steps in 1..1_000 {
            assert!(rounds.may_go_on(1, steps));
        }
        assert_eq!(rounds.time, FIRST_REST);
        assert!(!rounds.may_go_on(0, 1_000));
    }

    #[test]
    fn rounds_without_progress_grow_and_end() {
        let mut rounds = Rounds::default();
        let mut times = Vec::new();
        while rounds.may_go_on(1, 0) {
            times.push(rounds.time.as_secs_f64());
        }
        assert_eq!(times, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]);
        assert!(rounds.may_go_on(1, 1), "there is progress again");
        assert!(!rounds.may_go_on(1, 1));
    }
}
