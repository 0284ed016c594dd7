//! Why a database is not opened.

use std::io;
use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use super::code;
use super::link::WalError;
use super::path::DatabaseFile;
use super::recognition::APPLICATION_ID;
use super::refusal::{Refusal, cause_of};

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open or use the file.
    #[error("cannot open the database {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// There is no folder to make the file in.
    #[error(
        "cannot make the database {}, as its folder does not exist; make the folder, or name another file",
        path.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// The file is a folder.
    #[error("cannot open the database {}, as that is a folder; name a file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The user who runs this may not read the file, or make it.
    #[error(
        "this user may not open the database {}; let them read and write the file and its folder, or name another file",
        path.display()
    )]
    Denied {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "the file {} is not a database, and was left as it is; name another file",
        path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file, or the folder that it is in, may only be read.
    #[error(
        "cannot write to the database {}; make the file and its folder writable for this user",
        path.display()
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file cannot be locked, be it that another program holds the lock or
    /// that its file system has none.
    #[error(
        "cannot lock the database {}; stop the other program that has it locked, or, \
         if its file system has no working locks, move it to a local disk",
        path.display()
    )]
    Unlockable {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The file is another application's.
    #[error(
        "the file {path} is a database of another application, and was left as it is; name \
         another file, or, if it is ironstar's, say so: sqlite3 '{path}' \
         \"PRAGMA application_id = {APPLICATION_ID}\"",
        path = path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A dump was not loaded as a whole.
    #[error(
        "the file {} was loaded from a dump, but lacks {missing}, and was left as it is; load \
         the whole dump, or restore a backup",
        path.display()
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing first.
        missing: String,
    },
    /// The storage does not take what SQLite writes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The name leads to something else than a file.
    #[error("cannot open the database {}, as that is {kind}; name a file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Links lead to links without end.
    #[error(
        "cannot open the database {}, as too many symbolic links lead there; name the file itself",
        path.display()
    )]
    Links {
        /// Where the links have led.
        path: PathBuf,
    },
    /// SQLite needs room in the name for the files beside it.
    #[error(
        "cannot open the database {}, as its name has more than 247 bytes or its path more than \
         504; choose a shorter one",
        path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// The path is no text.
    #[error(
        "cannot open the database {}, as its path is not UTF-8; rename the folder or the file",
        path.display()
    )]
    NotUnicode {
        /// The file.
        path: PathBuf,
    },
    /// There is a file of a name that has escapes, and none without them.
    #[error(
        "in a database URL, % begins an escape, but there is a file {}; write %25 for each % in \
         its name",
        _0.display()
    )]
    Escaped(PathBuf),
    /// The system does not tell what is there.
    #[error("cannot find the database {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is another than the one that was checked.
    #[error(
        "the database {} was replaced while it was being opened; start again, and let no other \
         user write its folder",
        path.display()
    )]
    Swapped {
        /// The file.
        path: PathBuf,
    },
    /// What is beside the file does not belong to it.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The linked SQLite is too old to be trusted.
    #[error("SQLite {version} can corrupt its write-ahead log; 3.51.3 or later is needed")]
    OldSqlite {
        /// The linked version.
        version: String,
    },
    /// A setting that durability depends on did not take.
    #[error(
        "the database {} runs with {setting}={actual}, but {expected} is needed to keep events safe",
        path.display()
    )]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// Its value.
        actual: String,
        /// The value that it must have.
        expected: &'static str,
    },
    /// A later version of ironstar has changed the schema.
    #[error(
        "the database {} has schema version {version}, which is newer than this ironstar knows; run a newer one",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The schema version that is not known.
        version: i64,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the schema of the database {} up to date", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: MigrateError,
    },
}

impl OpenError {
    /// What SQLite says of a file.
    pub(super) fn unusable(file: &DatabaseFile, source: sqlx::Error) -> Self {
        let path = file.path().to_owned();
        let Some(result_code) = code::result_code(&source) else {
            return Self::Unusable { path, source };
        };
        if is_unlockable(result_code) {
            return Self::Unlockable { path, source };
        }
        if let Some(cause) = cause_of(&path, result_code) {
            return Refusal::new(&path, cause, source).into();
        }
        match code::primary(result_code) {
            code::READONLY => Self::ReadOnly { path, source },
            code::NOTADB => Self::NotADatabase { path, source },
            _ => Self::Unusable { path, source },
        }
    }
}

/// Whether another program holds a lock, or locks do not work at all.
fn is_unlockable(result_code: i32) -> bool {
    matches!(code::primary(result_code), code::BUSY | code::PROTOCOL)
        || matches!(
            result_code,
            code::IOERR_RDLOCK
                | code::IOERR_CHECKRESERVEDLOCK
                | code::IOERR_LOCK
                | code::IOERR_SHMOPEN
                | code::IOERR_SHMLOCK
                | code::IOERR_SHMMAP
        )
}
