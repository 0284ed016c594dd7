//! SQLite's file system, with simulated disks for some of its folders.
//!
//! It is a shim in front of the default file system of SQLite
//! (<https://sqlite.org/vfs.html>). It passes all calls on, but reports writes to a simulated
//! disk, which can let them fail. Once installed, it serves all connections of the process.
//! Folders without a simulated disk are not affected.

#![expect(unsafe_code, reason = "SQLite calls its file system through pointers")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::slice;
use std::sync::{Arc, OnceLock};

use libsqlite3_sys as ffi;
use parking_lot::{Mutex, MutexGuard};

use crate::disk::{Disk, Failure};

/// The kinds of files that hold durable data.
const DURABLE: c_int =
    ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;

/// The disks, each with the folder that it is mounted at.
static DISKS: Mutex<Vec<(PathBuf, Arc<Disk>)>> = Mutex::new(Vec::new());

/// The file system that all calls are passed on to.
static REAL: OnceLock<Real> = OnceLock::new();

struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite's own file system is registered for as long as the process lives, and SQLite
// itself calls it from any thread.
unsafe impl Send for Real {}
// SAFETY: as above; the code changes nothing through the pointer.
unsafe impl Sync for Real {}

/// The error if no disk can be mounted.
#[derive(Debug, thiserror::Error)]
#[error("SQLite refuses the simulated file system (code {0})")]
pub(crate) struct InstallError(c_int);

/// A mounted disk. Dropping it unmounts the disk.
#[derive(Debug)]
pub(crate) struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// Mounts a disk at a folder. Files that are opened there afterwards are on the disk.
    ///
    /// # Errors
    ///
    /// SQLite refuses the file system.
    pub(crate) fn new(folder: &Path, disk: Arc<Disk>) -> Result<Self, InstallError> {
        install()?;
        let folder = folder.to_owned();
        disks().push((folder.clone(), disk));
        Ok(Self { folder })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        disks().retain(|(folder, _)| *folder != self.folder);
    }
}

fn disks() -> MutexGuard<'static, Vec<(PathBuf, Arc<Disk>)>> {
    DISKS.lock()
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    let disks = disks();
    let (_, disk) = disks.iter().find(|(folder, _)| path.starts_with(folder))?;
    Some(Arc::clone(disk))
}

/// Makes this file system the default, once.
fn install() -> Result<(), InstallError> {
    static INSTALLED: OnceLock<c_int> = OnceLock::new();
    let code = *INSTALLED.get_or_init(|| {
        // SAFETY: a null name asks for the default file system, whose struct is valid for
        // ever. The copy is leaked, so it is valid for ever, too. The functions that it does
        // not replace accept any file system.
        unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            if real.is_null() {
                return ffi::SQLITE_ERROR;
            }
            let mut shim = *real;
            shim.pNext = ptr::null_mut();
            shim.zName = c"ironstar-disk".as_ptr();
            shim.szOsFile += size_of::<Shim>() as c_int;
            shim.xOpen = Some(open);
            shim.xDelete = Some(delete);
            REAL.get_or_init(|| Real(real));
            ffi::sqlite3_vfs_register(Box::leak(Box::new(shim)), 1)
        }
    });
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(InstallError(code)),
    }
}

/// An open file. The real file follows directly in memory.
#[repr(C)]
struct Shim {
    base: ffi::sqlite3_file,
    /// Null if the file is not on a simulated disk.
    tracked: *mut Tracked,
}

struct Tracked {
    disk: Arc<Disk>,
    path: PathBuf,
}

impl Tracked {
    /// Converts a failure to a result code of SQLite.
    fn code(outcome: Result<(), Failure>, when_broken: c_int) -> c_int {
        match outcome {
            Ok(()) => ffi::SQLITE_OK,
            Err(Failure::Full) => ffi::SQLITE_FULL,
            Err(Failure::Broken) => when_broken,
        }
    }
}

fn real() -> *mut ffi::sqlite3_vfs {
    REAL.get()
        .expect("the real file system is set before the shim")
        .0
}

/// Returns the real file behind a shim.
///
/// # Safety
///
/// `file` is a pointer that [`open`] was given.
unsafe fn inner(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite allocates `szOsFile` bytes, which is room for both.
    unsafe { file.cast::<Shim>().add(1).cast() }
}

/// Returns the simulated disk of a file, if there is one.
///
/// # Safety
///
/// `file` is a pointer that [`open`] has opened, and is not closed meanwhile.
unsafe fn tracked<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Tracked> {
    // SAFETY: the pointer is null, or comes from a box that lives until the file is closed.
    unsafe { (*file.cast::<Shim>()).tracked.as_ref() }
}

