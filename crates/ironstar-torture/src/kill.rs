//! `kill -9` of the real server under load.
//!
//! Clients send commands with keys until the server is killed. After the restart, they repeat
//! the commands without an answer. In between, the database is compared with the answers.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tempfile::TempDir;

use crate::server::Server;
use crate::todos::{Client, Witness, examine};
use crate::{Findings, Plan};

/// The number of concurrent clients. Every fourth client creates lists.
const CLIENTS: usize = 8;

/// The number of kills for one database, which is read completely after each kill.
const KILLS: usize = 8;

/// The time that the server gets for steps of process managers: at first, and at most.
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(16);

/// Runs the check against a server.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan, server: &Path) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    while Instant::now() < end && !findings.is_enough() {
        let folder = TempDir::new()?;
        let witness = Witness::default();
        let mut clients: Vec<Client> = (0..CLIENTS)
            .map(|number| {
                let makes_lists = number % 4 == 0;
                Client::new(
                    number.to_string(),
                    makes_lists,
                    witness.clone(),
                    random.u64(..),
                )
            })
            .collect();
        for _ in 0..KILLS {
            let server = Server::start(server, folder.path(), plan.bug)?;
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

/// Lets the server execute the remaining steps of process managers, until none is left.
async fn finish(
    plan: &Plan,
    server: &Path,
    folder: &Path,
    witness: &Witness,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let mut rest = FIRST_REST;
    loop {
        let server = Server::start(server, folder, plan.bug)?;
        tokio::time::sleep(rest).await;
        server.kill()?;
        let examined = examine(folder, witness).await?;
        rest *= 2;
        let is_finished = examined.unfinished.is_empty();
        if !is_finished && rest < LONGEST_REST && examined.violations.is_empty() {
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
