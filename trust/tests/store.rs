//! The store over real files: what is applied is there after a restart, and what a kill, a power cut
//! or a bad card leaves is repaired or refused.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod domain;

use domain::{Domain, device, devices, key_entry, kid};
use edgeseal_trust::document::{DeviceEntry, shard_of};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::store::{
    Applied, IndexReport, OpenReport, Outcome, Recovery, Store, StoreError,
};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::update::UpdateError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

type Damage = fn(&Path);

fn open(dir: &Path) -> (Store, OpenReport) {
    Store::open(dir).unwrap()
}

fn apply(store: &Store, bundle: &[u8]) -> Applied {
    store.apply_bundle(bundle, None).unwrap()
}

fn refused(store: &Store, bundle: &[u8]) -> &'static str {
    match store.apply_bundle(bundle, None).unwrap_err() {
        UpdateError::Rejected(why) => why.code(),
        other => panic!("{other}"),
    }
}

/// A store in which the first root is pinned and one bundle applied.
fn begun(domain: &Domain, devices: &[DeviceEntry], shards: u32) -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let (store, report) = open(dir.path());
    assert_eq!(report.recovery, Recovery::Fresh);
    assert!(store.trust().is_none());
    let bundle = domain.bundle(1, shards, devices);
    let applied = store.apply_bundle(&bundle[..], Some(&domain.words()));
    assert_eq!(applied.unwrap().outcome, Outcome::Applied);
    (dir, store)
}

fn sequence(store: &Store) -> Option<u64> {
    store.trust().map(|trust| trust.sequence)
}

