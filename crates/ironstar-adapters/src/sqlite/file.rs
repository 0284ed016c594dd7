//! Whether the files at the paths of a database are still those that SQLite has open.
//!
//! A file that is removed or replaced stays open, and what is written to it is gone
//! with the process. So the paths of the database, its write-ahead log (`-wal`) and
//! the log's index (`-shm`) are looked at before changes are made, unless that has just
//! been done, and again before the caller gets the answer. A copy over a file keeps the
//! file and changes its content: so the heads of the three are compared with each other
//! and with the last look.
//!
//! A look is seven system calls, mostly. It belongs to a batch or a page, never to an event.
//! Files that are displaced stay so: the store refuses everything until it is opened
//! again. What can be saved is saved by [`mod@rescue`].

mod committed;
mod copy;
mod displaced;
mod held;
mod holders;
mod index;
pub(super) mod log;
mod look;
mod quiet;
mod rescue;

use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ironstar_ports::StoreError;
use tokio::sync::SetOnce;
use tokio::time::timeout;

pub(super) use self::displaced::Displaced;
use self::displaced::{How, Part};
pub(super) use self::held::Held;
use self::held::{Identity, open_files};
pub(super) use self::holders::{displaced_holder, in_the_way};
pub(super) use self::index::Index;
use self::log::{DATABASE_HEADER, DatabaseHeader};
use self::look::Seen;
use super::open_error::OpenError;
use super::path::{DatabaseFile, beside};

/// The files of a database that SQLite has open here.
#[derive(Clone, Debug)]
pub(super) struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where the database is, as it was named.
    named: PathBuf,
    main: Open,
    log: Open,
    index: Open,
    seen: Mutex<Seen>,
    displaced: SetOnce<Displaced>,
    /// What the last look saw before the rescue.
    last_seen: OnceLock<Seen>,
    /// That what can be saved has been saved.
    rescued: SetOnce<()>,
}

/// How long a reader waits for the rescue. Files may be long.
const RESCUE_PATIENCE: Duration = Duration::from_secs(10);

/// An open file, and where it was found.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    held: Held,
}

/// Why the files may not be used now.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// They may not be used again, either.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// The system does not tell.
    #[error("cannot look at the database {}", path.display())]
    Unknown {
        /// The database.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::unavailable(error)
    }
}

impl Files {
    /// The files that a connection has just opened. It must have used the log.
    ///
    /// That they are the same files follows from their identities: SQLite keeps its
    /// descriptors, and this process has each file open before it is opened here.
    ///
    /// The name by which the operator knows the database may be a link: it has to lead
    /// there for as long as the database is open.
    pub(super) fn of(named: &Path, database: &DatabaseFile) -> Result<Self, OpenError> {
        let unusable = |error: io::Error| OpenError::unusable(database, error.into());
        let open = open_files();
        let files = Shared::open(named, database.path()).map_err(unusable)?;
        if let Ok(open) = open {
            let all = [&files.main, &files.log, &files.index];
            if !all.iter().all(|file| open.contains(&file.held.identity())) {
                let error = "the files were replaced while they were opened; try again";
                return Err(unusable(io::Error::other(error)));
            }
        }
        let files = Self(Arc::new(files));
        files.check().map_err(|error| match error {
            FileError::Displaced(displaced) => unusable(io::Error::other(displaced)),
            FileError::Unknown { source, .. } => unusable(source),
        })?;
        Ok(files)
    }

    /// Makes sure that the files are in their places and fit together. Nothing that
    /// was read or written since the last look may be told before this.
    pub(super) fn check(&self) -> Result<(), FileError> {
        self.check_latched()?;
        let mut seen = self.seen();
        // An earlier look may have found it out while this one waited.
        self.check_latched()?;
        let displaced = match self.0.look(&mut seen) {
            Ok(()) => return Ok(()),
            Err(FileError::Displaced(displaced)) => displaced,
            Err(error) => return Err(error),
        };
        // No other look has set it: looks are taken in turn.
        let _ = self.0.displaced.set(displaced.clone());
        Err(displaced.into())
    }

