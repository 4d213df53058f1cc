#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod rig;

use super::*;
use crate::daemon::apply_bundle;
use edgeseal_trust::document::{Authority, BundleWriter, DocumentType, Root, sign};
use edgeseal_trust::id::TrustDomain;
use rig::{Rig, at, farm, key, manifest, root};

#[test]
fn everything_comes_at_first_and_then_only_what_has_changed() {
    let mut rig = Rig::new();
    assert_eq!(rig.asked, [Wanted::Manifest, Wanted::Root(2)]);
    rig.publish(&farm((1, 1), 0));
    assert_eq!(rig.sequence(), Some(1));
    assert_eq!(rig.shards_asked(), 16);
    assert_eq!(rig.subscribed, [Wanted::Manifest, Wanted::Root(2)]);
    rig.asked.clear();
    rig.publish(&farm((1, 2), 1));
    assert_eq!((rig.sequence(), rig.shards_asked()), (Some(2), 1));
    rig.publish(&farm((1, 3), 1));
    assert_eq!((rig.sequence(), rig.shards_asked()), (Some(3), 1));
    assert_eq!(rig.applied.len(), 3);
    assert_eq!(rig.follower.offered(), None);
    // What is in force already is not applied again, however often it comes.
    rig.disconnect();
    rig.connect();
    rig.pass(Duration::from_secs(3600));
    assert_eq!((rig.applied.len(), rig.reconnects.len()), (3, 0));
}

#[test]
fn an_older_manifest_is_refused_shown_and_forgotten_when_the_right_one_comes() {
    let mut rig = Rig::with(&farm((1, 5), 0));
    rig.retain(
        Wanted::Manifest,
        farm((1, 4), 1).documents[&Wanted::Manifest].clone(),
    );
    assert_eq!((rig.sequence(), rig.refused()), (Some(5), Some("rollback")));
    assert_eq!(rig.follower.offered().unwrap().claims, Some((1, 4)));
    assert_eq!((rig.shards_asked(), rig.applied.len()), (0, 0));
    rig.publish(&farm((1, 6), 1));
    assert_eq!((rig.sequence(), rig.refused()), (Some(6), None));
}

#[test]
fn the_same_sequence_with_other_octets_is_a_conflict() {
    let mut rig = Rig::with(&farm((1, 5), 0));
    rig.publish(&farm((1, 5), 1));
    assert_eq!((rig.sequence(), rig.refused()), (Some(5), Some("conflict")));
    assert_eq!(rig.applied.len(), 0);
}

#[test]
fn a_manifest_of_another_domain_or_of_no_registrar_is_refused() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    rig.publish(&manifest("yard", (1, 9), 2, 1));
    assert_eq!((rig.sequence(), rig.refused()), (Some(1), Some("domain")));
    rig.publish(&manifest("farm", (1, 9), 66, 1));
    assert_eq!(rig.sequence(), Some(1));
    let refused = rig.refused().unwrap();
    assert_ne!(refused, "domain");
    for garbage in [&b"{}"[..], b"\xff", b"x".repeat(100_000).as_slice()] {
        rig.retain(Wanted::Manifest, Bytes::copy_from_slice(garbage));
        assert!(rig.refused().is_some());
    }
    assert_eq!(rig.shards_asked(), 0, "nothing is fetched for it");
    rig.publish(&farm((1, 2), 1));
    rig.pass(Duration::from_secs(10));
    assert_eq!((rig.sequence(), rig.refused()), (Some(2), None));
}

#[test]
fn shards_that_are_missing_swapped_or_cut_off_leave_the_old_state_until_they_are_right() {
    let good = farm((1, 2), 1);
    let base = Rig::with(&farm((1, 1), 0)).retained;
    let shard = *good
        .documents
        .keys()
        .find(|wanted| matches!(wanted, Wanted::Shard(_)) && !base.contains_key(wanted))
        .unwrap();
    let other = base
        .iter()
        .find(|(wanted, _)| matches!(wanted, Wanted::Shard(_)));
    let whole = good.documents[&shard].clone();
    for (lie, code) in [
        (None, "shard-missing"),
        (Some(other.unwrap().1.clone()), "shard-hash"),
        (Some(whole.slice(..whole.len() - 1)), "shard-hash"),
    ] {
        let mut rig = Rig::with(&farm((1, 1), 0));
        let mut published = good.clone();
        published.documents.remove(&shard);
        if let Some(lie) = lie {
            published.documents.insert(shard, lie);
        }
        rig.publish(&published);
        assert_eq!(rig.follower.progress().unwrap().shards, 1);
        rig.pass(Duration::from_secs(61));
        assert_eq!((rig.sequence(), rig.refused()), (Some(1), Some(code)));
        assert_eq!(rig.applied.len(), 0);
        assert_eq!(rig.follower.progress(), None);
        // It is tried again by itself, less and less often.
        let asked = rig.shards_asked();
        rig.pass(Duration::from_secs(6 * 3600));
        let again = rig.shards_asked() - asked;
        assert!((8..80).contains(&again), "{again}");
        assert_eq!(rig.sequence(), Some(1));
        rig.retained.insert(shard, whole.clone());
        rig.pass(Duration::from_secs(3600));
        assert_eq!((rig.sequence(), rig.refused()), (Some(2), None));
    }
}