/// Every device by paging through the listing, with its keys as the index has them. A key that tests
/// make and the listing does not name must not be in the index.
fn listing(store: &Store) -> BTreeMap<String, String> {
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

fn expected(devices: &[DeviceEntry]) -> BTreeMap<String, String> {
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
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
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

fn copy_tree(from: &Path, to: &Path) {
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

fn copied(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_tree(dir, copy.path());
    copy
}

#[test]
fn the_store_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Store>();
}

#[test]
fn what_is_applied_is_there_after_a_restart() {
    let domain = Domain::new();
    let fleet = devices(0..10);
    let (dir, store) = begun(&domain, &fleet, 4);
    let look = |store: &Store| {
        assert_eq!(sequence(store), Some(1));
        assert_eq!(store.mark().unwrap().sequence, 1);
        assert_eq!(store.key_count(), 10);
        assert_eq!(listing(store), expected(&fleet));
        let key = store.key(kid(3)).unwrap().unwrap();
        assert_eq!(key.device.id.as_str(), "device-3");
        assert_eq!(key.device.roles[0].as_str(), "pump");
        assert!(store.key(kid(77)).unwrap().is_none());
        assert_eq!(store.roots().unwrap().len(), 1);
    };
    look(&store);
    let again = apply(&store, &domain.bundle(1, 4, &fleet));
    assert_eq!(again.outcome, Outcome::AlreadyCurrent);
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.recovery, Recovery::None);
    assert_eq!(report.index, IndexReport::Used { keys: 10 });
    assert_eq!((report.no_manifest, report.strays_removed), (None, 0));
    look(&store);
}

#[test]
fn without_words_no_first_root_is_accepted() {
    let domain = Domain::new();
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let bundle = domain.bundle(1, 1, &devices(0..2));
    assert_eq!(refused(&store, &bundle), "first-root-not-pinned");
    assert!(store.trust().is_none() && store.mark().is_none());
    // Another process pins it while this one runs.
    Store::pin_first_root(dir.path(), domain.root(1)).unwrap();
    assert_eq!(apply(&store, &bundle).outcome, Outcome::Applied);
    let again = Store::pin_first_root(dir.path(), domain.root(1)).unwrap_err();
    assert_eq!(again.code(), "store-root-pinned");
    let nonsense = Store::pin_first_root(dir.path(), b"{}").unwrap_err();
    assert_eq!(nonsense.code(), "store-document");
}

#[test]
fn every_kind_of_change_reaches_the_index() {
    let domain = Domain::new();
    let mut fleet = devices(0..40);
    let (dir, store) = begun(&domain, &fleet, 8);
    let mut sequence = 1;
    let mut step = |fleet: &[DeviceEntry], shards: u32| {
        sequence += 1;
        let applied = apply(&store, &domain.bundle(sequence, shards, fleet));
        assert!(
            matches!(applied.index, IndexReport::Used { .. }),
            "{applied:?}"
        );
        assert_eq!(listing(&store), expected(fleet), "sequence {sequence}");
        let keys: usize = fleet.iter().map(|device| device.keys.len()).sum();
        assert_eq!(store.key_count(), keys as u64);
        applied.changed_shards
    };
    store.key(kid(7)).unwrap().unwrap();
    fleet[7].state = DeviceState::Revoked;
    assert_eq!(step(&fleet, 8), 1);
    let revoked = store.key(kid(7)).unwrap().unwrap();
    assert_eq!(
        revoked.device.state,
        DeviceState::Revoked,
        "not the cached one"
    );

    fleet[3].keys.push(key_entry(1003));
    fleet[3].keys[0].state = KeyState::Retiring;
    step(&fleet, 8);
    fleet.remove(5);
    step(&fleet, 8);
    assert!(store.key(kid(5)).unwrap().is_none());
    // A key moves to a device in another shard: one before, one behind its own.
    let place = |fleet: &[DeviceEntry], n: usize| shard_of(&fleet[n].id, 8);
    for before in [true, false] {
        let other = (11..30).find(|n| {
            let (from, to) = (place(&fleet, 10), place(&fleet, *n));
            if before { to < from } else { to > from }
        });
        let other = other.expect("40 devices lie in all 8 shards");
        let moved = fleet[10].keys.remove(0);
        let kid = moved.key.id();
        fleet[other].keys.push(moved);
        step(&fleet, 8);
        let owner = store.key(kid).unwrap().unwrap();
        assert_eq!(owner.device.id, fleet[other].id);
        fleet[10].keys.push(key_entry(2000 + other as u64));
    }
    step(&fleet, 32);
    step(&fleet, 2);
    step(&[], 2);
    step(&fleet, 2);
    drop(store);
    let (store, report) = open(dir.path());
    assert!(matches!(report.index, IndexReport::Used { .. }));
    assert_eq!(listing(&store), expected(&fleet));
    // No shard is left that the manifest does not name.
    assert_eq!(
        fs::read_dir(dir.path().join("trust/shard"))
            .unwrap()
            .count(),
        2
    );
}

#[test]
fn a_refused_update_changes_nothing() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..10), 4);
    apply(&store, &domain.bundle(5, 4, &devices(0..11)));
    let before = snapshot(dir.path());
    assert_eq!(
        refused(&store, &domain.bundle(4, 4, &devices(0..12))),
        "rollback"
    );
    assert_eq!(
        refused(&store, &domain.bundle(5, 4, &devices(0..12))),
        "conflict"
    );
    let mut twice = devices(0..12);
    let elsewhere = |n: &u64| shard_of(&device(*n).id, 4) != shard_of(&device(11).id, 4);
    let other = (0..10)
        .find(elsewhere)
        .expect("10 devices lie in more than one shard");
    twice[11].keys = vec![key_entry(other)];
    assert_eq!(
        refused(&store, &domain.bundle(6, 4, &twice)),
        "duplicate-kid"
    );
    let cut = domain.bundle(6, 4, &devices(0..30));
    let cut = &cut[..cut.len() - 40];
    assert!(matches!(
        store.apply_bundle(cut, None),
        Err(UpdateError::Bundle(_))
    ));
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(sequence(&store), Some(5));
    assert_eq!(
        apply(&store, &domain.bundle(6, 4, &devices(0..12))).outcome,
        Outcome::Applied
    );
}

