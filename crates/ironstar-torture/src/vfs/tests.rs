use std::sync::Arc;

use ironstar_adapters::sqlite::{OpenError, SqliteDatabase};
use tempfile::TempDir;

use super::Mount;
use crate::disk::{Disk, Faults};

#[tokio::test]
async fn file_system_without_locks_is_refused_with_advice() {
    let folder = TempDir::new().expect("a folder");
    let disk = Arc::new(Disk::new(1));
    let _mount = Mount::new(folder.path(), Arc::clone(&disk)).expect("mounted");
    disk.fail(Faults {
        has_no_locks: true,
        ..Faults::default()
    });
    let url = folder.path().join("ironstar.db").into();
    let error = SqliteDatabase::open(&url).await.expect_err("refused");
    assert!(matches!(error, OpenError::Unlockable { .. }), "{error:?}");
    assert!(
        error.to_string().ends_with("move it to a local disk"),
        "{error}"
    );
}
