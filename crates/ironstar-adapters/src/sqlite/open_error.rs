//! Errors of opening a database.

use std::io;
use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use super::code;
use super::link::WalError;
use super::path::DatabaseFile;
use super::recognition::APPLICATION_ID;
use super::refusal::{Refusal, cause_of};

/// The reasons for which a database is not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite cannot open or use the file.
    #[error("cannot open the database {}", path.display())]
    Unusable {
        /// The path of the file.
        path: PathBuf,
        /// The error of SQLite.
        source: sqlx::Error,
    },
    /// The folder for the file does not exist.
    #[error(
        "cannot make the database {}, as its folder does not exist; make the folder, or name another file",
        path.display()
    )]
    NoFolder {
        /// The path of the file.
        path: PathBuf,
    },
    /// The path leads to a folder.
    #[error("cannot open the database {}, as that is a folder; name a file in it", path.display())]
    Folder {
        /// The path of the folder.
        path: PathBuf,
    },
    /// The user of this process may not read or create the file.
    #[error(
        "this user may not open the database {}; let this user read and write the file and its folder, or name another file",
        path.display()
    )]
    Denied {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file does not hold a database.
    #[error(
        "the file {} is not a database, and was left as it is; name another file",
        path.display()
    )]
    NotADatabase {
        /// The path of the file.
        path: PathBuf,
        /// The error of SQLite.
        source: sqlx::Error,
    },
    /// The file or its folder is read-only.
    #[error(
        "cannot write to the database {}; make the file and its folder writable for this user",
        path.display()
    )]
    ReadOnly {
        /// The path of the file.
        path: PathBuf,
        /// The error of SQLite.
        source: sqlx::Error,
    },
    /// The file cannot be locked: another program holds the lock, or the file system has no
    /// locks.
    #[error(
        "cannot lock the database {}; stop the other program that has it locked, or, \
         if its file system has no working locks, move it to a local disk",
        path.display()
    )]
    Unlockable {
        /// The path of the file.
        path: PathBuf,
        /// The error of SQLite.
        source: sqlx::Error,
    },
    /// The file is a database of another application.
    #[error(
        "the file {path} is a database of another application, and was left as it is; name \
         another file, or, if it is a database of ironstar, mark it: sqlite3 '{path}' \
         \"PRAGMA application_id = {APPLICATION_ID}\"",
        path = path.display()
    )]
    Foreign {
        /// The path of the file.
        path: PathBuf,
    },
    /// The file comes from a dump that was not loaded completely.
    #[error(
        "the file {} was loaded from a dump, but lacks {missing}, and was left as it is; load \
         the whole dump, or restore a backup",
        path.display()
    )]
    Incomplete {
        /// The path of the file.
        path: PathBuf,
        /// The first missing object or data.
        missing: String,
    },
    /// The storage refuses SQLite's writes.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The path leads to something that is not a regular file.
    #[error("cannot open the database {}, as that is {kind}; name a file", path.display())]
    NotAFile {
        /// The path that was found.
        path: PathBuf,
        /// The kind of the object there.
        kind: &'static str,
    },
    /// The path leads through too many symbolic links.
    #[error(
        "cannot open the database {}, as too many symbolic links lead there; name the file itself",
        path.display()
    )]
    Links {
        /// The path at which the search ended.
        path: PathBuf,
    },
    /// The path or the name is too long for SQLite, which appends suffixes for the files
    /// beside it.
    #[error(
        "cannot open the database {}, as its name has more than 247 bytes or its path more than \
         504; choose a shorter one",
        path.display()
    )]
    TooLong {
        /// The path of the file.
        path: PathBuf,
    },
    /// The path is not valid UTF-8.
    #[error(
        "cannot open the database {}, as its path is not UTF-8; rename the folder or the file",
        path.display()
    )]
    NotUnicode {
        /// The path of the file.
        path: PathBuf,
    },
    /// A file has exactly this name, escapes included, and the file with the decoded name
    /// does not exist.
    #[error(
        "in a database URL, % begins an escape, but there is a file {}; write %25 for each % in \
         its name",
        _0.display()
    )]
    Escaped(PathBuf),
    /// The operating system cannot say which file is at the path.
    #[error("cannot find the database {}", path.display())]
    Unreadable {
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The file is not the file that was checked before.
    #[error(
        "the database {} was replaced while it was being opened; start again, and let no other \
         user write its folder",
        path.display()
    )]
    Swapped {
        /// The path of the file.
        path: PathBuf,
    },
    /// The write-ahead log beside the file does not belong to it.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The linked SQLite is too old to be trusted.
    #[error("SQLite {version} can corrupt its write-ahead log; 3.51.3 or later is needed")]
    OldSqlite {
        /// The version of the linked SQLite.
        version: String,
    },
    /// A setting on which durability depends has the wrong value.
    #[error(
        "the database {} runs with {setting}={actual}, but {expected} is needed to keep events safe",
        path.display()
    )]
    Unsafe {
        /// The path of the file.
        path: PathBuf,
        /// The name of the setting.
        setting: &'static str,
        /// The actual value.
        actual: String,
        /// The necessary value.
        expected: &'static str,
    },
    /// A later version of ironstar has changed the schema.
    #[error(
        "the database {} has schema version {version}, which is newer than this ironstar knows; run a newer ironstar",
        path.display()
    )]
    NewerSchema {
        /// The path of the file.
        path: PathBuf,
        /// The unknown schema version.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot bring the schema of the database {} up to date", path.display())]
    Migration {
        /// The path of the file.
        path: PathBuf,
        /// The error of the migration.
        source: MigrateError,
    },
}

impl OpenError {
    /// Converts an error of SQLite about a file.
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

/// Returns true if another program holds a lock, or if locks do not work at all.
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