#[test]
fn a_new_root_judges_the_manifest_again() {
    let mut domain = Domain::new();
    let fleet = devices(0..3);
    let (dir, store) = begun(&domain, &fleet, 1);
    let old = domain.bundle(9, 1, &fleet);
    apply(&store, &old);
    domain.replace_registrar(77);
    let applied = apply(&store, &domain.bundle(1, 1, &fleet));
    assert_eq!((applied.root_version, applied.new_roots), (2, 1));
    assert_eq!(
        sequence(&store),
        Some(1),
        "under a new root the sequence may start anywhere"
    );
    assert_eq!(refused(&store, &old), "threshold");
    drop(store);
    let (store, report) = open(dir.path());
    assert_eq!(report.no_manifest, None);
    assert_eq!(store.roots().unwrap().len(), 2);
    drop(store);
    // The root arrived, its manifest did not: nobody vouches for the old one.
    domain.replace_registrar(78);
    fs::write(dir.path().join("trust/root/3.json"), domain.root(3)).unwrap();
    let (store, report) = open(dir.path());
    assert!(report.no_manifest.is_some());
    assert!(store.trust().is_none());
    assert_eq!(
        apply(&store, &domain.bundle(1, 1, &fleet)).no_manifest,
        None
    );
    assert_eq!(sequence(&store), Some(1));
}

#[test]
fn a_kill_between_any_two_steps_leaves_the_old_or_the_new_manifest() {
    let domain = Domain::new();
    let (before, store) = begun(&domain, &devices(0..10), 4);
    drop(store);
    let after = copied(before.path());
    let next = domain.bundle(2, 4, &devices(1..12));
    let (store, _) = open(after.path());
    apply(&store, &next);
    drop(store);

    // Steps done in order: shards, prepared manifest, mark, manifest, index, removal of old shards.
    for steps in 0..=5 {
        let dir = copied(before.path());
        let take = |name: &str| {
            let _ = fs::remove_dir_all(dir.path().join(name));
            let from = after.path().join(name);
            if from.is_dir() {
                copy_tree(&from, &dir.path().join(name));
            } else {
                fs::copy(&from, dir.path().join(name)).unwrap();
            }
        };
        copy_tree(
            &after.path().join("trust/shard"),
            &dir.path().join("trust/shard"),
        );
        fs::write(dir.path().join("trust/shard/00.json.tmp"), "half a shard").unwrap();
        let manifest = fs::read(after.path().join("trust/manifest.json")).unwrap();
        if steps >= 1 {
            fs::write(dir.path().join("trust/manifest.json.tmp"), &manifest).unwrap();
        }
        if steps >= 2 {
            take("state.0");
            take("state.1");
        }
        if steps >= 3 {
            fs::remove_file(dir.path().join("trust/manifest.json.tmp")).unwrap();
            take("trust/manifest.json");
        }
        if steps >= 4 {
            take("index");
        }
        let (store, report) = open(dir.path());
        let manifest_is_new = steps >= 3;
        assert_eq!(report.recovery, Recovery::None, "{steps}");
        assert_eq!(
            sequence(&store),
            Some(if manifest_is_new { 2 } else { 1 }),
            "{steps}"
        );
        assert_eq!(
            store.mark().unwrap().sequence,
            if steps >= 2 { 2 } else { 1 }
        );
        let rebuilt = matches!(report.index, IndexReport::Rebuilt { .. });
        assert_eq!(rebuilt, steps == 3, "{steps} {report:?}");
        assert!(report.strays_removed > 0);
        if steps >= 2 {
            let other = domain.bundle(2, 4, &devices(1..13));
            assert_eq!(refused(&store, &other), "conflict", "the mark holds");
        }
        let applied = apply(&store, &next);
        assert_eq!(
            applied.outcome == Outcome::AlreadyCurrent,
            manifest_is_new,
            "{steps}"
        );
        assert_eq!(listing(&store), expected(&devices(1..12)), "{steps}");
        assert_eq!(
            fs::read_dir(dir.path().join("trust/shard"))
                .unwrap()
                .count(),
            4
        );
    }
}

