//! Checks that the files at the paths of a database are the files that SQLite has open.
//!
//! A file that is removed or replaced stays open, and later writes to it are lost when the
//! process ends. So the store checks three paths: the database, its write-ahead log (`-wal`)
//! and the index of the log (`-shm`). It checks them before a change, unless it has just done
//! so, and again before the caller gets the answer. A copy over a file keeps the file and
//! changes its content. So the store also compares the heads of the three files with each
//! other and with the last look.
//!
//! A look takes seven system calls in most cases. It happens once for a batch or a page,
//! never for each event. A file that was removed, replaced or overwritten is called
//! *displaced*. The state is permanent: the store refuses all requests until it is opened
//! again. [`mod@rescue`] saves the data of displaced files.

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
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ironstar_ports::StoreError;
use parking_lot::Mutex;
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

/// The files of a database that SQLite has open in this process.
#[derive(Clone, Debug)]
pub(super) struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The path of the database as the operator named it.
    named: PathBuf,
    main: Open,
    log: Open,
    index: Open,
    seen: Mutex<Seen>,
    displaced: SetOnce<Displaced>,
    /// The state of the last look, from before the rescue.
    last_seen: OnceLock<Seen>,
    /// Set when the rescue is finished.
    rescued: SetOnce<()>,
}

/// The longest time that a reader waits for the rescue, which may have to copy large files.
const RESCUE_PATIENCE: Duration = Duration::from_secs(10);

/// An open file, with its path.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    held: Held,
}

/// Reasons why the files must not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The files are displaced. This is permanent.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// The operating system cannot say whether the files are in place.
    #[error("cannot check the files of the database {}", path.display())]
    Unknown {
        /// The path of the database.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::unavailable(error)
    }
}

impl Files {
    /// Opens the files that a connection has just opened. The connection must have used the
    /// log.
    ///
    /// The identities prove that both have the same files: SQLite keeps its descriptors open,
    /// and all of this process's open files are listed before the files are opened here.
    ///
    /// The operator's name of the database may be a link. It must lead to the same file as
    /// long as the database is open.
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

    /// Makes sure that the files are in place and fit together. Data that was read or written
    /// since the last look must not reach a caller before this check.
    pub(super) fn check(&self) -> Result<(), FileError> {
        self.check_latched()?;
        let mut seen = self.0.seen.lock();
        // Another look may have found displaced files while this one waited for the lock.
        self.check_latched()?;
        let displaced = match self.0.look(&mut seen) {
            Ok(()) => return Ok(()),
            Err(FileError::Displaced(displaced)) => displaced,
            Err(error) => return Err(error),
        };
        // The lock is held, so no other look can have set it.
        let _ = self.0.displaced.set(displaced.clone());
        Err(displaced.into())
    }

    /// Makes sure that a read cannot end the process. SQLite maps the index into memory, and
    /// access to a page that was truncated away is fatal. One system call.
    pub(super) async fn check_before_read(&self) -> Result<(), FileError> {
        match self.0.index.held.size() {
            Ok(size) if size >= look::INDEX_PAGE && !self.is_displaced() => Ok(()),
            Ok(_) | Err(_) => self.check_after_read().await,
        }
    }

    /// Makes sure that a result may be given to the caller. If the files are displaced, the
    /// refusal waits for the rescue, because an operator who sees the refusal may kill the
    /// server.
    pub(super) async fn check_after_read(&self) -> Result<(), FileError> {
        let checked = self.check();
        if matches!(checked, Err(FileError::Displaced(_))) {
            // The caller gets the refusal in any case, so a rescue that takes too long does
            // not matter.
            let _ = timeout(RESCUE_PATIENCE, self.0.rescued.wait()).await;
        }
        checked
    }

    /// Waits until a look finds displaced files.
    pub(super) async fn displaced(&self) {
        self.0.displaced.wait().await;
    }

    /// Returns true if an earlier look found displaced files. This makes no look itself.
    pub(super) fn is_displaced(&self) -> bool {
        self.0.displaced.get().is_some()
    }

    /// The head of the index at the last look.
    pub(super) fn index(&self) -> Option<Index> {
        self.0.seen.lock().index
    }

    /// The present length of the log's file, in bytes.
    pub(super) fn log_size(&self) -> io::Result<u64> {
        self.0.log.held.size()
    }

    /// The path of the log.
    pub(super) fn log_path(&self) -> &Path {
        &self.0.log.path
    }

    /// Reads the database's header from its file, without the changes in the log.
    pub(super) fn header(&self) -> io::Result<DatabaseHeader> {
        let mut header = [0; DATABASE_HEADER];
        self.0.main.held.read_exact_at(&mut header, 0)?;
        Ok(header)
    }

    /// The identity of the index, on which readers hold locks.
    pub(super) fn index_identity(&self) -> Identity {
        self.0.index.held.identity()
    }

    /// Returns true if the rescue is finished, successful or not.
    pub(super) fn is_rescued(&self) -> bool {
        self.0.rescued.get().is_some()
    }

    /// Saves the data of displaced files as far as possible, and tells the operator. Only the
    /// first call does this. Blocks.
    pub(super) fn rescue(&self) {
        if let Some(displaced) = self.0.displaced.get()
            && !self.is_rescued()
        {
            // No look needs this state any more. Taking it out lets readers have the lock
            // during the rescue.
            let seen = self
                .0
                .last_seen
                .get_or_init(|| mem::take(&mut *self.0.seen.lock()));
            let outcome = rescue::rescue(&self.0, seen);
            tracing::error!(
                "{displaced}, so every request is refused until the server is restarted; {outcome}"
            );
            // The task that writes may have set it, or the connection that this task has
            // left.
            let _ = self.0.rescued.set(());
        }
    }

    /// Returns an error if an earlier look found displaced files. No system call.
    pub(super) fn check_latched(&self) -> Result<(), FileError> {
        match self.0.displaced.get() {
            None => Ok(()),
            Some(displaced) => Err(displaced.clone().into()),
        }
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

/// Returns the copy that a rescue saved beside this database, if there is one.
pub(super) fn rescued(path: &Path) -> Option<PathBuf> {
    let copy = beside(path, &format!(".{}-1", rescue::RESCUED));
    copy.exists().then_some(copy)
}
