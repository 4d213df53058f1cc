//! A trust domain of one root key and one registrar key.

use crate::place::Place;
use edgeseal_trust::document::{
    Authority, BundleWriter, DeviceEntry, Digest, DocumentType, KeyEntry, Manifest, Root, Shard,
    sign,
};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::{SigningKey, VerifyingKey, parse_jwk};
use edgeseal_trust::registry::{DeviceState, KeyState, Role};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::topic::TopicFilter;
use edgeseal_trust::words::Words;
use std::path::PathBuf;
use std::time::SystemTime;

pub(crate) struct Domain {
    registrar: SigningKey,
    root: Vec<u8>,
    now: UnixTime,
}

/// A device as the registry has it.
pub(crate) struct Entry {
    pub(crate) id: &'static str,
    pub(crate) key: VerifyingKey,
    pub(crate) state: DeviceState,
}

impl Domain {
    pub(crate) fn new() -> Self {
        let seconds = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let now = UnixTime::from_seconds(seconds - 60);
        let (root_key, registrar) = (key(1), key(2));
        let authority = |key: &SigningKey| Authority::new(1, vec![key.public().clone()]).unwrap();
        let root = Root {
            domain: TrustDomain::parse("farm").unwrap(),
            version: 1,
            issued_at: now,
            expires_at: now.plus(365 * 86_400),
            root: authority(&root_key),
            registrar: authority(&registrar),
        };
        let root = sign(
            DocumentType::Root,
            &root.to_payload().unwrap(),
            &[&root_key],
        );
        Self {
            registrar,
            root,
            now,
        }
    }

    pub(crate) fn words(&self) -> String {
        Words::of_root(&self.root).to_string()
    }

    pub(crate) fn bundle(&self, sequence: u64, devices: Vec<Entry>) -> Vec<u8> {
        let role = RoleName::parse("sensor").unwrap();
        let entry = |entry: Entry| DeviceEntry {
            id: DeviceId::parse(entry.id).unwrap(),
            state: entry.state,
            reason: None,
            keys: vec![KeyEntry {
                key: entry.key,
                state: KeyState::Active,
                not_before: UnixTime::default(),
                retired_at: None,
            }],
            roles: vec![role.clone()],
            groups: Vec::new(),
            serial: None,
        };
        let shard = Shard::new(0, 1, devices.into_iter().map(entry).collect()).unwrap();
        let shard = shard.to_octets().unwrap();
        let manifest = Manifest {
            domain: TrustDomain::parse("farm").unwrap(),
            root_version: 1,
            sequence,
            issued_at: self.now,
            expires_at: self.now.plus(30 * 86_400),
            roles: vec![Role {
                name: role.clone(),
                grants: vec![Grant {
                    publish: vec![TopicFilter::parse("site/{device}/#").unwrap()],
                    audiences: vec![AudiencePattern::Domain],
                    ..Grant::default()
                }],
                manifest_age_seconds: None,
            }],
            groups: Vec::new(),
            shards: vec![Digest::of(&shard)],
        };
        let payload = manifest.to_payload().unwrap();
        let manifest = sign(DocumentType::Manifest, &payload, &[&self.registrar]);
        let mut writer = BundleWriter::begin(Vec::new(), &[&self.root], &manifest, 1).unwrap();
        writer.shard(&shard).unwrap();
        writer.finish().unwrap()
    }

    /// A bundle file in which the place's own key is `pump-1`.
    pub(crate) fn bundle_for(&self, place: &Place, sequence: u64, state: DeviceState) -> PathBuf {
        let own = Entry {
            id: "pump-1",
            key: own_key(place),
            state,
        };
        let other = Entry {
            id: "pump-2",
            key: key(9).public().clone(),
            state: DeviceState::Active,
        };
        let path = place.path().join(format!("{sequence}.bundle"));
        std::fs::write(&path, self.bundle(sequence, vec![own, other])).unwrap();
        path
    }
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn own_key(place: &Place) -> VerifyingKey {
    let shown = place.say(&["identity", "show", "--json"]);
    assert_eq!(shown.exit, 0, "{shown:?}");
    parse_jwk(shown.json()["jwk"].to_string().as_bytes()).unwrap()
}

/// A place whose device is enrolled as `pump-1`, and its domain.
pub(crate) fn enrolled(more: &str) -> (Place, Domain) {
    let place = Place::with(more);
    let domain = enrolled_in(&place);
    (place, domain)
}

/// Enrolls the device of a place as `pump-1`; its domain.
pub(crate) fn enrolled_in(place: &Place) -> Domain {
    assert_eq!(place.say(&["init"]).exit, 0);
    let domain = Domain::new();
    let bundle = domain.bundle_for(place, 1, DeviceState::Active);
    let applied = place.say(&[
        "trust",
        "apply",
        bundle.to_str().unwrap(),
        "--root",
        &domain.words(),
    ]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    domain
}
