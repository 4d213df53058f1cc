//! A small domain for tests: keys from seeds, documents from few words.

use super::{
    Authority, DeviceEntry, Digest, DocumentType, KeyEntry, Manifest, Root, Shard, shard_of, sign,
};
use crate::grant::{AudiencePattern, Grant};
use crate::id::{DeviceId, GroupName, RoleName, TrustDomain};
use crate::key::SigningKey;
use crate::registry::{DeviceState, KeyState, Role};
use crate::time::UnixTime;
use crate::topic::TopicFilter;

pub(crate) const ISSUED: UnixTime = UnixTime::from_seconds(1_700_000_000);
pub(crate) const EXPIRES: UnixTime = UnixTime::from_seconds(1_800_000_000);

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

pub(crate) fn authority(threshold: u32, seeds: &[u8]) -> Authority {
    let keys = seeds.iter().map(|seed| key(*seed).public().clone());
    Authority::new(threshold, keys.collect()).unwrap()
}

/// Root keys 1, 2, 3, of which two sign; registrar keys 11, 12, of which one signs.
pub(crate) fn root(version: u64) -> Root {
    Root {
        domain: TrustDomain::parse("farm").unwrap(),
        version,
        issued_at: ISSUED,
        expires_at: EXPIRES,
        root: authority(2, &[1, 2, 3]),
        registrar: authority(1, &[11, 12]),
    }
}

pub(crate) fn signed(kind: DocumentType, payload: &[u8], seeds: &[u8]) -> Vec<u8> {
    let keys: Vec<SigningKey> = seeds.iter().map(|seed| key(*seed)).collect();
    sign(kind, payload, &keys.iter().collect::<Vec<_>>())
}

pub(crate) fn signed_root(root: &Root, seeds: &[u8]) -> Vec<u8> {
    signed(DocumentType::Root, &root.to_payload().unwrap(), seeds)
}

pub(crate) fn signed_manifest(manifest: &Manifest, seeds: &[u8]) -> Vec<u8> {
    let payload = manifest.to_payload().unwrap();
    signed(DocumentType::Manifest, &payload, seeds)
}

/// An active sensor in the group `shed`.
pub(crate) fn entry(id: &str, seed: u8) -> DeviceEntry {
    DeviceEntry {
        id: DeviceId::parse(id).unwrap(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![KeyEntry {
            key: key(seed).public().clone(),
            state: KeyState::Active,
            not_before: ISSUED,
            retired_at: None,
        }],
        roles: vec![RoleName::parse("sensor").unwrap()],
        groups: vec![GroupName::parse("shed").unwrap()],
        serial: None,
    }
}

/// The shards of these entries.
pub(crate) fn shards(entries: &[DeviceEntry], count: u32) -> Vec<Vec<u8>> {
    let shard = |index| {
        let mine = entries.iter().filter(|e| shard_of(&e.id, count) == index);
        let shard = Shard::new(index, count, mine.cloned().collect());
        shard.unwrap().to_octets().unwrap()
    };
    (0..count).map(shard).collect()
}

/// A manifest with the role `sensor` and the group `shed`.
pub(crate) fn manifest(root_version: u64, sequence: u64, shards: &[Vec<u8>]) -> Manifest {
    let grant = Grant {
        publish: vec![TopicFilter::parse("site/{device}/temp").unwrap()],
        audiences: vec![AudiencePattern::Domain],
        ..Grant::default()
    };
    Manifest {
        domain: TrustDomain::parse("farm").unwrap(),
        root_version,
        sequence,
        issued_at: ISSUED,
        expires_at: EXPIRES,
        roles: vec![Role {
            name: RoleName::parse("sensor").unwrap(),
            grants: vec![grant],
            manifest_age_seconds: None,
        }],
        groups: vec![GroupName::parse("shed").unwrap()],
        shards: shards.iter().map(|octets| Digest::of(octets)).collect(),
    }
}