#[test]
fn a_broken_index_is_set_aside_and_rebuilt() {
    let domain = Domain::new();
    let fleet = devices(0..20);
    let (dir, store) = begun(&domain, &fleet, 4);
    drop(store);
    let index = dir.path().join("index");
    let break_it: [(&str, Damage); 4] = [
        ("gone", |index| fs::remove_dir_all(index).unwrap()),
        ("garbage", |index| {
            fs::write(index.join("db"), [0x5a; 9000]).unwrap()
        }),
        ("empty", |index| fs::write(index.join("db"), "").unwrap()),
        ("a file", |index| {
            fs::remove_dir_all(index).unwrap();
            fs::write(index, "no directory").unwrap();
        }),
    ];
    for (how, damage) in break_it {
        damage(&index);
        let (store, report) = open(dir.path());
        assert!(
            matches!(report.index, IndexReport::Rebuilt { keys: 20, .. }),
            "{how}: {report:?}"
        );
        assert_eq!(listing(&store), expected(&fleet), "{how}");
        drop(store);
        let names = fs::read_dir(dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let aside = names
            .filter(|name| name.starts_with("index.broken-"))
            .count();
        assert!(aside <= 1, "{how}");
    }
    // What a kill during a snapshot leaves costs no rebuild.
    fs::write(index.join("snap.0000000000000000.generating"), "").unwrap();
    let (_, report) = open(dir.path());
    assert_eq!(report.index, IndexReport::Used { keys: 20 });
}

#[test]
fn no_flipped_octet_of_the_index_gets_through() {
    let domain = Domain::new();
    let fleet = devices(0..20);
    let (dir, store) = begun(&domain, &fleet, 1);
    drop(store);
    let db = fs::read(dir.path().join("index/db")).unwrap();
    let written = db.iter().rposition(|octet| *octet != 0).unwrap();
    for step in 0..60 {
        let copy = copied(dir.path());
        let mut damaged = db.clone();
        let place = step * written / 60;
        damaged[place] ^= 0x10;
        fs::write(copy.path().join("index/db"), &damaged).unwrap();
        // Snapshots would hide the damage.
        for entry in fs::read_dir(copy.path().join("index")).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains("snap.") {
                fs::remove_file(path).unwrap();
            }
        }
        let (store, report) = open(copy.path());
        assert_eq!(listing(&store), expected(&fleet), "{place} {report:?}");
    }
}

#[test]
fn damaged_documents_are_told_and_a_new_bundle_repairs_them() {
    let domain = Domain::new();
    let fleet = devices(0..20);
    let bundle = domain.bundle(1, 4, &fleet);
    let (pristine, store) = begun(&domain, &fleet, 4);
    drop(store);
    let shard = || {
        let mut shards = fs::read_dir(pristine.path().join("trust/shard")).unwrap();
        let name = shards.next().unwrap().unwrap().file_name();
        Path::new("trust/shard").join(name)
    };
    for (name, remove, with_index) in [
        (shard(), true, true),
        (shard(), true, false),
        (shard(), false, false),
        ("trust/manifest.json".into(), false, true),
        ("trust/manifest.json".into(), true, true),
    ] {
        let dir = copied(pristine.path());
        let path = dir.path().join(&name);
        match remove {
            true => fs::remove_file(&path).unwrap(),
            false => fs::write(&path, "{}").unwrap(),
        }
        if !with_index {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        let (store, report) = open(dir.path());
        assert!(report.no_manifest.is_some(), "{name:?}");
        assert!(store.trust().is_none(), "{name:?}");
        assert_eq!(store.mark().unwrap().sequence, 1);
        let older = domain.bundle(1, 4, &devices(0..3));
        assert_eq!(refused(&store, &older), "conflict", "{name:?}");
        let applied = apply(&store, &bundle);
        assert_eq!(applied.outcome, Outcome::Applied, "{name:?}");
        assert_eq!(listing(&store), expected(&fleet), "{name:?}");
        drop(store);
        let (store, report) = open(dir.path());
        assert_eq!(
            (report.no_manifest, report.damaged),
            (None, vec![]),
            "{name:?}"
        );
        assert_eq!(sequence(&store), Some(1));
    }
}

#[test]
fn a_damaged_only_root_can_be_pinned_again() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..2), 1);
    drop(store);
    fs::write(dir.path().join("trust/root/1.json"), "{").unwrap();
    let (store, report) = open(dir.path());
    assert_eq!(report.damaged.len(), 1);
    assert!(report.no_manifest.is_some() && store.trust().is_none());
    drop(store);
    Store::pin_first_root(dir.path(), domain.root(1)).unwrap();
    let (store, _) = open(dir.path());
    assert_eq!(sequence(&store), Some(1));
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..2), 1);
    drop(store);
    let path = dir.path().join("trust/manifest.json");
    let later = r#"{"payload":"eyJmb3JtYXQiOjJ9","signatures":[]}"#;
    fs::write(&path, later).unwrap();
    let before = snapshot(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert!(
        matches!(error, StoreError::UnknownFormat { found: 2, .. }),
        "{error}"
    );
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn epochs_go_up_by_one_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    for start in 1..4 {
        let (store, _) = open(dir.path());
        assert_eq!(store.next_epoch().unwrap(), 2 * start - 1);
        assert_eq!(store.next_epoch().unwrap(), 2 * start);
    }
    let torn = dir.path().join("state.0");
    let bytes = fs::read(&torn).unwrap();
    fs::write(&torn, &bytes[..60]).unwrap();
    let (store, report) = open(dir.path());
    assert!(matches!(report.recovery, Recovery::OlderGeneration { .. }));
    assert!(store.next_epoch().unwrap() > 1000);
}

