//! A damaged index, damaged documents, a later format.

use crate::domain::{Domain, devices};
use crate::place::*;
use edgeseal_trust::store::{IndexReport, Outcome, Store, StoreError};
use std::fs;
use std::path::Path;

type Damage = fn(&Path);

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
    let path = dir.path().join("trust/root/1.json");
    let good = fs::read(&path).unwrap();
    let flipped = (0..good.len()).step_by(11).map(|place| {
        let mut octets = good.clone();
        octets[place] ^= 1;
        octets
    });
    for damaged in flipped.chain([b"{".to_vec()]) {
        fs::write(&path, &damaged).unwrap();
        let (store, report) = open(dir.path());
        let text = String::from_utf8_lossy(&damaged);
        assert_eq!(report.damaged.len(), 1, "{text}");
        assert!(report.no_manifest.is_some() && store.trust().is_none());
        drop(store);
        Store::pin_first_root(dir.path(), domain.root(1)).unwrap();
        let (store, _) = open(dir.path());
        assert_eq!(sequence(&store), Some(1));
    }
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
