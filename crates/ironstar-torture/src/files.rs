//! The files of a database are removed, replaced, overwritten or truncated under a server.
//!
//! Clients create remarks until the server refuses them. Then the server is killed. The next
//! start must find every acknowledged remark, from before the fault and after it. In two of
//! three rounds, two servers share the database.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::{EventStore, Position};
use parking_lot::Mutex;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::server::{Answer, Commands, DATABASE, Recipient, Reply, Request, Server};
use crate::{Findings, Plan};

/// The number of concurrent clients.
const CLIENTS: usize = 4;

/// The longest acceptable time between a fault and the refusals. A server looks at its files
/// with each command, and once a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// The faults of files.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Removed(&'static [&'static str]),
    Renamed(&'static str),
    Replaced(&'static str),
    Overwritten(&'static str),
    /// Truncates the file to this many bytes.
    CutOff(&'static str, u64),
}

const FAULTS: [Fault; 14] = [
    Fault::Removed(&["-wal"]),
    Fault::Removed(&["-shm"]),
    Fault::Removed(&["-wal", "-shm"]),
    Fault::Removed(&[""]),
    Fault::Removed(&["", "-wal", "-shm"]),
    Fault::Renamed("-wal"),
    Fault::Renamed(""),
    Fault::Replaced("-wal"),
    Fault::Replaced("-shm"),
    Fault::Overwritten("-wal"),
    Fault::Overwritten("-shm"),
    Fault::CutOff("-wal", 0),
    Fault::CutOff("-wal", 5_000),
    Fault::CutOff("-shm", 0),
];

/// Runs the check.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan, server: &Path) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    let mut faults: Vec<Fault> = Vec::new();
    let mut rounds = 0_usize;
    while Instant::now() < end && !findings.is_enough() {
        if faults.is_empty() {
            faults.extend(FAULTS);
            random.shuffle(&mut faults);
        }
        let fault = faults.pop().unwrap_or(FAULTS[0]);
        // A server with a bug does not share its files.
        let servers = match rounds % 3 {
            _ if plan.bug.is_some() => Servers::One,
            0 => Servers::One,
            1 => Servers::Two,
            _ => Servers::OneAndIdle,
        };
        rounds += 1;
        let round = Round {
            folder: TempDir::new()?,
            fault,
            pause: Duration::from_millis(random.u64(50..800)),
        };
        round.run(plan, server, servers, &mut findings).await?;
    }
    Ok(findings)
}

/// The servers of a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Servers {
    One,
    Two,
    /// The second server gets no commands, so it only looks at the files.
    OneAndIdle,
}

struct Round {
    folder: TempDir,
    fault: Fault,
    pause: Duration,
}

/// The acknowledged commands.
type Witness = Arc<Mutex<Vec<Answer>>>;

impl Round {
    async fn run(
        &self,
        plan: &Plan,
        program: &Path,
        shared_by: Servers,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let witness = Witness::default();
        let mut servers = Vec::new();
        let mut clients = JoinSet::new();
        let (count, busy) = match shared_by {
            Servers::One => (1, 1),
            Servers::Two => (2, 2),
            Servers::OneAndIdle => (2, 1),
        };
        for number in 0..count {
            let server = Server::start(program, self.folder.path(), plan.bug, &[])?;
            for client in (0..CLIENTS).filter(|_| number < busy) {
                let name = format!("{number}-{client}");
                clients.spawn(create(server.commands(), name, Arc::clone(&witness)));
            }
            servers.push(server);
        }
        tokio::time::sleep(self.pause).await;
        self.fault.happen(&self.folder.path().join(DATABASE))?;
        // A server with a bug may accept commands for ever.
        let patience = if plan.bug.is_some() {
            self.pause
        } else {
            PATIENCE
        };
        let refused = tokio::time::timeout(patience, async {
            while clients.join_next().await.is_some() {}
        });
        if refused.await.is_err() && plan.bug.is_none() {
            findings.found(format!(
                "{:?}: the server does not refuse commands",
                self.fault
            ));
        }
        for server in servers {
            // A process may end by itself when it reads a truncated index.
            let _ = server.kill()?;
        }
        clients.shutdown().await;
        findings.did("faults of files", 1);
        let acknowledged = witness.lock().clone();
        findings.did("commands acknowledged", acknowledged.len() as u64);
        match self.lost(&acknowledged).await {
            Ok(lost) => {
                for answer in lost {
                    findings.found(format!(
                        "{:?}: the acknowledged event at {} is gone",
                        self.fault, answer.position
                    ));
                }
            }
            Err(error) => findings.found(format!(
                "{:?}: every acknowledged event is gone, because the database does not open: {error:#}",
                self.fault
            )),
        }
        Ok(())
    }

    /// Returns the acknowledged commands that the next start does not find.
    async fn lost(&self, acknowledged: &[Answer]) -> anyhow::Result<Vec<Answer>> {
        let database = SqliteDatabase::open(&self.folder.path().join(DATABASE).into()).await?;
        let clock = Arc::new(SystemClock);
        let store = SqliteEventStore::new(database, clock, DEFAULT_COMMAND_RETENTION);
        let log = store.load_after(Position::START, usize::MAX).await?;
        store.close().await?;
        let is_lost = |answer: &&Answer| {
            let index = usize::try_from(answer.position).ok();
            let event = index.and_then(|index| log.get(index.checked_sub(1)?));
            event.is_none_or(|event| event.stream.aggregate_id != answer.id)
        };
        Ok(acknowledged.iter().filter(is_lost).cloned().collect())
    }
}

/// Creates remarks until the server refuses one.
async fn create(commands: Commands, name: String, witness: Witness) {
    for number in 0.. {
        let request = Request {
            key: format!("{name}-{number}"),
            to: Recipient::Remark,
            body: json!({"type": "create", "text": format!("{name} {number}")}),
            last: Position::START,
        };
        match commands.send(&request, None).await {
            Ok(Some(Reply::Accepted(answer))) => witness.lock().push(answer),
            Ok(Some(Reply::AlreadyClosed { .. }) | None) | Err(_) => return,
        }
    }
}

impl Fault {
    fn happen(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Removed(suffixes) => suffixes
                .iter()
                .try_for_each(|suffix| fs::remove_file(beside(path, suffix))),
            Self::Renamed(suffix) => fs::rename(beside(path, suffix), beside(path, ".moved")),
            Self::Replaced(suffix) => {
                fs::write(beside(path, ".other"), junk())?;
                fs::rename(beside(path, ".other"), beside(path, suffix))
            }
            Self::Overwritten(suffix) => open(path, suffix)?.write_all_at(&junk(), 0),
            Self::CutOff(suffix, length) => open(path, suffix)?.set_len(length),
        }
    }
}

/// The content of another file.
fn junk() -> Vec<u8> {
    b"This is not SQLite's. ".repeat(5_000)
}

fn open(path: &Path, suffix: &str) -> io::Result<fs::File> {
    OpenOptions::new().write(true).open(beside(path, suffix))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