#[test]
fn lost_state_verifies_after_a_bundle_and_signs_after_a_reset() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..2), 1);
    store.next_epoch().unwrap();
    drop(store);
    for name in ["state.0", "state.1"] {
        fs::write(dir.path().join(name), "torn").unwrap();
    }
    let (store, report) = open(dir.path());
    assert!(matches!(report.recovery, Recovery::Lost { .. }));
    assert!(store.is_state_lost() && store.trust().is_none());
    assert_eq!(store.next_epoch().unwrap_err().code(), "store-state-lost");
    store
        .note_time(UnixTime::from_seconds(1_800_000_000))
        .unwrap();
    drop(store);
    let (store, _) = open(dir.path());
    assert!(
        store.trust().is_none(),
        "a written state does not end the loss"
    );
    let older = domain.bundle(1, 1, &devices(0..1));
    assert_eq!(
        refused(&store, &older),
        "conflict",
        "the stored manifest bounds the mark"
    );
    apply(&store, &domain.bundle(1, 1, &devices(0..2)));
    assert_eq!(sequence(&store), Some(1));
    drop(store);
    let (store, _) = open(dir.path());
    assert_eq!(sequence(&store), Some(1));
    assert_eq!(store.next_epoch().unwrap_err().code(), "store-state-lost");
    store.identity_was_reset().unwrap();
    assert_eq!(store.next_epoch().unwrap(), 1);
}

#[test]
fn an_identity_without_state_is_a_loss_but_a_prepared_directory_is_not() {
    let lost = tempfile::tempdir().unwrap();
    fs::write(lost.path().join("identity.pem"), "key").unwrap();
    assert!(matches!(
        open(lost.path()).1.recovery,
        Recovery::Lost { .. }
    ));

    let prepared = tempfile::tempdir().unwrap();
    Store::prepare(prepared.path()).unwrap();
    fs::write(prepared.path().join("identity.pem"), "key").unwrap();
    let (store, report) = open(prepared.path());
    assert_eq!(report.recovery, Recovery::None);
    assert_eq!(store.next_epoch().unwrap(), 1);
}

#[test]
fn time_is_noted_once_an_hour_and_when_it_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let noted = |seconds| {
        store.note_time(UnixTime::from_seconds(seconds)).unwrap();
        store.noted_time().seconds()
    };
    assert_eq!(noted(1_800_000_000), 1_800_000_000);
    assert_eq!(noted(1_800_003_599), 1_800_000_000);
    assert_eq!(noted(1_800_003_600), 1_800_003_600);
    assert_eq!(noted(1_700_000_000), 1_700_000_000);
    drop(store);
    assert_eq!(open(dir.path()).0.noted_time().seconds(), 1_700_000_000);
}

#[test]
fn looking_up_writes_nothing() {
    let domain = Domain::new();
    let (dir, store) = begun(&domain, &devices(0..50), 4);
    let before = snapshot(dir.path());
    for number in 0..50 {
        store.key(kid(number)).unwrap().unwrap();
    }
    listing(&store);
    apply(&store, &domain.bundle(1, 4, &devices(0..50)));
    assert_eq!(snapshot(dir.path()), before);
}

#[test]
fn a_second_process_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path());
    let error = Store::open(dir.path()).unwrap_err();
    assert_eq!(error.code(), "store-in-use");
}
