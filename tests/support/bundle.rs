//! The trust bundle of the domain: the same data as [`Domain::new`], as signed documents.

use super::domain::{self, Domain, MEMBERS, Member, NOW, RETIRED, SEQUENCE};
use edgeseal_trust::document::{
    Authority, BundleReader, BundleWriter, DeviceEntry, Digest, DocumentType, KeyEntry, Manifest,
    Root, Shard, shard_of, sign,
};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::KeyState;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::update::{Current, InForce, Nothing, read_bundle};
use edgeseal_trust::words::Words;
use std::collections::BTreeSet;

const SHARDS: u32 = 4;

/// The bundle file: one root of two keys, a manifest, four shards.
pub fn bundle() -> Vec<u8> {
    let (first, second, registrar) = (domain::key(101), domain::key(102), domain::key(103));
    let at = UnixTime::from_seconds;
    let root = Root {
        domain: TrustDomain::parse("farm").unwrap(),
        version: 1,
        issued_at: at(NOW - 2_000_000),
        expires_at: at(NOW + 100_000_000),
        root: authority(2, &[&first, &second]),
        registrar: authority(1, &[&registrar]),
    };
    let shards: Vec<Vec<u8>> = (0..SHARDS).map(shard).collect();
    let groups: BTreeSet<&str> = MEMBERS.iter().flat_map(|m| m.groups).copied().collect();
    let manifest = Manifest {
        domain: root.domain.clone(),
        root_version: 1,
        sequence: SEQUENCE,
        issued_at: at(NOW - 86_400),
        expires_at: at(NOW + 1_000_000),
        roles: domain::roles(),
        groups: groups
            .into_iter()
            .map(|name| GroupName::parse(name).unwrap())
            .collect(),
        shards: shards.iter().map(|octets| Digest::of(octets)).collect(),
    };
    let root = sign(
        DocumentType::Root,
        &root.to_payload().unwrap(),
        &[&first, &second],
    );
    let manifest = manifest.to_payload().unwrap();
    let manifest = sign(DocumentType::Manifest, &manifest, &[&registrar]);
    let mut writer = BundleWriter::begin(Vec::new(), &[&root], &manifest, SHARDS).unwrap();
    for shard in &shards {
        writer.shard(shard).unwrap();
    }
    writer.finish().unwrap()
}

/// The domain that a bundle file describes, its first root pinned by its words.
pub fn read(octets: &[u8]) -> Domain {
    let mut reader = BundleReader::open(octets).unwrap();
    let words = Words::of_root(reader.roots().next().unwrap());
    let mut peers = Vec::new();
    let update = read_bundle(
        &mut reader,
        Current::default(),
        Some(&words),
        &Nothing,
        |shard, _| {
            peers.extend(shard.devices().iter().flat_map(DeviceEntry::peer_keys));
            Ok(())
        },
    );
    let InForce::Manifest(view) = update.unwrap().in_force else {
        panic!("no manifest in force");
    };
    let keys = peers
        .into_iter()
        .map(|peer| (peer.key.id(), peer))
        .collect();
    Domain { view, keys }
}

fn authority(threshold: u32, keys: &[&SigningKey]) -> Authority {
    let keys = keys.iter().map(|key| key.public().clone());
    Authority::new(threshold, keys.collect()).unwrap()
}

fn shard(index: u32) -> Vec<u8> {
    let entries = MEMBERS.iter().map(entry);
    let mine = entries.filter(|entry| shard_of(&entry.id, SHARDS) == index);
    Shard::new(index, SHARDS, mine.collect())
        .unwrap()
        .to_octets()
        .unwrap()
}

fn entry(member: &Member) -> DeviceEntry {
    let key = |(seed, state): &(u8, KeyState)| KeyEntry {
        key: domain::key(*seed).public().clone(),
        state: *state,
        not_before: UnixTime::from_seconds(domain::not_before(*seed)),
        retired_at: (*state == KeyState::Retired).then(|| UnixTime::from_seconds(RETIRED)),
    };
    DeviceEntry {
        id: DeviceId::parse(member.id).unwrap(),
        state: member.state,
        reason: None,
        keys: member.keys.iter().map(key).collect(),
        roles: member
            .roles
            .iter()
            .map(|name| RoleName::parse(name).unwrap())
            .collect(),
        groups: member
            .groups
            .iter()
            .map(|name| GroupName::parse(name).unwrap())
            .collect(),
        serial: None,
    }
}
