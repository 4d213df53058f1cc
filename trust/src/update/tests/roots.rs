//! The first root, and the chain of roots.

use super::super::{Current, InForce, Offer, evaluate, judge_successor};
use super::{Agent, Bundle, code};
use crate::document::fixture::{
    EXPIRES, ISSUED, authority, entry, key, manifest, root, signed_manifest, signed_root,
};
use crate::document::{
    Authority, Document, DocumentType, Root, Unverified, add_signatures, signers,
};
use crate::id::TrustDomain;
use crate::time::UnixTime;
use crate::words::Words;

/// A root whose keys are 4, 5, 6, the registrar as before.
fn rotated(version: u64) -> Root {
    Root {
        root: authority(2, &[4, 5, 6]),
        ..root(version)
    }
}

/// A root with another registrar.
fn new_registrar(version: u64) -> Root {
    Root {
        registrar: authority(1, &[13]),
        ..root(version)
    }
}

fn agent() -> Agent {
    Agent::with(&Bundle::first(7, &[entry("pump-1", 21)]))
}

fn version(agent: &Agent) -> u64 {
    agent.root.as_ref().unwrap().content().version
}

fn offered(agent: &Agent, roots: &[&[u8]]) -> &'static str {
    let manifest = None;
    code(evaluate(agent.current(), Offer { roots, manifest }, None))
}

#[test]
fn a_first_root_needs_its_words() {
    let bundle = Bundle::first(7, &[]);
    let mut agent = Agent::default();
    assert_eq!(agent.apply(&bundle), "first-root-not-pinned");
    let other = Words::of_root(&signed_root(&root(1), &[1, 3]));
    assert_eq!(agent.apply_pinned(&bundle, Some(&other)), "root-words");
    let none = Bundle {
        roots: Vec::new(),
        ..bundle.clone()
    };
    assert_eq!(agent.apply(&none), "first-root-not-pinned");
    let words = Words::of_root(&bundle.roots[0]);
    assert_eq!(agent.apply_pinned(&none, Some(&words)), "root-words");
    assert_eq!(agent.apply_pinned(&bundle, Some(&words)), "applied");
    assert_eq!(agent.apply(&bundle), "already current");
}

#[test]
fn a_pinned_root_must_be_signed_by_itself() {
    let mut bundle = Bundle::first(7, &[]);
    for (signers, expected) in [
        (&[1][..], "threshold"),
        (&[11, 12], "threshold"),
        (&[2, 3], "applied"),
    ] {
        bundle.roots = vec![signed_root(&root(1), signers)];
        let words = Words::of_root(&bundle.roots[0]);
        assert_eq!(
            Agent::default().apply_pinned(&bundle, Some(&words)),
            expected
        );
    }
}

#[test]
fn words_may_pin_a_later_root_from_which_the_chain_goes_on() {
    let chain = [
        signed_root(&root(1), &[1, 2]),
        signed_root(&rotated(2), &[1, 2, 4, 5]),
        signed_root(&rotated(3), &[4, 5]),
    ];
    let bundle = Bundle {
        roots: chain.to_vec(),
        ..Bundle::of(3, 1, &[], 1)
    };
    for pinned in &chain {
        let mut agent = Agent::default();
        let words = Words::of_root(pinned);
        assert_eq!(agent.apply_pinned(&bundle, Some(&words)), "applied");
        assert_eq!(version(&agent), 3);
    }
}

#[test]
fn the_next_root_is_exactly_one_higher_and_signed_by_both_thresholds() {
    let agent = agent();
    for (next, signers, expected) in [
        (rotated(2), &[1, 2, 4, 5][..], "accepted"),
        (rotated(2), &[1, 2, 4], "threshold"), // not by its own
        (rotated(2), &[1, 4, 5], "threshold"), // not by the one before
        (rotated(2), &[4, 5, 6], "threshold"),
        (rotated(2), &[11, 12], "threshold"),
        (rotated(2), &[], "threshold"),
        (rotated(3), &[1, 2, 4, 5], "root-version"),
        (rotated(u64::MAX), &[1, 2, 4, 5], "root-version"),
        (root(2), &[1, 3], "accepted"),
    ] {
        let octets = signed_root(&next, signers);
        assert_eq!(offered(&agent, &[&octets]), expected, "{signers:?}");
    }
    let foreign = Root {
        domain: TrustDomain::parse("ranch").unwrap(),
        ..root(2)
    };
    assert_eq!(
        offered(&agent, &[&signed_root(&foreign, &[1, 2])]),
        "domain"
    );
}

