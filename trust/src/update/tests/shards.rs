//! Shards: each at its place, each key once in the whole domain.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::super::{
    Current, DocumentName, Held, Nothing, Offer, Taken, UpdateError, UpdateRejection, evaluate,
};
use super::{Agent, Bundle};
use crate::document::fixture::{entry, manifest, shards, signed_manifest};
use crate::document::{DeviceEntry, Digest, Document, Root, shard_of};
use crate::id::{DeviceId, RoleName};
use crate::key::KeyId;
use crate::words::Words;

/// Forty devices in eight shards.
fn fleet() -> Vec<DeviceEntry> {
    (0..40).map(|n| entry(&format!("d{n}"), 30 + n)).collect()
}

fn bundle(sequence: u64, entries: &[DeviceEntry]) -> Bundle {
    Bundle::of(1, sequence, entries, 8)
}

/// A device of another shard than the one of `device`, by its place in the fleet.
fn elsewhere(entries: &[DeviceEntry], device: usize) -> usize {
    let shard = |n: usize| shard_of(&entries[n].id, 8);
    (0..entries.len())
        .find(|n| shard(*n) != shard(device))
        .unwrap()
}

/// An id of a device that belongs into another shard than `shard`.
fn stray_id(count: u32, shard: u32) -> String {
    let ids = (0..).map(|n| format!("stray{n}"));
    let elsewhere = |id: &String| shard_of(&DeviceId::parse(id).unwrap(), count) != shard;
    ids.into_iter().find(elsewhere).unwrap()
}

#[test]
fn one_changed_device_brings_one_shard() {
    let mut entries = fleet();
    let before = bundle(1, &entries);
    let agent = Agent::with(&before);
    entries[3].reason = Some("stolen".into());
    entries[3].state = crate::registry::DeviceState::Revoked;
    let after = bundle(2, &entries);
    let changed = shard_of(&entries[3].id, 8);
    let at = changed as usize;
    let offer = Offer {
        roots: &[],
        manifest: Some(&after.manifest),
    };
    let mut evaluation = evaluate(agent.current(), offer, None).unwrap();
    let new = Digest::of(&after.shards[at]);
    assert_eq!(evaluation.lacking().collect::<Vec<_>>(), [(changed, new)]);
    for (index, octets) in after.shards.iter().enumerate() {
        let taken = evaluation.take_shard(octets, &agent).unwrap();
        assert_eq!(matches!(taken, Taken::New(_)), index == at);
    }
    // brought again it is not taken again
    let again = evaluation.take_shard(&after.shards[at], &agent).unwrap();
    assert!(matches!(again, Taken::Held));
    let update = evaluation.finish().unwrap();
    assert_eq!(update.new_shards, [(changed, new)]);
    assert_eq!(update.removed_shards, [Digest::of(&before.shards[at])]);
    assert!(!update.rebuild_index);
}

#[test]
fn a_bundle_may_leave_out_what_is_held_but_nothing_else() {
    let mut entries = fleet();
    let mut agent = Agent::with(&bundle(1, &entries));
    entries[3].roles.clear();
    let mut next = bundle(2, &entries);
    let at = shard_of(&entries[3].id, 8) as usize;
    next.shards = vec![next.shards.remove(at)];
    let missing = Bundle {
        shards: Vec::new(),
        ..next.clone()
    };
    assert_eq!(agent.apply(&missing), "shard-missing");
    let mut strange = next.clone();
    strange.shards.push(shards(&[], 1).remove(0));
    assert_eq!(agent.apply(&strange), "shard-hash");
    assert_eq!(agent.apply(&next), "applied");
    let (update, _) = agent.evaluate(&bundle(2, &entries).file(), None).unwrap();
    assert!(update.is_already_current());
}

#[test]
fn a_key_occurs_once_in_the_whole_domain() {
    let entries = fleet();
    let other = elsewhere(&entries, 0);
    let mut twice = entries.clone();
    twice[0].keys = twice[other].keys.clone();
    // in two new shards
    let first = bundle(1, &twice);
    let words = Words::of_root(&first.roots[0]);
    assert_eq!(
        Agent::default().apply_pinned(&first, Some(&words)),
        "duplicate-kid"
    );
    // in a new shard and an unchanged one
    let mut agent = Agent::with(&bundle(1, &entries));
    assert_eq!(agent.apply(&bundle(2, &twice)), "duplicate-kid");
    // in two changed shards: the key moves from one device to the other
    let mut moved = twice;
    moved[other].keys.clear();
    assert_eq!(agent.apply(&bundle(2, &moved)), "applied");
    let kid = moved[0].keys[0].key.id();
    assert_eq!(agent.index[&kid], moved[0].id);
    // within one shard: from one device to another
    let mate = (1..40).find(|n| shard_of(&entries[*n].id, 8) == shard_of(&entries[0].id, 8));
    let mate = mate.unwrap();
    moved[mate].keys = std::mem::take(&mut moved[0].keys);
    assert_eq!(agent.apply(&bundle(3, &moved)), "applied");
    assert_eq!(agent.index[&kid], moved[mate].id);
}