#[test]
fn a_shard_that_comes_late_is_taken_at_once() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    let good = farm((1, 2), 1);
    rig.retain(Wanted::Manifest, good.documents[&Wanted::Manifest].clone());
    rig.pass(Duration::from_secs(20));
    assert_eq!(rig.sequence(), Some(1));
    rig.publish(&good);
    assert_eq!(rig.sequence(), Some(2));
}

#[test]
fn sequences_that_are_mixed_never_become_one() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    let (second, third) = (farm((1, 2), 1), farm((1, 3), 2));
    // The manifest of the second, the shards of the third.
    for (wanted, payload) in &third.documents {
        if *wanted != Wanted::Manifest {
            rig.retain(*wanted, payload.clone());
        }
    }
    rig.retain(
        Wanted::Manifest,
        second.documents[&Wanted::Manifest].clone(),
    );
    rig.pass(Duration::from_secs(30));
    assert_eq!(rig.sequence(), Some(1));
    // A newer manifest ends the search for what an older one lacks.
    rig.retain(Wanted::Manifest, third.documents[&Wanted::Manifest].clone());
    assert_eq!((rig.sequence(), rig.refused()), (Some(3), None));
    assert_eq!(rig.subscribed, [Wanted::Manifest, Wanted::Root(2)]);
}

#[test]
fn shards_without_end_cost_a_connection_and_nothing_else() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    let junk = Bytes::from(vec![7_u8; 1 << 20]);
    for _ in 0..20 {
        rig.send(Wanted::Shard(Digest::of(b"nobody asked")), junk.clone());
        if !rig.reconnects.is_empty() {
            break;
        }
    }
    assert_eq!(rig.reconnects, ["flood"]);
    // Another topic that is none of ours counts as well.
    rig.connect();
    rig.now += Duration::from_secs(600);
    (0..9).for_each(|_| rig.follower.unwanted(1 << 20, rig.now));
    rig.settle();
    assert_eq!(rig.reconnects, ["flood", "flood"]);
    rig.connect();
    rig.publish(&farm((1, 2), 1));
    assert_eq!(rig.sequence(), Some(2));
}

#[test]
fn manifests_without_end_are_judged_at_a_bounded_rate_and_the_last_counts() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    for sequence in 2..40 {
        rig.retain(
            Wanted::Manifest,
            farm((1, sequence), 0).documents[&Wanted::Manifest].clone(),
        );
    }
    assert!(rig.applied.len() <= 8, "{}", rig.applied.len());
    rig.pass(Duration::from_secs(5));
    assert_eq!(rig.sequence(), Some(39));
}

#[test]
fn roots_several_versions_behind_are_caught_up_one_by_one() {
    let mut rig = Rig::with(&farm((1, 9), 0));
    rig.disconnect();
    for version in 2..=6 {
        rig.retained.insert(
            Wanted::Root(version),
            root("farm", version, 2 + version as u8),
        );
    }
    let new = manifest("farm", (6, 1), 8, 1);
    rig.retained.extend(new.documents);
    rig.asked.clear();
    rig.connect();
    let roots = rig.asked.iter().filter_map(|wanted| match wanted {
        Wanted::Root(version) => Some(*version),
        _ => None,
    });
    let mut roots: Vec<u64> = roots.collect();
    roots.dedup();
    assert_eq!(roots, [2, 3, 4, 5, 6, 7]);
    assert_eq!((rig.sequence(), rig.refused()), (Some(1), None));
    assert_eq!(rig.applied, [Outcome::Applied], "all at once");
    assert_eq!(rig.store.roots().unwrap().len(), 6);
}

#[test]
fn a_root_that_has_no_manifest_yet_counts_a_moment_later() {
    let mut rig = Rig::with(&farm((1, 9), 0));
    rig.retain(Wanted::Root(2), root("farm", 2, 3));
    assert_eq!(rig.sequence(), Some(9), "its manifest may be on the way");
    rig.pass(Duration::from_secs(6));
    assert_eq!(rig.sequence(), None, "the thief's key counts no more");
    assert_eq!(rig.store.roots().unwrap().len(), 2);
    // The thief had the highest sequence; under the new root it counts for nothing.
    rig.publish(&manifest("farm", (1, 1_000_000_000), 2, 1));
    assert_eq!(rig.sequence(), None);
    rig.publish(&manifest("farm", (2, 1), 3, 1));
    assert_eq!((rig.sequence(), rig.refused()), (Some(1), None));
}

