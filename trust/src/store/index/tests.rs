//! What a damaged row does, and how rows of every kind reach the database.

use super::disk::Disk;
use super::{Index, Rows, fill};
use crate::id::DeviceId;
use crate::key::{KeyId, SigningKey};
use crate::registry::{Device, DeviceState, KeyState, PeerKey};
use crate::store::document_files::ShardFiles;
use crate::time::UnixTime;
use std::sync::Arc;

fn key(number: u8) -> PeerKey {
    PeerKey {
        key: SigningKey::from_seed(&[number; 32]).public().clone(),
        state: KeyState::Active,
        not_before: UnixTime::default(),
        retired_at: None,
        device: Arc::new(Device {
            id: DeviceId::parse(&format!("device-{number}")).unwrap(),
            state: DeviceState::Active,
            roles: [].into(),
            groups: [].into(),
        }),
    }
}

fn write(disk: &Disk, number: u8) -> KeyId {
    let mut rows = Rows::default();
    rows.add(&key(number));
    let kid = key(number).key.id();
    for (kid, record) in rows.0 {
        disk.change((kid, Some(record))).unwrap();
    }
    kid
}

#[test]
fn a_damaged_row_is_a_failure_and_the_others_are_still_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let disk = Disk::open(&path).unwrap();
    let (damaged, sound) = (write(&disk, 1), write(&disk, 2));
    let record = disk.get(damaged).unwrap().unwrap();
    let cut = record.as_ref()[..20].to_vec();
    disk.change((damaged, Some(cut))).unwrap();
    disk.commit(&fill::marker(&[0; 32], 2)).unwrap();
    drop(disk);

    let shards = ShardFiles::default();
    let (index, _) = Index::open(&path, Some(&[0; 32]), &shards).unwrap();
    assert_eq!(index.key(damaged).unwrap_err().code(), "store-index");
    assert!(index.key(sound).unwrap().is_some());
}

#[test]
fn a_marker_of_another_manifest_version_or_length_does_not_fit() {
    let marker = fill::marker(&[3; 32], 77);
    assert_eq!(fill::read_marker(&marker, &[3; 32]), Some(77));
    assert_eq!(fill::read_marker(&marker, &[4; 32]), None);
    assert_eq!(fill::read_marker(&marker[..40], &[3; 32]), None);
    let mut later = marker;
    later[0] = 2;
    assert_eq!(fill::read_marker(&later, &[3; 32]), None);
}