#[test]
fn a_shard_must_be_the_one_of_its_place() {
    let entries = fleet();
    let agent = Agent::with(&bundle(1, &entries));
    let mut swapped = bundle(2, &entries);
    swapped.shards.swap(2, 5);
    swapped.manifest = signed_manifest(&manifest(1, 2, &swapped.shards), &[11]);
    let Err(UpdateError::Rejected(why)) = agent.evaluate(&swapped.file(), None) else {
        panic!("accepted")
    };
    assert_eq!(why.code(), "shard-index");
    assert!(matches!(
        why,
        UpdateRejection::Document {
            document: DocumentName::Shard(2),
            ..
        }
    ));
    // a shard cut for another number of shards
    let mut cut = bundle(2, &entries);
    cut.shards[0] = shards(&[], 1).remove(0);
    cut.manifest = signed_manifest(&manifest(1, 2, &cut.shards), &[11]);
    assert_eq!(agent.clone().apply(&cut), "shard-index");
    // a device in a shard that its id does not hash into
    let mut misplaced = bundle(2, &entries);
    let stranger = stray_id(8, 0);
    let mine = fleet();
    let mine = mine.iter().find(|e| shard_of(&e.id, 8) == 0).unwrap();
    let only = shards(std::slice::from_ref(mine), 8).remove(0);
    let text = String::from_utf8(only).unwrap();
    misplaced.shards[0] = text.replace(mine.id.as_str(), &stranger).into_bytes();
    misplaced.manifest = signed_manifest(&manifest(1, 2, &misplaced.shards), &[11]);
    assert_eq!(agent.clone().apply(&misplaced), "shard-misplaced");
    let mut boss = entries;
    boss[0].roles = vec![RoleName::parse("boss").unwrap()];
    assert_eq!(agent.clone().apply(&bundle(2, &boss)), "unknown-role");
}

#[test]
fn another_number_of_shards_brings_all_of_them() {
    let entries = fleet();
    let eight = bundle(1, &entries);
    let mut agent = Agent::with(&eight);
    let more = Bundle::of(1, 2, &entries, 16);
    let (update, new) = agent.evaluate(&more.file(), None).unwrap();
    assert_eq!((update.new_shards.len(), new.len()), (16, 16));
    assert_eq!(update.removed_shards.len(), 8);
    agent.commit(update, new);
    assert_eq!(agent.apply(&Bundle::of(1, 3, &entries, 2)), "applied");
    assert_eq!(agent.index.len(), 40);
    let mut twice = entries;
    twice.push(entry(&stray_id(4, shard_of(&twice[0].id, 4)), 30));
    assert_eq!(agent.apply(&Bundle::of(1, 4, &twice, 4)), "duplicate-kid");
}

#[test]
fn shards_cut_for_another_number_are_not_taken_for_unchanged() {
    let entries = fleet();
    let old = bundle(1, &entries);
    let mut agent = Agent::with(&old);
    let mut mixed = Bundle::of(1, 2, &entries, 16);
    mixed.shards.splice(..8, old.shards);
    mixed.manifest = signed_manifest(&manifest(1, 2, &mixed.shards), &[11]);
    assert_eq!(agent.apply(&mixed), "shard-index");
    mixed.shards.drain(..8);
    assert_eq!(agent.apply(&mixed), "shard-missing");
}

#[test]
fn a_store_that_fails_is_no_rejection() {
    struct Broken;
    impl Held for Broken {
        type Error = &'static str;
        fn owner(&self, _: &KeyId) -> Result<Option<DeviceId>, &'static str> {
            Err("input/output error")
        }
    }
    let mut entries = fleet();
    let agent = Agent::with(&bundle(1, &entries));
    entries[3].roles.clear();
    let next = bundle(2, &entries);
    let offer = Offer {
        roots: &[],
        manifest: Some(&next.manifest),
    };
    let mut evaluation = evaluate(agent.current(), offer, None).unwrap();
    let changed = &next.shards[shard_of(&entries[3].id, 8) as usize];
    let why = evaluation.take_shard(changed, &Broken).unwrap_err();
    assert!(matches!(why, UpdateError::Store("input/output error")));
}

#[test]
fn a_first_bundle_needs_no_index() {
    let first = bundle(1, &fleet());
    let root = Document::<Root>::load(&first.roots[0]).unwrap();
    let current = Current {
        root: Some(&root),
        ..Current::default()
    };
    let offer = Offer {
        roots: &[],
        manifest: Some(&first.manifest),
    };
    let mut evaluation = evaluate(current, offer, None).unwrap();
    assert_eq!(evaluation.lacking().count(), 8);
    for octets in first.shards.iter().rev() {
        assert!(matches!(
            evaluation.take_shard(octets, &Nothing),
            Ok(Taken::New(_))
        ));
    }
    let update = evaluation.finish().unwrap();
    assert!(update.rebuild_index);
    assert_eq!(update.new_shards.len(), 8);
}