#[test]
fn a_root_of_strangers_is_refused() {
    let mut rig = Rig::with(&farm((1, 9), 0));
    let authority = |seed| Authority::new(1, vec![key(seed).public().clone()]).unwrap();
    let stranger = Root {
        domain: TrustDomain::parse("farm").unwrap(),
        version: 2,
        issued_at: at(1000),
        expires_at: at(2_000_000_000),
        root: authority(66),
        registrar: authority(66),
    };
    let payload = stranger.to_payload().unwrap();
    let stranger = sign(DocumentType::Root, &payload, &[&key(66)]);
    rig.retain(Wanted::Root(2), stranger.into());
    assert!(rig.refused().is_some());
    rig.pass(Duration::from_secs(60));
    assert_eq!((rig.sequence(), rig.applied.len()), (Some(9), 0));
    assert!(rig.subscribed.contains(&Wanted::Root(2)));
    // The right one still counts.
    rig.retain(Wanted::Root(2), root("farm", 2, 3));
    rig.publish(&manifest("farm", (2, 1), 3, 1));
    assert_eq!((rig.sequence(), rig.refused()), (Some(1), None));
}

#[test]
fn a_manifest_that_is_ahead_of_its_root_waits_for_it_in_silence() {
    let mut rig = Rig::with(&farm((1, 9), 0));
    rig.publish(&manifest("farm", (2, 1), 3, 1));
    assert_eq!(rig.refused(), None);
    rig.pass(Duration::from_secs(1));
    rig.retain(Wanted::Root(2), root("farm", 2, 3));
    assert_eq!((rig.sequence(), rig.refused()), (Some(1), None));
    // One whose root never comes is said to be refused.
    rig.publish(&manifest("farm", (3, 1), 4, 2));
    rig.pass(Duration::from_secs(4));
    assert_eq!(rig.sequence(), Some(1));
    assert!(rig.refused().is_some());
}

#[test]
fn a_connection_that_ends_amid_the_shards_costs_a_new_beginning() {
    let good = farm((1, 1), 0);
    let mut rig = Rig::new();
    let last = *good.documents.keys().last().unwrap();
    let mut published = good.clone();
    published.documents.remove(&last);
    rig.publish(&published);
    assert_eq!(rig.follower.progress().unwrap().arrived, 15);
    for _ in 0..3 {
        rig.disconnect();
        rig.pass(Duration::from_secs(5));
        rig.connect();
    }
    assert_eq!(rig.sequence(), None);
    rig.retain(last, good.documents[&last].clone());
    assert_eq!(rig.sequence(), Some(1));
}

#[test]
fn nothing_moves_for_two_and_a_half_keep_alives_and_the_connection_is_made_anew() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    rig.now += Duration::from_secs(299);
    rig.follower.tick(rig.now);
    rig.settle();
    assert!(rig.reconnects.is_empty());
    rig.now += Duration::from_secs(1);
    assert_eq!(rig.follower.deadline(), Some(rig.now));
    rig.follower.tick(rig.now);
    rig.settle();
    assert_eq!(rig.reconnects, ["wedged"]);
    assert_eq!(
        rig.follower.deadline(),
        None,
        "without a connection nothing is due"
    );
}

#[test]
fn news_are_asked_for_at_most_every_ten_seconds() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    rig.pass(Duration::from_secs(30));
    let asked = |rig: &Rig| {
        let asked = rig.asked.iter();
        asked.filter(|wanted| **wanted == Wanted::Manifest).count()
    };
    for _ in 0..200 {
        rig.follower.news_wanted(rig.now);
        rig.settle();
        rig.pass(Duration::from_millis(500));
    }
    assert!((8..=10).contains(&asked(&rig)), "{}", asked(&rig));
    assert!(rig.reconnects.is_empty());
    // A publication that this connection missed is found by it.
    rig.retained.extend(farm((1, 2), 1).documents);
    rig.pass(Duration::from_secs(20));
    rig.follower.news_wanted(rig.now);
    rig.settle();
    assert_eq!(rig.sequence(), Some(2));
}

#[test]
fn a_stick_may_be_faster() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    let good = farm((1, 2), 1);
    rig.retain(Wanted::Manifest, good.documents[&Wanted::Manifest].clone());
    assert!(rig.follower.progress().is_some());
    // The same bundle is applied by hand meanwhile.
    let mut writer = BundleWriter::begin(
        tempfile::tempfile().unwrap(),
        &[],
        &good.documents[&Wanted::Manifest],
        16,
    )
    .unwrap();
    for (wanted, payload) in &good.documents {
        if *wanted != Wanted::Manifest {
            writer.shard(payload).unwrap();
        }
    }
    apply_bundle(&rig.store, writer.finish().unwrap(), None).unwrap();
    let held = rig.store.held_documents().unwrap();
    rig.follower.held_changed(held, rig.now);
    rig.settle();
    assert_eq!(rig.follower.progress(), None);
    assert_eq!((rig.refused(), rig.applied.len()), (None, 0));
    assert_eq!(rig.subscribed, [Wanted::Manifest, Wanted::Root(2)]);
}

#[test]
fn a_disk_that_fails_is_tried_again() {
    let mut rig = Rig::with(&farm((1, 1), 0));
    rig.follower.applied(
        Outcome::Refused {
            code: "spool",
            reason: "no room".to_owned(),
            again: true,
        },
        None,
        rig.now,
    );
    assert_eq!(rig.refused(), Some("spool"));
    rig.pass(Duration::from_secs(120));
    assert_eq!(rig.refused(), None);
}
