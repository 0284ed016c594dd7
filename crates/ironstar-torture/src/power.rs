//! Power cuts, and disks that fail or are full, below SQLite.
//!
//! The log is on a simulated disk, and clients append all the time. Again and again, the
//! power is cut, in a copy of the disk. A second store opens the copy. It must find all
//! appends that had been acknowledged, all or none of the events of each append, and no gap.
//! Kills cannot show a missing sync, because data that a process has written survives the
//! process.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ironstar_adapters::sqlite::{DEFAULT_COMMAND_RETENTION, SqliteDatabase, SqliteEventStore};
use ironstar_adapters::system::SystemClock;
use ironstar_ports::EventStore;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};

use crate::appends::{Client, Witness, examine};
use crate::bug::plant;
use crate::checkpoints;
use crate::disk::{Disk, Faults, Image};
use crate::vfs::Mount;
use crate::{Bug, Findings, Plan};

/// The number of concurrent clients.
const CLIENTS: usize = 6;

/// The time for which one log is used, which is read completely after each cut.
const EPISODE: Duration = Duration::from_millis(500);

/// The largest number of power cuts while a log is created.
const CUTS_OF_NEW: usize = 16;

/// The longest acceptable time for the recovery of a store.
const RECOVERY: Duration = Duration::from_secs(10);

/// Runs the check.
///
/// # Errors
///
/// The check itself does not work.
pub async fn check(plan: &Plan) -> anyhow::Result<Findings> {
    let mut findings = Findings::new(plan);
    let mut random = fastrand::Rng::with_seed(plan.seed);
    let end = Instant::now() + plan.time;
    while Instant::now() < end && !findings.is_enough() {
        let mut episode = Episode::start(&mut random, plan.bug, &mut findings).await?;
        episode.run(end, &mut findings).await?;
        episode.end(&mut findings).await?;
    }
    Ok(findings)
}

/// The life of one log.
struct Episode {
    random: fastrand::Rng,
    disk: Arc<Disk>,
    sound: Faults,
    _folder: TempDir,
    store: Arc<SqliteEventStore>,
    witness: Arc<Witness>,
    clients: JoinSet<()>,
    projecting: JoinHandle<u64>,
    _mount: Mount,
}

impl Episode {
    async fn start(
        random: &mut fastrand::Rng,
        bug: Option<Bug>,
        findings: &mut Findings,
    ) -> anyhow::Result<Self> {
        let mut random = random.fork();
        let folder = TempDir::new()?;
        let disk = Arc::new(Disk::new(random.u64(..)));
        let mount = Mount::new(folder.path(), Arc::clone(&disk))?;
        let sound = Faults {
            ignores_syncs: bug == Some(Bug::AcknowledgesBeforeSync),
            ..Faults::default()
        };
        let store = open_with_cuts(folder.path(), &disk, &mut random, findings).await?;
        disk.fail(sound);
        let witness = Arc::new(Witness::default());
        let mut clients = JoinSet::new();
        let planted = plant(bug, store.clone()).await?;
        for number in 0..CLIENTS {
            let store = Arc::clone(&planted);
            let client = Client::new(number, store, Arc::clone(&witness), random.u64(..));
            clients.spawn(client.run());
        }
        let projecting = checkpoints::run(Arc::clone(&store), Arc::clone(&witness));
        Ok(Self {
            random,
            projecting: tokio::spawn(projecting),
            disk,
            sound,
            _folder: folder,
            store,
            witness,
            clients,
            _mount: mount,
        })
    }

    async fn run(&mut self, end: Instant, findings: &mut Findings) -> anyhow::Result<()> {
        let end = end.min(Instant::now() + EPISODE);
        while Instant::now() < end && !findings.is_enough() {
            let faults = self.next_faults();
            self.disk.fail(faults);
            let pause = Duration::from_millis(self.random.u64(1..60));
            tokio::time::sleep(pause).await;
            let acknowledged = self.witness.acknowledged();
            let image = self.disk.cut();
            findings.did("power cuts", 1);
            self.examine_image(&image, acknowledged, findings).await?;
            // Reads must work, whatever the disk does to writes.
            if let Err(error) = self.store.head().await {
                findings.found(format!(
                    "a read fails while the disk refuses writes: {error:?}"
                ));
            }
        }
        Ok(())
    }