#[test]
fn roots_are_followed_one_by_one_without_gaps() {
    let two = signed_root(&rotated(2), &[1, 2, 4, 5]);
    let three = signed_root(&rotated(3), &[4, 6]);
    let four = signed_root(&rotated(4), &[5, 6]);
    let agent = agent();
    assert_eq!(offered(&agent, &[&two, &three, &four]), "accepted");
    assert_eq!(offered(&agent, &[&three, &four]), "root-version");
    assert_eq!(offered(&agent, &[&two, &four]), "root-version");
    assert_eq!(offered(&agent, &[&three, &two]), "root-version");
    assert_eq!(offered(&agent, &[&two, &two]), "root-version");
    // three is vouched for by two alone, never by one
    let unsigned_two = signed_root(&rotated(2), &[4, 5]);
    assert_eq!(offered(&agent, &[&unsigned_two, &three]), "threshold");
}

#[test]
fn a_root_that_was_applied_is_passed_over_and_another_one_is_a_conflict() {
    let mut agent = agent();
    let one = signed_root(&root(1), &[1, 2]);
    let two = signed_root(&root(2), &[1, 2]);
    assert!(agent.apply_roots(&[&one, &two]).is_ok());
    assert_eq!(version(&agent), 2);
    for same in [&[&*one, &*two][..], &[&*two], &[&*one], &[]] {
        assert_eq!(offered(&agent, same), "accepted");
    }
    // signed by others as well, it is the same root
    assert_eq!(
        offered(&agent, &[&signed_root(&root(2), &[3, 2, 99])]),
        "accepted"
    );
    let other = signed_root(&rotated(2), &[1, 2, 4, 5]);
    assert_eq!(offered(&agent, &[&other]), "root-conflict");
    assert!(agent.apply_roots(&[&one]).is_ok());
    assert_eq!(version(&agent), 2);
}

#[test]
fn only_the_newest_root_says_when_it_expires_and_no_clock_takes_part() {
    let expired = |version| Root {
        issued_at: UnixTime::from_seconds(1),
        expires_at: UnixTime::from_seconds(2),
        ..root(version)
    };
    let mut agent = agent();
    let chain = [
        signed_root(&expired(2), &[1, 2]),
        signed_root(&expired(3), &[1, 2]),
        signed_root(&root(4), &[1, 2]),
    ];
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let InForce::Manifest(view) = agent.apply_roots(&chain[..2]).unwrap() else {
        panic!("no manifest")
    };
    assert_eq!((view.root_version, view.root_expires_at.seconds()), (3, 2));
    let InForce::Manifest(view) = agent.apply_roots(&chain).unwrap() else {
        panic!("no manifest")
    };
    assert_eq!(view.root_expires_at, root(4).expires_at);
}

#[test]
fn a_root_alone_judges_the_manifest_in_force_again() {
    let mut agent = agent();
    let same_registrar = signed_root(&root(2), &[1, 2]);
    let in_force = agent.apply_roots(&[&same_registrar]).unwrap();
    let InForce::Manifest(view) = in_force else {
        panic!("{in_force:?}")
    };
    assert_eq!((view.root_version, view.sequence), (2, 7));

    let other_registrar = signed_root(&new_registrar(3), &[1, 2]);
    let in_force = agent.apply_roots(&[&other_registrar]).unwrap();
    let InForce::NoManifest(Some(why)) = in_force else {
        panic!("{in_force:?}")
    };
    assert_eq!(why.code(), "threshold");
    assert_eq!(agent.mark.unwrap().root_version, 1);
    // offered once more it stays out of force, whoever adds a signature
    let again = Bundle {
        roots: Vec::new(),
        ..Bundle::first(7, &[entry("pump-1", 21)])
    };
    assert_eq!(agent.apply(&again), "already current");
    assert!(matches!(agent.in_force(), InForce::NoManifest(Some(_))));
    // one under the new root ends it
    let mut next = Bundle::of(3, 1, &[entry("pump-1", 21)], 1);
    next.roots.clear();
    assert_eq!(agent.apply(&next), "threshold");
    next.manifest = signed_manifest(&manifest(3, 1, &next.shards), &[13]);
    assert_eq!(agent.apply(&next), "applied");
    assert!(matches!(agent.in_force(), InForce::Manifest(_)));
}

