//! SQLite's result codes (<https://sqlite.org/rescode.html>).

use std::error::Error;

use sqlx::error::DatabaseError;

/// Primary result codes. Details are in the higher bytes.
pub(super) const BUSY: i32 = 5;
pub(super) const READONLY: i32 = 8;
pub(super) const IOERR: i32 = 10;
pub(super) const FULL: i32 = 13;
pub(super) const CANTOPEN: i32 = 14;
pub(super) const PROTOCOL: i32 = 15;
pub(super) const CONSTRAINT: i32 = 19;
pub(super) const NOTADB: i32 = 26;

/// Extended result codes for locks that do not work.
pub(super) const IOERR_RDLOCK: i32 = 2_314;
pub(super) const IOERR_CHECKRESERVEDLOCK: i32 = 3_594;
pub(super) const IOERR_LOCK: i32 = 3_850;
pub(super) const IOERR_SHMOPEN: i32 = 4_618;
pub(super) const IOERR_SHMLOCK: i32 = 5_130;
pub(super) const IOERR_SHMMAP: i32 = 5_386;

/// Returns the result code, with details, of the first error of SQLite in the chain of
/// causes.
pub(super) fn result_code(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // A transparent error does not show itself in the chain, but its cause.
        let database = error
            .downcast_ref::<Box<dyn DatabaseError>>()
            .map(|database| &**database)
            .or_else(|| error.downcast_ref::<sqlx::Error>()?.as_database_error());
        if let Some(database) = database {
            return database.code()?.parse().ok();
        }
        cause = error.source();
    }
    None
}

/// The primary code, without details.
pub(super) const fn primary(code: i32) -> i32 {
    code & 0xff
}

/// Returns true if another connection holds the necessary lock.
pub(super) fn is_locked(error: &(dyn Error + 'static)) -> bool {
    result_code(error).is_some_and(|code| primary(code) == BUSY)
}
