use std::path::Path;

use super::{Disk, Failure, Faults};

/// A disk with one empty file, which does not exist anywhere else.
fn disk() -> (Disk, &'static Path) {
    let path = Path::new("file");
    let disk = Disk::new(1);
    disk.state()
        .files
        .insert(path.to_owned(), super::Stored::default());
    (disk, path)
}

fn write(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    disk.write(path, 0, bytes, |_| true)
}

/// What is left after each of many power cuts.
fn left(disk: &Disk) -> Vec<Vec<u8>> {
    (0..100)
        .flat_map(|_| disk.cut().files)
        .map(|(_, content)| content)
        .collect()
}

#[test]
fn what_was_synced_is_left() {
    let (disk, path) = disk();
    write(&disk, path, &[7; 2_000]).expect("written");
    disk.sync(path).expect("synced");
    assert!(left(&disk).iter().all(|content| *content == [7; 2_000]));
}

#[test]
fn of_what_was_not_any_part_is() {
    let (disk, path) = disk();
    write(&disk, path, &[7; 2_000]).expect("written");
    let left = left(&disk);
    assert!(left.iter().any(Vec::is_empty), "nothing");
    assert!(left.iter().any(|content| *content == [7; 2_000]), "all");
    let torn = left
        .iter()
        .any(|content| content.len() == 2_000 && content[..512] == [0; 512]);
    assert!(torn, "some sectors");
}

#[test]
fn a_sync_that_failed_is_not_made_up_for_by_the_next() {
    let (disk, path) = disk();
    let mut lost = false;
    for _ in 0..20 {
        write(&disk, path, &[7; 2_000]).expect("written");
        disk.fail(Faults {
            syncs: 1,
            ..Faults::default()
        });
        disk.sync(path).expect_err("it fails");
        disk.fail(Faults::default());
        disk.sync(path).expect("synced");
        lost |= left(&disk).iter().any(|content| *content != [7; 2_000]);
        disk.truncate(path, 0);
        disk.sync(path).expect("synced");
    }
    assert!(lost);
}

#[test]
fn a_full_disk_takes_a_part_at_most() {
    let (disk, path) = disk();
    disk.fail(Faults {
        is_full: true,
        ..Faults::default()
    });
    assert_eq!(write(&disk, path, &[7; 2_000]), Err(Failure::Full));
    assert!(left(&disk).iter().all(|content| content.len() < 2_000));
}