    fn next_faults(&mut self) -> Faults {
        let sound = self.sound;
        match self.random.u8(0..6) {
            0 => Faults {
                writes: 40,
                ..sound
            },
            1 => Faults { syncs: 6, ..sound },
            2 => Faults {
                writes: 60,
                syncs: 10,
                ..sound
            },
            3 => Faults {
                is_full: true,
                ..sound
            },
            _ => sound,
        }
    }

    /// Ends the faults of the disk. After that, everything must work again.
    async fn end(mut self, findings: &mut Findings) -> anyhow::Result<()> {
        self.disk.fail(self.sound);
        let before = self.witness.acknowledged();
        let start = Instant::now();
        while self.witness.acknowledged() == before && self.clients.len() == CLIENTS {
            if start.elapsed() > RECOVERY {
                findings.found("no append succeeds, although the disk works again");
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.witness.end();
        while let Some(client) = self.clients.join_next().await {
            client.context("a client")?;
        }
        let commits = (&mut self.projecting).await.context("the read model")?;
        findings.did("read models stored", commits);
        for violation in self.witness.violations() {
            findings.found(violation);
        }
        let acknowledged = self.witness.acknowledged();
        for violation in examine(&*self.store, &self.witness, acknowledged).await? {
            findings.found(format!("at the end: {violation}"));
        }
        self.store.close().await?;
        let image = self.disk.cut();
        self.examine_image(&image, acknowledged, findings).await?;
        let counts = self.disk.counts();
        findings.did("appends acknowledged", acknowledged as u64);
        findings.did("syncs", counts.syncs);
        findings.did("faults", counts.failures);
        findings.did("appends failed", self.witness.failures());
        Ok(())
    }

    async fn examine_image(
        &self,
        image: &Image,
        acknowledged: usize,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        // The copy is in another folder, without a simulated disk.
        let folder = TempDir::new()?;
        image.restore(folder.path())?;
        let store = match open(folder.path()).await {
            Ok(store) => store,
            Err(error) => {
                findings.found(format!(
                    "after a power cut, the log does not open: {error:#}"
                ));
                return Ok(());
            }
        };
        let examined = async {
            let mut violations = examine(&store, &self.witness, acknowledged).await?;
            violations.extend(checkpoints::examine(&store).await?);
            anyhow::Ok(violations)
        };
        match examined.await {
            Ok(violations) => {
                for violation in violations {
                    findings.found(format!("after a power cut: {violation}"));
                }
            }
            Err(error) => findings.found(format!("after a power cut: {error:#}")),
        }
        store.close().await?;
        Ok(())
    }
}

/// Opens a new log while the power is cut now and then. A partly created log must open, too.
async fn open_with_cuts(
    folder: &Path,
    disk: &Disk,
    random: &mut fastrand::Rng,
    findings: &mut Findings,
) -> anyhow::Result<Arc<SqliteEventStore>> {
    let opening = open(folder);
    tokio::pin!(opening);
    let mut images = Vec::new();
    let store = loop {
        let pause = Duration::from_micros(random.u64(100..6_000));
        tokio::select! {
            store = &mut opening => break store?,
            () = tokio::time::sleep(pause) => {
                if images.len() < CUTS_OF_NEW {
                    images.push(disk.cut());
                }
            }
        }
    };
    for image in images {
        let folder = TempDir::new()?;
        image.restore(folder.path())?;
        findings.did("power cuts while a log is created", 1);
        match open(folder.path()).await {
            Ok(store) => store.close().await?,
            Err(error) => findings.found(format!(
                "after a power cut during its creation, a log does not open: {error:#}"
            )),
        }
    }
    Ok(Arc::new(store))
}

async fn open(folder: &Path) -> anyhow::Result<SqliteEventStore> {
    let database = SqliteDatabase::open(&folder.join("ironstar.db").into()).await?;
    Ok(SqliteEventStore::new(
        database,
        Arc::new(SystemClock),
        DEFAULT_COMMAND_RETENTION,
    ))
}
