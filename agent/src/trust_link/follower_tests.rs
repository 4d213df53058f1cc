#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::*;
use crate::daemon::apply_bundle;
use edgeseal_trust::document::{
    Authority, BundleWriter, DeviceEntry, DocumentType, KeyEntry, Root, Shard, shard_of, sign,
};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{DeviceState, KeyState, Role};
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use tempfile::TempDir;

const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What an operator has published: documents by what asks for them.
#[derive(Clone)]
struct Published {
    documents: BTreeMap<Wanted, Bytes>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// Root of a version; its registrar key is `registrar`.
fn root(domain: &str, version: u64, registrar: u8) -> Bytes {
    let authority = |key: &SigningKey| Authority::new(1, vec![key.public().clone()]).unwrap();
    let root = Root {
        domain: TrustDomain::parse(domain).unwrap(),
        version,
        issued_at: at(1000),
        expires_at: at(2_000_000_000),
        root: authority(&key(1)),
        registrar: authority(&key(registrar)),
    };
    sign(DocumentType::Root, &root.to_payload().unwrap(), &[&key(1)]).into()
}

/// A manifest of `count` shards with 40 devices, signed by `registrar`. Other `changed`: another key of one
/// device, so that one shard differs.
fn manifest(domain: &str, place: (u64, u64), registrar: u8, changed: u8) -> Published {
    let count = 16;
    let entry = |number: u8| DeviceEntry {
        id: DeviceId::parse(&format!("pump-{number}")).unwrap(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![KeyEntry {
            key: key(100 + if number == 0 { 50 + changed } else { number })
                .public()
                .clone(),
            state: KeyState::Active,
            not_before: at(0),
            retired_at: None,
        }],
        roles: vec![RoleName::parse("sensor").unwrap()],
        groups: Vec::new(),
        serial: None,
    };
    let entries: Vec<DeviceEntry> = (0..40).map(entry).collect();
    let shards: Vec<Bytes> = (0..count)
        .map(|index| {
            let mine = entries
                .iter()
                .filter(|entry| shard_of(&entry.id, count) == index);
            let shard = Shard::new(index, count, mine.cloned().collect()).unwrap();
            Bytes::from(shard.to_octets().unwrap())
        })
        .collect();
    let manifest = Manifest {
        domain: TrustDomain::parse(domain).unwrap(),
        root_version: place.0,
        sequence: place.1,
        issued_at: at(1000 + place.1),
        expires_at: at(2_000_000_000),
        roles: vec![Role {
            name: RoleName::parse("sensor").unwrap(),
            grants: Vec::new(),
            manifest_age_seconds: None,
        }],
        groups: Vec::new(),
        shards: shards.iter().map(|shard| Digest::of(shard)).collect(),
    };
    let signed = sign(
        DocumentType::Manifest,
        &manifest.to_payload().unwrap(),
        &[&key(registrar)],
    );
    let shards = shards
        .into_iter()
        .map(|shard| (Wanted::Shard(Digest::of(&shard)), shard));
    Published {
        documents: shards.chain([(Wanted::Manifest, signed.into())]).collect(),
    }
}

fn farm(place: (u64, u64), changed: u8) -> Published {
    manifest("farm", place, 2, changed)
}

/// A device with a real store, and a broker with virtual time between them.
struct Rig {
    _dir: TempDir,
    store: Store,
    follower: Follower,
    retained: BTreeMap<Wanted, Bytes>,
    subscribed: Vec<Wanted>,
    asked: Vec<Wanted>,
    bundle: Option<(u32, BundleWriter<File>)>,
    applied: Vec<Outcome>,
    reconnects: Vec<&'static str>,
    now: Duration,
}

impl Rig {
    /// A device that has pinned root 1 of the domain `farm`.
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        Store::pin_first_root(dir.path(), &root("farm", 1, 2)).unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let follower = Follower::new(store.held_documents().unwrap(), 7);
        let mut rig = Self {
            _dir: dir,
            store,
            follower,
            retained: BTreeMap::new(),
            subscribed: Vec::new(),
            asked: Vec::new(),
            bundle: None,
            applied: Vec::new(),
            reconnects: Vec::new(),
            now: Duration::from_secs(1000),
        };
        rig.connect();
        rig
    }

    /// The same with this published and applied.
    fn with(published: &Published) -> Self {
        let mut rig = Self::new();
        rig.publish(published);
        assert_eq!(rig.applied, [Outcome::Applied]);
        rig.applied.clear();
        rig.asked.clear();
        rig
    }

    fn connect(&mut self) {
        self.subscribed.clear();
        self.follower.connected(KEEP_ALIVE, self.now);
        self.settle();
    }

    fn disconnect(&mut self) {
        self.subscribed.clear();
        self.follower.disconnected();
        self.settle();
    }

    /// Shards first, manifest last.
    fn publish(&mut self, published: &Published) {
        for (wanted, payload) in published.documents.iter().rev() {
            if *wanted != Wanted::Manifest {
                self.retain(*wanted, payload.clone());
            }
        }
        if let Some(manifest) = published.documents.get(&Wanted::Manifest) {
            self.retain(Wanted::Manifest, manifest.clone());
        }
    }

    fn retain(&mut self, wanted: Wanted, payload: Bytes) {
        self.retained.insert(wanted, payload.clone());
        if self.subscribed.contains(&wanted) {
            self.follower.received(wanted, payload, self.now);
            self.settle();
        }
    }

    /// What no retained message is.
    fn send(&mut self, wanted: Wanted, payload: Bytes) {
        self.follower.received(wanted, payload, self.now);
        self.settle();
    }

    /// Lets time pass; the broker answers every ping.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self.follower.deadline().unwrap_or(end);
            self.now = next.clamp(self.now + Duration::from_millis(1), end);
            self.follower.moved(self.now);
            self.follower.tick(self.now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        while let Some(action) = self.follower.next_action() {
            match action {
                Action::Subscribe(wanted) => {
                    self.asked.push(wanted);
                    self.subscribed.push(wanted);
                    let shards = self.subscribed.iter();
                    let shards = shards.filter(|wanted| matches!(wanted, Wanted::Shard(_)));
                    assert!(shards.count() <= 8);
                    if let Some(payload) = self.retained.get(&wanted) {
                        self.follower.received(wanted, payload.clone(), self.now);
                    }
                }
                Action::Unsubscribe(wanted) => self.subscribed.retain(|other| *other != wanted),
                Action::Begin {
                    roots,
                    manifest,
                    shards,
                } => {
                    let roots: Vec<&[u8]> = roots.iter().map(Bytes::as_ref).collect();
                    let file = tempfile::tempfile().unwrap();
                    let writer = BundleWriter::begin(file, &roots, &manifest, shards).unwrap();
                    self.bundle = Some((shards, writer));
                }
                Action::Shard(octets) => self.bundle.as_mut().unwrap().1.shard(&octets).unwrap(),
                Action::Apply => self.apply(),
                Action::GiveUp => self.bundle = None,
                Action::Reconnect(why) => {
                    self.reconnects.push(why);
                    self.disconnect();
                }
            }
        }
    }

    fn apply(&mut self) {
        let (_, writer) = self.bundle.take().unwrap();
        let mut file = writer.finish().unwrap();
        file.flush().unwrap();
        let outcome = match apply_bundle(&self.store, file, None) {
            Ok(_) => Outcome::Applied,
            Err(body) => Outcome::Refused {
                code: "update",
                reason: body.code.into_owned(),
                again: false,
            },
        };
        self.applied.push(outcome.clone());
        let held = self.store.held_documents().unwrap();
        self.follower.applied(outcome, Some(held), self.now);
    }

    fn sequence(&self) -> Option<u64> {
        self.store.trust().map(|view| view.sequence)
    }

    fn refused(&self) -> Option<&'static str> {
        self.follower.offered().map(|offered| offered.code)
    }

    fn shards_asked(&self) -> usize {
        let asked = self.asked.iter();
        asked
            .filter(|wanted| matches!(wanted, Wanted::Shard(_)))
            .count()
    }
}

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