    /// Makes sure that a read does not end the process: SQLite maps the index into
    /// memory, and a mapped page that was cut off is fatal. One system call.
    pub(super) async fn check_before_read(&self) -> Result<(), FileError> {
        match self.0.index.held.size() {
            Ok(size) if size >= look::INDEX_PAGE && !self.is_displaced() => Ok(()),
            Ok(_) | Err(_) => self.check_after_read().await,
        }
    }

    /// Makes sure that what was read may be told. A refusal waits until what displaced
    /// files hold is saved: an operator who hears of it may kill the server.
    pub(super) async fn check_after_read(&self) -> Result<(), FileError> {
        let checked = self.check();
        if matches!(checked, Err(FileError::Displaced(_))) {
            // A caller is refused in the end, saved or not.
            let _ = timeout(RESCUE_PATIENCE, self.0.rescued.wait()).await;
        }
        checked
    }

    /// Waits until the files are displaced.
    pub(super) async fn displaced(&self) {
        self.0.displaced.wait().await;
    }

    /// Whether the files are displaced, by what is known without a look.
    pub(super) fn is_displaced(&self) -> bool {
        self.0.displaced.get().is_some()
    }

    /// The log, as it was at the last look.
    pub(super) fn index(&self) -> Option<Index> {
        self.seen().index
    }

    /// How long the log's file is now, in bytes.
    pub(super) fn log_size(&self) -> io::Result<u64> {
        self.0.log.held.size()
    }

    /// The log.
    pub(super) fn log_path(&self) -> &Path {
        &self.0.log.path
    }

    /// The header of the database as it is in the file, whatever the log has.
    pub(super) fn header(&self) -> io::Result<DatabaseHeader> {
        let mut header = [0; DATABASE_HEADER];
        self.0.main.held.read_exact_at(&mut header, 0)?;
        Ok(header)
    }

    /// The index, which readers have locks on.
    pub(super) fn index_identity(&self) -> Identity {
        self.0.index.held.identity()
    }

    /// Whether what displaced files hold has been saved, as far as it can be.
    pub(super) fn is_rescued(&self) -> bool {
        self.0.rescued.get().is_some()
    }

    /// Saves what can be saved of displaced files, and tells the operator, once. Blocks.
    pub(super) fn rescue(&self) {
        if let Some(displaced) = self.0.displaced.get()
            && !self.is_rescued()
        {
            // No look needs it any more, and a reader must not wait for its lock meanwhile.
            let seen = self
                .0
                .last_seen
                .get_or_init(|| mem::take(&mut *self.seen()));
            let outcome = rescue::rescue(&self.0, seen);
            tracing::error!(
                "{displaced}, so every request is refused until the server is started again; {outcome}"
            );
            // Either the task that writes saves, or the connection that it has left.
            let _ = self.0.rescued.set(());
        }
    }

    /// Refuses files that were displaced at an earlier look. No system call.
    pub(super) fn check_latched(&self) -> Result<(), FileError> {
        match self.0.displaced.get() {
            None => Ok(()),
            Some(displaced) => Err(displaced.clone().into()),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn open(named: &Path, path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let (log, index) = (beside(&path, "-wal"), beside(&path, "-shm"));
        Ok(Self {
            named: std::path::absolute(named)?,
            main: Open {
                held: Held::open(&path)?,
                path,
            },
            log: Open {
                held: Held::open_to_write(&log)?,
                path: log,
            },
            index: Open {
                held: Held::open(&index)?,
                path: index,
            },
            seen: Mutex::default(),
            displaced: SetOnce::new(),
            last_seen: OnceLock::new(),
            rescued: SetOnce::new(),
        })
    }

    fn part(&self, part: Part) -> &Open {
        match part {
            Part::Main => &self.main,
            Part::Log => &self.log,
            Part::Index => &self.index,
        }
    }

    fn displaced(&self, part: Part, how: How) -> FileError {
        let path = match part {
            Part::Main => self.named.clone(),
            Part::Log | Part::Index => self.part(part).path.clone(),
        };
        Displaced { part, path, how }.into()
    }
}

/// A database that was saved when the one at this path was displaced, if there is one.
pub(super) fn rescued(path: &Path) -> Option<PathBuf> {
    let copy = beside(path, &format!(".{}-1", rescue::RESCUED));
    copy.exists().then_some(copy)
}
