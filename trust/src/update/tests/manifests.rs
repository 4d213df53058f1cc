//! The order of manifests.

#![allow(clippy::arithmetic_side_effects)]

use super::super::{InForce, Mark};
use super::{Agent, Bundle};
use crate::document::fixture::{
    authority, entry, manifest, root, shards, signed_manifest, signed_root,
};
use crate::document::{Manifest, Root};
use crate::id::TrustDomain;
use crate::time::UnixTime;

fn agent() -> Agent {
    Agent::with(&Bundle::first(7, &[entry("pump-1", 21)]))
}

fn place(agent: &Agent) -> (u64, u64) {
    let Mark {
        root_version,
        sequence,
        ..
    } = agent.mark.unwrap();
    (root_version, sequence)
}

#[test]
fn manifests_go_forward_only() {
    let mut agent = agent();
    let entries = [entry("pump-1", 21)];
    assert_eq!(agent.apply(&Bundle::first(7, &entries)), "already current");
    assert_eq!(agent.apply(&Bundle::first(7, &[])), "conflict");
    assert_eq!(agent.apply(&Bundle::first(6, &entries)), "rollback");
    assert_eq!(agent.apply(&Bundle::first(1, &[])), "rollback");
    assert_eq!(place(&agent), (1, 7));
    assert_eq!(agent.apply(&Bundle::first(8, &[])), "applied");
    assert_eq!(agent.apply(&Bundle::first(7, &entries)), "rollback");
    assert_eq!(agent.apply(&Bundle::first(u64::MAX, &entries)), "applied");
    assert_eq!(place(&agent), (1, u64::MAX));
}

#[test]
fn who_signed_is_no_difference_between_manifests() {
    let mut agent = agent();
    let mut bundle = Bundle::first(7, &[entry("pump-1", 21)]);
    for signers in [&[12][..], &[11, 12], &[11, 99], &[99]] {
        bundle.manifest = signed_manifest(&manifest(1, 7, &bundle.shards), signers);
        assert_eq!(agent.apply(&bundle), "already current");
    }
}

#[test]
fn a_new_root_frees_a_fleet_from_a_sequence_that_a_thief_drove_up() {
    let mut agent = agent();
    assert_eq!(agent.apply(&Bundle::first(u64::MAX, &[])), "applied");
    let without_thief = Root {
        registrar: authority(1, &[13]),
        ..root(2)
    };
    let mut bundle = Bundle::of(2, 1, &[entry("pump-1", 21)], 1);
    bundle.roots.push(signed_root(&without_thief, &[1, 2]));
    bundle.manifest = signed_manifest(&manifest(2, 1, &bundle.shards), &[13]);
    assert_eq!(agent.apply(&bundle), "applied");
    assert_eq!(place(&agent), (2, 1));
    // neither the old manifests nor the thief's key come back
    assert_eq!(agent.apply(&Bundle::first(u64::MAX, &[])), "threshold");
    let shards = shards(&[], 1);
    bundle.shards = shards;
    bundle.manifest = signed_manifest(&manifest(1, u64::MAX, &bundle.shards), &[13]);
    assert_eq!(agent.apply(&bundle), "rollback");
}

#[test]
fn a_new_manifest_names_the_newest_root() {
    let mut agent = agent();
    assert_eq!(
        agent.apply(&Bundle::of(2, 1, &[], 1)),
        "manifest-root-version"
    );
    assert!(
        agent
            .apply_roots(&[&signed_root(&root(2), &[1, 2])])
            .is_ok()
    );
    assert_eq!(agent.apply(&Bundle::first(8, &[])), "manifest-root-version");
    assert_eq!(
        agent.apply(&Bundle::of(3, 1, &[], 1)),
        "manifest-root-version"
    );
    assert_eq!(place(&agent), (1, 7));
    assert_eq!(agent.apply(&Bundle::of(2, 1, &[], 1)), "applied");
}

