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

mod damage;
#[path = "../domain/mod.rs"]
mod domain;
mod place;
mod state;

use domain::{Domain, device, devices, key_entry, kid};
use edgeseal_trust::document::{DeviceEntry, shard_of};
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::store::{IndexReport, Outcome, Recovery, Store};
use edgeseal_trust::update::UpdateError;
use place::*;
use std::fs;

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
