//! A device with a real store, and a broker with virtual time between them.

use super::super::*;
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

pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// What an operator has published: documents by what asks for them.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) documents: BTreeMap<Wanted, Bytes>,
}

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(super) fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

/// Root of a version; its registrar key is `registrar`.
pub(super) fn root(domain: &str, version: u64, registrar: u8) -> Bytes {
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
pub(super) fn manifest(domain: &str, place: (u64, u64), registrar: u8, changed: u8) -> Published {
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

pub(super) fn farm(place: (u64, u64), changed: u8) -> Published {
    manifest("farm", place, 2, changed)
}

/// A device with a real store, and a broker with virtual time between them.
pub(super) struct Rig {
    _dir: TempDir,
    pub(super) store: Store,
    pub(super) follower: Follower,
    pub(super) retained: BTreeMap<Wanted, Bytes>,
    pub(super) subscribed: Vec<Wanted>,
    pub(super) asked: Vec<Wanted>,
    bundle: Option<(u32, BundleWriter<File>)>,
    pub(super) applied: Vec<Outcome>,
    pub(super) reconnects: Vec<&'static str>,
    pub(super) now: Duration,
}

impl Rig {
    /// A device that has pinned root 1 of the domain `farm`.
    pub(super) fn new() -> Self {
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
    pub(super) fn with(published: &Published) -> Self {
        let mut rig = Self::new();
        rig.publish(published);
        assert_eq!(rig.applied, [Outcome::Applied]);
        rig.applied.clear();
        rig.asked.clear();
        rig
    }

    pub(super) fn connect(&mut self) {
        self.subscribed.clear();
        self.follower.connected(KEEP_ALIVE, self.now);
        self.settle();
    }

    pub(super) fn disconnect(&mut self) {
        self.subscribed.clear();
        self.follower.disconnected();
        self.settle();
    }

    /// Shards first, manifest last.
    pub(super) fn publish(&mut self, published: &Published) {
        for (wanted, payload) in published.documents.iter().rev() {
            if *wanted != Wanted::Manifest {
                self.retain(*wanted, payload.clone());
            }
        }
        if let Some(manifest) = published.documents.get(&Wanted::Manifest) {
            self.retain(Wanted::Manifest, manifest.clone());
        }
    }

    pub(super) fn retain(&mut self, wanted: Wanted, payload: Bytes) {
        self.retained.insert(wanted, payload.clone());
        if self.subscribed.contains(&wanted) {
            self.follower.received(wanted, payload, self.now);
            self.settle();
        }
    }

    /// What no retained message is.
    pub(super) fn send(&mut self, wanted: Wanted, payload: Bytes) {
        self.follower.received(wanted, payload, self.now);
        self.settle();
    }

    /// Lets time pass; the broker answers every ping.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self.follower.deadline().unwrap_or(end);
            self.now = next.clamp(self.now + Duration::from_millis(1), end);
            self.follower.moved(self.now);
            self.follower.tick(self.now);
            self.settle();
        }
    }

    pub(super) fn settle(&mut self) {
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

    pub(super) fn apply(&mut self) {
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

    pub(super) fn sequence(&self) -> Option<u64> {
        self.store.trust().map(|view| view.sequence)
    }

    pub(super) fn refused(&self) -> Option<&'static str> {
        self.follower.offered().map(|offered| offered.code)
    }

    pub(super) fn shards_asked(&self) -> usize {
        let asked = self.asked.iter();
        asked
            .filter(|wanted| matches!(wanted, Wanted::Shard(_)))
            .count()
    }
}