#[test]
fn only_the_registrar_of_the_newest_root_signs_manifests() {
    let mut agent = agent();
    let mut bundle = Bundle::first(8, &[]);
    for (signers, expected) in [
        (&[][..], "threshold"),
        (&[1, 2, 3], "threshold"), // root keys are not the registrar's
        (&[99], "threshold"),
        (&[12], "applied"),
    ] {
        bundle.manifest = signed_manifest(&manifest(1, 8, &bundle.shards), signers);
        assert_eq!(agent.apply(&bundle), expected);
    }
    let foreign = Manifest {
        domain: TrustDomain::parse("ranch").unwrap(),
        ..manifest(1, 9, &bundle.shards)
    };
    bundle.manifest = signed_manifest(&foreign, &[11]);
    assert_eq!(agent.apply(&bundle), "domain");
    bundle.manifest = bundle.roots[0].clone();
    assert_eq!(agent.apply(&bundle), "header-typ");
}

#[test]
fn an_expired_manifest_applies_so_that_no_clock_blocks_a_revocation() {
    let mut agent = agent();
    let mut bundle = Bundle::first(8, &[]);
    let expired = Manifest {
        issued_at: UnixTime::from_seconds(1),
        expires_at: UnixTime::from_seconds(2),
        ..manifest(1, 8, &bundle.shards)
    };
    bundle.manifest = signed_manifest(&expired, &[11]);
    assert_eq!(agent.apply(&bundle), "applied");
    let InForce::Manifest(view) = agent.in_force() else {
        panic!("no manifest")
    };
    assert_eq!(
        (view.issued_at.seconds(), view.expires_at.seconds()),
        (1, 2)
    );
    assert_eq!(view.roles.len(), 1);
    assert_eq!(view.domain.as_str(), "farm");
}

#[test]
fn a_manifest_that_was_lost_comes_back_and_no_other_takes_its_place() {
    let bundle = Bundle::first(7, &[entry("pump-1", 21)]);
    let mut agent = agent();
    agent.manifest = None;
    assert_eq!(agent.apply(&Bundle::first(7, &[])), "conflict");
    assert_eq!(agent.apply(&Bundle::first(6, &[])), "rollback");
    let (update, _) = agent.evaluate(&bundle.file(), None).unwrap();
    assert!(update.rebuild_index);
    assert_eq!(update.new_shards.len(), 1);
    assert_eq!(update.mark, agent.mark);
    // under a newer root it is still the one that was applied
    assert!(
        agent
            .apply_roots(&[&signed_root(&root(2), &[1, 2])])
            .is_ok()
    );
    assert_eq!(agent.apply(&bundle), "applied");
    assert_eq!(agent.apply(&Bundle::first(8, &[])), "manifest-root-version");
}

#[test]
fn what_was_refused_leaves_no_trace() {
    let mut agent = agent();
    let good = Bundle::first(8, &[entry("pump-2", 22)]);
    let mut bad = good.clone();
    bad.shards[0].push(b' ');
    assert_eq!(agent.apply(&bad), "shard-hash");
    bad.shards.clear();
    assert_eq!(agent.apply(&bad), "shard-missing");
    assert_eq!(place(&agent), (1, 7));
    assert_eq!(agent.apply(&good), "applied");
}

#[test]
fn a_bundle_cut_off_or_altered_anywhere_is_refused() {
    let agent = agent();
    let next = Bundle::first(8, &[entry("pump-1", 21), entry("pump-2", 22)]);
    let file = next.file();
    assert!(agent.evaluate(&file, None).is_ok());
    for length in 0..file.len() {
        assert!(
            agent.evaluate(&file[..length], None).is_err(),
            "cut at {length}"
        );
    }
    let roots = file
        .split(|b| *b == b'\n')
        .take(2)
        .map(|line| line.len() + 1)
        .sum();
    let header = file.iter().position(|b| *b == b'\n').unwrap();
    for place in (0..header).chain(roots..file.len()) {
        let mut altered = file.clone();
        altered[place] ^= 1;
        assert!(
            agent.evaluate(&altered, None).is_err(),
            "altered at {place}"
        );
    }
}