#[test]
fn a_new_root_and_a_bad_manifest_are_refused_together() {
    let mut agent = agent();
    let mut bundle = Bundle::of(2, 1, &[], 1);
    bundle.roots = vec![signed_root(&new_registrar(2), &[1, 2])];
    assert_eq!(agent.apply(&bundle), "threshold");
    assert_eq!(version(&agent), 1);
    bundle.manifest = signed_manifest(&manifest(2, 1, &bundle.shards), &[13]);
    assert_eq!(agent.apply(&bundle), "applied");
    assert_eq!(version(&agent), 2);
}

#[test]
fn without_anything_offered_nothing_changes() {
    let agent = agent();
    let update = evaluate(agent.current(), Offer::default(), None)
        .unwrap()
        .finish()
        .unwrap();
    assert!(update.is_already_current());
    assert!(
        update.new_shards.is_empty() && update.removed_shards.is_empty() && !update.rebuild_index
    );
    let nothing = Current::default();
    assert_eq!(
        code(evaluate(nothing, Offer::default(), None)),
        "first-root-not-pinned"
    );
    let root = Document::<Root>::load(&signed_root(&root(1), &[1, 2])).unwrap();
    let only_root = Current {
        root: Some(&root),
        ..nothing
    };
    let update = evaluate(only_root, Offer::default(), None)
        .unwrap()
        .finish()
        .unwrap();
    assert!(matches!(update.in_force, InForce::NoManifest(None)));
    assert_eq!(update.mark, None);
}

#[test]
fn a_successor_is_judged_alone_as_in_a_chain() {
    let held: Document<Root> = Document::load(&signed_root(&root(1), &[1, 2])).unwrap();
    let next = held.content().successor(
        authority(2, &[2, 3, 4]),
        authority(1, &[13]),
        ISSUED.plus(60),
        EXPIRES,
    );
    assert_eq!((next.version, &next.domain), (2, &held.content().domain));
    let judge = |root: &Root, seeds: &[u8]| {
        let judged = judge_successor(&held, &signed_root(root, seeds));
        judged.err().map_or("accepted", |why| why.code())
    };
    assert_eq!(judge(&next, &[1, 2, 3]), "accepted");
    assert_eq!(judge(&next, &[2, 3]), "accepted", "of both thresholds");
    assert_eq!(judge(&next, &[1, 2]), "threshold", "not of its own");
    assert_eq!(judge(&next, &[3, 4]), "threshold", "not of the one before");
    assert_eq!(judge(&root(1), &[1, 2]), "root-version");
    assert_eq!(judge(&root(3), &[1, 2]), "root-version");
    let barn = Root {
        domain: TrustDomain::parse("barn").unwrap(),
        ..next.clone()
    };
    assert_eq!(judge(&barn, &[1, 2, 3]), "domain");

    // where the keys lie in several places: who has signed by now
    let unsigned = signed_root(&next, &[]);
    let by_one = add_signatures(&unsigned, DocumentType::Root, &[&key(3)]).unwrap();
    let both = add_signatures(&by_one, DocumentType::Root, &[&key(2), &key(9)]).unwrap();
    let signed = |octets: &[u8], authority: &Authority| {
        let document = Unverified::parse(octets, DocumentType::Root).unwrap();
        signers(&document, authority).unwrap()
    };
    let kid = |seed| key(seed).public().id();
    assert_eq!(signed(&unsigned, &next.root), []);
    assert_eq!(signed(&by_one, &held.content().root), [kid(3)]);
    assert_eq!(signed(&both, &next.root), [kid(3), kid(2)]);
    assert!(judge_successor(&held, &both).is_ok());
}
