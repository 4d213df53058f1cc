//! Stores on directories of their own, and what is in them.

use crate::domain::{Domain, kid};
use edgeseal_trust::document::DeviceEntry;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::store::{Applied, OpenReport, Outcome, Recovery, Store};
use edgeseal_trust::update::UpdateError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) fn open(dir: &Path) -> (Store, OpenReport) {
    Store::open(dir).unwrap()
}

pub(crate) fn apply(store: &Store, bundle: &[u8]) -> Applied {
    store.apply_bundle(bundle, None).unwrap()
}

pub(crate) fn refused(store: &Store, bundle: &[u8]) -> &'static str {
    match store.apply_bundle(bundle, None).unwrap_err() {
        UpdateError::Rejected(why) => why.code(),
        other => panic!("{other}"),
    }
}

/// A store in which the first root is pinned and one bundle applied.
pub(crate) fn begun(domain: &Domain, devices: &[DeviceEntry], shards: u32) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert_eq!(report.recovery, Recovery::Fresh);
    assert!(store.trust().is_none());
    let bundle = domain.bundle(1, shards, devices);
    let applied = store.apply_bundle(&bundle[..], Some(&domain.words()));
    assert_eq!(applied.unwrap().outcome, Outcome::Applied);
    (dir, store)
}

pub(crate) fn sequence(store: &Store) -> Option<u64> {
    store.trust().map(|trust| trust.sequence)
}

/// Every device by paging through the listing, with its keys as the index has them. A key that tests
/// make and the listing does not name must not be in the index.
pub(crate) fn listing(store: &Store) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut kids = BTreeSet::new();
    let mut after: Option<DeviceId> = None;
    loop {
        let page = store.peers(after.as_ref(), 3).unwrap();
        for peer in page.peers {
            let keys = peer.keys.iter().map(|key| {
                kids.insert(key.key.id());
                let indexed = store.key(key.key.id()).unwrap().expect("indexed");
                assert_eq!(*indexed.device, peer.device);
                format!("{:?} {:?}", indexed.key.id(), indexed.state)
            });
            let keys = keys.collect::<Vec<_>>().join(",");
            assert!(found.insert(peer.device.id.to_string(), keys).is_none());
        }
        after = match page.next {
            Some(next) => Some(next),
            None => break,
        };
    }
    for number in (0..50).chain(1003..1004).chain(2010..2030) {
        let indexed = store.key(kid(number)).unwrap().is_some();
        assert_eq!(indexed, kids.contains(&kid(number)), "{number}");
    }
    found
}

pub(crate) fn expected(devices: &[DeviceEntry]) -> BTreeMap<String, String> {
    let keys = |device: &DeviceEntry| {
        let keys = device.keys.iter();
        let keys: Vec<String> = keys
            .map(|key| format!("{:?} {:?}", key.key.id(), key.state))
            .collect();
        keys.join(",")
    };
    let entries = devices.iter();
    entries.map(|d| (d.id.to_string(), keys(d))).collect()
}

/// Every file below `dir` with its content.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

pub(crate) fn copied(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    copy
}
