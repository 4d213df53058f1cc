//! What a damaged row does.

use super::disk::Disk;
use super::{Index, Octets, Rows, Table};
use crate::document::{DeviceEntry, KeyEntry};
use crate::id::DeviceId;
use crate::key::{KeyId, SigningKey};
use crate::registry::{DeviceState, KeyState};
use crate::store::document_files::ShardFiles;
use crate::time::UnixTime;

fn rows(number: u8) -> (KeyId, Rows) {
    let key = SigningKey::from_seed(&[number; 32]).public().clone();
    let kid = key.id();
    let entry = DeviceEntry {
        id: DeviceId::parse(&format!("device-{number}")).unwrap(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![KeyEntry {
            key,
            state: KeyState::Active,
            not_before: UnixTime::default(),
            retired_at: None,
        }],
        roles: Vec::new(),
        groups: Vec::new(),
        serial: None,
    };
    let mut rows = Rows::default();
    rows.add(&entry.device(), &entry.peer_keys());
    (kid, rows)
}

#[test]
fn a_damaged_row_is_a_failure_and_the_others_are_still_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let disk = Disk::open(&path).unwrap();
    let (damaged, first) = rows(1);
    let (sound, second) = rows(2);
    for rows in [&first, &second] {
        for table in [Table::Keys, Table::Devices] {
            let changes = rows.of(table).iter();
            let changes = changes.map(|(key, value)| (key.clone(), Some(value.clone())));
            disk.change(table, changes.collect()).unwrap();
        }
    }
    let row = disk.get(Table::Keys, damaged.octets()).unwrap().unwrap();
    let cut = row.as_ref()[..20].to_vec();
    let change = (damaged.octets().to_vec(), Some(cut));
    disk.change(Table::Keys, vec![change]).unwrap();
    disk.commit(&super::fill::marker(&[0; 32], 2)).unwrap();
    drop(disk);

    let shards = ShardFiles::default();
    let (index, _) = Index::open(&path, Some(&[0; 32]), &shards).unwrap();
    assert_eq!(index.key(damaged).unwrap_err().code(), "store-index");
    assert!(index.key(sound).unwrap().is_some());
    let id = DeviceId::parse("device-1").unwrap();
    assert_eq!(index.devices(Some(&id), 9).unwrap().len(), 1);
}

#[test]
fn memory_and_disk_answer_alike() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(&dir.path().join("index")).unwrap();
    let mut memory = super::Memory::default();
    for number in 0..9 {
        let (_, rows) = rows(number);
        for table in [Table::Keys, Table::Devices] {
            let changes = rows.of(table).iter();
            let changes = changes.map(|(key, value)| (key.clone(), Some(value.clone())));
            disk.change(table, changes.collect()).unwrap();
        }
        memory.add(rows);
    }
    let plain = |rows: Vec<(Octets, Octets)>| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pairs = rows.iter();
        let pairs = pairs.map(|(key, value)| (key.as_ref().to_vec(), value.as_ref().to_vec()));
        pairs.collect()
    };
    for table in [Table::Keys, Table::Devices] {
        let all = plain(disk.page(table, None, 100).unwrap());
        assert_eq!(all.len(), 9);
        assert_eq!(plain(memory.page(table, None, 100)), all);
        let fourth = &all[3].0;
        assert_eq!(plain(disk.page(table, Some(fourth), 2).unwrap()), all[4..6]);
        assert_eq!(plain(memory.page(table, Some(fourth), 2)), all[4..6]);
        let found = memory.get(table, fourth).unwrap();
        assert_eq!(found.as_ref(), all[3].1);
    }
}
