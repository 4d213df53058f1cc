//! A trust domain for tests: signs documents as the operator's program does.
#![allow(dead_code, reason = "no test file uses all of it")]

use edgeseal_trust::document::{
    Authority, BundleWriter, DeviceEntry, Digest, DocumentType, KeyEntry, Manifest, Root, Shard,
    shard_of, sign,
};
use edgeseal_trust::id::{DeviceId, GroupName, RoleName, TrustDomain};
use edgeseal_trust::key::{KeyId, SigningKey};
use edgeseal_trust::registry::{DeviceState, KeyState, Role};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::words::Words;

pub(crate) struct Domain {
    root_key: SigningKey,
    registrar: SigningKey,
    roots: Vec<Vec<u8>>,
}

impl Domain {
    pub(crate) fn new() -> Self {
        let mut domain = Self {
            root_key: SigningKey::from_seed(&[200; 32]),
            registrar: SigningKey::from_seed(&[201; 32]),
            roots: Vec::new(),
        };
        domain.add_root();
        domain
    }

    /// The next root, with another registrar key.
    pub(crate) fn replace_registrar(&mut self, seed: u8) {
        self.registrar = SigningKey::from_seed(&[seed; 32]);
        self.add_root();
    }

    pub(crate) fn root(&self, version: usize) -> &[u8] {
        &self.roots[version - 1]
    }

    pub(crate) fn words(&self) -> Words {
        Words::of_root(self.root(1))
    }

    pub(crate) fn root_version(&self) -> u64 {
        u64::try_from(self.roots.len()).unwrap()
    }

    /// A bundle with every root, a manifest of that sequence, and the devices in `of` shards.
    pub(crate) fn bundle(&self, sequence: u64, of: u32, devices: &[DeviceEntry]) -> Vec<u8> {
        self.bundle_under(self.root_version(), sequence, of, devices)
    }

    pub(crate) fn bundle_under(
        &self,
        root_version: u64,
        sequence: u64,
        of: u32,
        devices: &[DeviceEntry],
    ) -> Vec<u8> {
        let mut places: Vec<Vec<DeviceEntry>> = (0..of).map(|_| Vec::new()).collect();
        for device in devices {
            let place = usize::try_from(shard_of(&device.id, of)).unwrap();
            places[place].push(device.clone());
        }
        let shards = (0..of).zip(places);
        let shards: Vec<Vec<u8>> = shards
            .map(|(n, devices)| Shard::new(n, of, devices).unwrap().to_octets().unwrap())
            .collect();
        let manifest = Manifest {
            domain: TrustDomain::parse("farm").unwrap(),
            root_version,
            sequence,
            issued_at: UnixTime::from_seconds(1_800_000_000),
            expires_at: UnixTime::from_seconds(1_900_000_000),
            roles: vec![Role {
                name: RoleName::parse("pump").unwrap(),
                grants: Vec::new(),
                manifest_age_seconds: None,
            }],
            groups: vec![GroupName::parse("barn").unwrap()],
            shards: shards.iter().map(|octets| Digest::of(octets)).collect(),
        };
        let payload = manifest.to_payload().unwrap();
        let manifest = sign(DocumentType::Manifest, &payload, &[&self.registrar]);
        let roots: Vec<&[u8]> = self.roots.iter().map(Vec::as_slice).collect();
        let mut writer = BundleWriter::begin(Vec::new(), &roots, &manifest, of).unwrap();
        for shard in &shards {
            writer.shard(shard).unwrap();
        }
        writer.finish().unwrap()
    }

    fn add_root(&mut self) {
        let authority = |key: &SigningKey| Authority::new(1, vec![key.public().clone()]).unwrap();
        let root = Root {
            domain: TrustDomain::parse("farm").unwrap(),
            version: self.root_version() + 1,
            issued_at: UnixTime::from_seconds(1_700_000_000),
            expires_at: UnixTime::from_seconds(2_000_000_000),
            root: authority(&self.root_key),
            registrar: authority(&self.registrar),
        };
        let payload = root.to_payload().unwrap();
        self.roots
            .push(sign(DocumentType::Root, &payload, &[&self.root_key]));
    }
}

/// An active device with one key, both made from a number.
pub(crate) fn device(number: u64) -> DeviceEntry {
    DeviceEntry {
        id: DeviceId::parse(&format!("device-{number}")).unwrap(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![key_entry(number)],
        roles: vec![RoleName::parse("pump").unwrap()],
        groups: vec![GroupName::parse("barn").unwrap()],
        serial: None,
    }
}

pub(crate) fn devices(numbers: impl IntoIterator<Item = u64>) -> Vec<DeviceEntry> {
    numbers.into_iter().map(device).collect()
}

pub(crate) fn key_entry(number: u64) -> KeyEntry {
    KeyEntry {
        key: signing_key(number).public().clone(),
        state: KeyState::Active,
        not_before: UnixTime::from_seconds(1_800_000_000),
        retired_at: None,
    }
}

pub(crate) fn signing_key(number: u64) -> SigningKey {
    let mut seed = [1; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(&seed)
}

pub(crate) fn kid(number: u64) -> KeyId {
    signing_key(number).public().id()
}