/// Calls a method of the real file.
macro_rules! real_method {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let inner = inner($file);
        let method = (*(*inner).pMethods).$method.expect("the real file has this method");
        method(inner $(, $argument)*)
    }};
}

/// Defines a method that only passes the call on.
macro_rules! passed_on {
    ($name:ident, $method:ident $(, $argument:ident: $type:ty)*) => {
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> c_int {
            // SAFETY: SQLite calls this on open files, as the real file system expects.
            unsafe { real_method!(file, $method $(, $argument)*) }
        }
    };
}

passed_on!(read, xRead, to: *mut c_void, amount: c_int, offset: i64);
passed_on!(file_size, xFileSize, size: *mut i64);
passed_on!(unlock, xUnlock, level: c_int);
passed_on!(check_reserved_lock, xCheckReservedLock, out: *mut c_int);
passed_on!(file_control, xFileControl, operation: c_int, argument: *mut c_void);
passed_on!(sector_size, xSectorSize);
passed_on!(device_characteristics, xDeviceCharacteristics);
passed_on!(shm_map, xShmMap, region: c_int, size: c_int, extend: c_int, out: *mut *mut c_void);
passed_on!(shm_lock, xShmLock, offset: c_int, amount: c_int, flags: c_int);
passed_on!(shm_unmap, xShmUnmap, delete: c_int);

/// Version 2: without mapping the file into memory, because the disk would not see such
/// writes.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    // SAFETY: SQLite calls this on open files, as the real file system expects.
    unsafe { real_method!(file, xShmBarrier) }
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives memory of `szOsFile` bytes, which no other code uses yet, and a
    // name that is null or ends in a zero.
    unsafe {
        let shim = file.cast::<Shim>();
        (*shim).base.pMethods = ptr::null();
        (*shim).tracked = ptr::null_mut();
        let real_open = (*real()).xOpen.expect("a file system opens files");
        let code = real_open(real(), name, inner(file), flags, out_flags);
        if code != ffi::SQLITE_OK {
            return code;
        }
        (*shim).base.pMethods = &raw const METHODS;
        if let Some(path) = path_of(name)
            && flags & DURABLE != 0
            && let Some(disk) = disk_of(path)
            && disk.open(path).is_ok()
        {
            let path = path.to_owned();
            (*shim).tracked = Box::into_raw(Box::new(Tracked { disk, path }));
        }
        ffi::SQLITE_OK
    }
}

/// # Safety
///
/// `name` is null, or valid and ends in a zero.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the name ends in a zero.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: the name is SQLite's, and ends in a zero.
    unsafe {
        let real_delete = (*real()).xDelete.expect("a file system deletes files");
        let code = real_delete(real(), name, sync_folder);
        if code == ffi::SQLITE_OK
            && let Some(path) = path_of(name)
            && let Some(disk) = disk_of(path)
        {
            disk.delete(path);
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once. The box was made when the file was opened.
    unsafe {
        let shim = file.cast::<Shim>();
        if !(*shim).tracked.is_null() {
            drop(Box::from_raw((*shim).tracked));
            (*shim).tracked = ptr::null_mut();
        }
        real_method!(file, xClose)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite gives an open file, and this many bytes.
    unsafe {
        let Some(tracked) = tracked(file) else {
            return real_method!(file, xWrite, from, amount, offset);
        };
        let bytes = slice::from_raw_parts(from.cast::<u8>(), size(i64::from(amount)));
        let mut code = ffi::SQLITE_OK;
        let pass_on = |bytes: &[u8]| {
            let amount = bytes.len() as c_int;
            code = real_method!(file, xWrite, bytes.as_ptr().cast(), amount, offset);
            code == ffi::SQLITE_OK
        };
        let outcome = tracked
            .disk
            .write(&tracked.path, size(offset), bytes, pass_on);
        if code != ffi::SQLITE_OK {
            return code;
        }
        Tracked::code(outcome, ffi::SQLITE_IOERR_WRITE)
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe {
        match tracked(file) {
            Some(tracked) if !tracked.disk.locks() => ffi::SQLITE_IOERR_LOCK,
            _ => real_method!(file, xLock, level),
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: i64) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe {
        let code = real_method!(file, xTruncate, length);
        if code == ffi::SQLITE_OK
            && let Some(tracked) = tracked(file)
        {
            tracked.disk.truncate(&tracked.path, size(length));
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    unsafe {
        match tracked(file) {
            // The sync goes to the simulated disk only.
            Some(tracked) => {
                let outcome = tracked.disk.sync(&tracked.path);
                Tracked::code(outcome, ffi::SQLITE_IOERR_FSYNC)
            }
            None => real_method!(file, xSync, flags),
        }
    }
}

/// Converts a size or an offset, which SQLite never makes negative.
fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests;
