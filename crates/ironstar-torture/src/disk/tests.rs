use std::path::Path;

use super::{Disk, Failure, Faults};

/// A disk with one empty file, which exists only in its state.
fn disk() -> (Disk, &'static Path) {
    let path = Path::new("file");
    let disk = Disk::new(1);
    disk.state
        .lock()
        .files
        .insert(path.to_owned(), super::Stored::default());
    (disk, path)
}

fn write(disk: &Disk, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    disk.write(path, 0, bytes, |_| true)
}

/// The contents of the file after each of many power cuts.
fn left(disk: &Disk) -> Vec<Vec<u8>> {
    (0..100)
        .flat_map(|_| disk.cut().files)
        .map(|(_, content)| content)
        .collect()
}

#[test]
fn synced_data_survives_a_power_cut() {
    let (disk, path) = disk();
    write(&disk, path, &[7; 2_000]).expect("written");
    disk.sync(path).expect("synced");
    assert!(left(&disk).iter().all(|content| *content == [7; 2_000]));
}

#[test]
fn any_part_of_unsynced_data_survives_a_power_cut() {
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
fn next_sync_does_not_repair_a_failed_one() {
    let (disk, path) = disk();
    let mut lost = false;
    for _ in 0..20 {
        write(&disk, path, &[7; 2_000]).expect("written");
        disk.fail(Faults {
            syncs: 1,
            ..Faults::default()
        });
        disk.sync(path).expect_err("the sync fails");
        disk.fail(Faults::default());
        disk.sync(path).expect("synced");
        lost |= left(&disk).iter().any(|content| *content != [7; 2_000]);
        disk.truncate(path, 0);
        disk.sync(path).expect("synced");
    }
    assert!(lost);
}

#[test]
fn full_disk_writes_a_part_at_most() {
    let (disk, path) = disk();
    disk.fail(Faults {
        is_full: true,
        ..Faults::default()
    });
    assert_eq!(write(&disk, path, &[7; 2_000]), Err(Failure::Full));
    assert!(left(&disk).iter().all(|content| content.len() < 2_000));
}
