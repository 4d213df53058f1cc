//! Shards: the registry entries of the devices whose id hashes into them.

use super::manifest::{check_shard_count, once_each};
use super::read::{Versioned, at_most, at_most_octets, read, short_text, write};
use super::{Digest, DocumentRejection, FORMAT, JwkText, Manifest};
use crate::id::{DeviceId, GroupName, RoleName};
use crate::key::VerifyingKey;
use crate::limits;
use crate::registry::{Device, DeviceState, KeyState, PeerKey};
use crate::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The content of a shard. It is not signed: the manifest names it by the SHA-256 of its octets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shard {
    index: u32,
    of: u32,
    devices: Vec<DeviceEntry>,
}

/// What the registry says of one device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceEntry {
    /// Its id.
    pub id: DeviceId,
    /// Its state.
    pub state: DeviceState,
    /// Why it is suspended or revoked.
    pub reason: Option<String>,
    /// Its keys.
    pub keys: Vec<KeyEntry>,
    /// Its roles, each defined by the manifest.
    pub roles: Vec<RoleName>,
    /// Its groups, each listed by the manifest.
    pub groups: Vec<GroupName>,
    /// The serial of the board it was enrolled on.
    pub serial: Option<String>,
}

/// One key of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyEntry {
    /// The public key.
    pub key: VerifyingKey,
    /// Its state.
    pub state: KeyState,
    /// Tokens issued before this moment are refused.
    pub not_before: UnixTime,
    /// When it was retired: for retired keys, and for each of them.
    pub retired_at: Option<UnixTime>,
}

/// The index of the shard, of `count`, that a device belongs to: the first log2(count) bits,
/// big-endian, of the SHA-256 of its id. `count` is a power of two.
pub fn shard_of(device: &DeviceId, count: u32) -> u32 {
    let digest = Digest::of(device.as_str().as_bytes());
    let [a, b, c, d, ..] = *digest.octets();
    let bits = count.checked_ilog2().unwrap_or(0);
    let first = u64::from(u32::from_be_bytes([a, b, c, d]));
    // 64 bits wide, so that a shift by 32 (one shard) is no special case; the rest is < count.
    u32::try_from(first >> u32::BITS.saturating_sub(bits)).unwrap_or(0)
}

impl Shard {
    /// A shard of these entries, brought into the order of their ids.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the entries break a rule that every reader applies.
    pub fn new(
        index: u32,
        of: u32,
        mut devices: Vec<DeviceEntry>,
    ) -> Result<Self, DocumentRejection> {
        devices.sort_by(|a, b| a.id.cmp(&b.id));
        let shard = Self { index, of, devices };
        shard.check()?;
        Ok(shard)
    }

    /// The octets of the shard: what the manifest's digest is of.
    ///
    /// # Errors
    /// [`DocumentRejection::Size`] when there are more than [`limits::SHARD_OCTETS`]: more shards
    /// are needed.
    pub fn to_octets(&self) -> Result<Vec<u8>, DocumentRejection> {
        let octets = write(&ShardText {
            format: FORMAT,
            index: self.index,
            of: self.of,
            devices: self.devices.iter().map(EntryText::of).collect(),
        });
        at_most_octets(&octets, limits::SHARD_OCTETS)?;
        Ok(octets)
    }

    /// Reads and judges a shard: form, keys, order, places, and nothing twice in it.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses.
    pub fn parse(octets: &[u8]) -> Result<Self, DocumentRejection> {
        Self::read(octets, JwkText::import)
    }

    /// Reads back a shard that [`Shard::parse`] let in before and the store kept under its digest.
    /// Skips the tests of the keys, which cost far more than the rest.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the store's copy is damaged.
    pub fn reload(octets: &[u8]) -> Result<Self, DocumentRejection> {
        Self::read(octets, JwkText::reload)
    }

    /// Judges the shard as the one of `manifest` at `index`: roles and groups exist.
    ///
    /// # Errors
    /// [`DocumentRejection::ShardIndex`], [`DocumentRejection::UnknownRole`] or
    /// [`DocumentRejection::UnknownGroup`].
    pub fn check_against(&self, manifest: &Manifest, index: u32) -> Result<(), DocumentRejection> {
        if (self.index, self.of) != (index, manifest.shard_count()) {
            return Err(DocumentRejection::ShardIndex {
                index: self.index,
                of: self.of,
                expected_index: index,
                expected_of: manifest.shard_count(),
            });
        }
        let roles: BTreeSet<_> = manifest.roles.iter().map(|role| &role.name).collect();
        let groups: BTreeSet<_> = manifest.groups.iter().collect();
        for entry in &self.devices {
            let device = || entry.id.clone();
            if let Some(role) = entry.roles.iter().find(|role| !roles.contains(role)) {
                let (device, role) = (device(), role.clone());
                return Err(DocumentRejection::UnknownRole { device, role });
            }
            if let Some(group) = entry.groups.iter().find(|group| !groups.contains(group)) {
                let (device, group) = (device(), group.clone());
                return Err(DocumentRejection::UnknownGroup { device, group });
            }
        }
        Ok(())
    }

    /// Its index, from 0.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// The number of shards it is one of.
    pub const fn of(&self) -> u32 {
        self.of
    }

    /// Its entries in the order of their ids.
    pub fn devices(&self) -> &[DeviceEntry] {
        &self.devices
    }

    /// Its entries, taken.
    pub fn into_devices(self) -> Vec<DeviceEntry> {
        self.devices
    }

    fn read(octets: &[u8], key: ReadKey) -> Result<Self, DocumentRejection> {
        at_most_octets(octets, limits::SHARD_OCTETS)?;
        let text: ShardText = read(octets, Versioned::Yes)?;
        let devices: Result<_, _> = text.devices.into_iter().map(|d| d.entry(key)).collect();
        let shard = Self {
            index: text.index,
            of: text.of,
            devices: devices?,
        };
        shard.check()?;
        Ok(shard)
    }

    fn check(&self) -> Result<(), DocumentRejection> {
        check_shard_count(self.of)?;
        let mut before: Option<&DeviceId> = None;
        let mut kids = BTreeSet::new();
        for entry in &self.devices {
            let id = || entry.id.clone();
            match before.map(|before| before.cmp(&entry.id)) {
                Some(std::cmp::Ordering::Equal) => {
                    return Err(DocumentRejection::DuplicateDevice(id()));
                }
                Some(std::cmp::Ordering::Greater) => {
                    return Err(DocumentRejection::NotSorted(id()));
                }
                _ => before = Some(&entry.id),
            }
            let belongs = shard_of(&entry.id, self.of);
            if belongs != self.index {
                let device = id();
                return Err(DocumentRejection::ShardMisplaced { device, belongs });
            }
            entry.check()?;
            if let Some(twice) = entry.keys.iter().find(|k| !kids.insert(k.key.id())) {
                return Err(DocumentRejection::DuplicateKid(twice.key.id()));
            }
        }
        Ok(())
    }
}

impl DeviceEntry {
    /// Judges the entry by itself.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first rule it breaks.
    pub fn check(&self) -> Result<(), DocumentRejection> {
        let cut_off = matches!(self.state, DeviceState::Revoked | DeviceState::Suspended);
        if self.reason.is_some() && !cut_off {
            return Err(DocumentRejection::Reason(self.id.clone()));
        }
        short_text(self.reason.as_deref(), "reason", limits::REASON_OCTETS)?;
        short_text(self.serial.as_deref(), "serial", limits::SERIAL_OCTETS)?;
        at_most(limits::DEVICE_KEYS, "keys of one device", self.keys.len())?;
        at_most(limits::MEMBERSHIPS, "roles of one device", self.roles.len())?;
        at_most(
            limits::MEMBERSHIPS,
            "groups of one device",
            self.groups.len(),
        )?;
        once_each("role", &self.roles)?;
        once_each("group", &self.groups)?;
        for key in &self.keys {
            if key.retired_at.is_some() != (key.state == KeyState::Retired) {
                return Err(DocumentRejection::RetiredAt(key.key.id()));
            }
        }
        Ok(())
    }

    /// Makes a suspended device active again: nothing it signed before `now` is believed.
    pub fn resume(&mut self, now: UnixTime) {
        self.state = DeviceState::Active;
        self.reason = None;
        for key in &mut self.keys {
            key.not_before = key.not_before.max(now);
        }
    }

    /// The device as far as a verdict needs it.
    pub fn device(&self) -> Device {
        Device {
            id: self.id.clone(),
            state: self.state,
            roles: self.roles.as_slice().into(),
            groups: self.groups.as_slice().into(),
        }
    }

    /// Its keys, each with the device that owns it.
    pub fn peer_keys(&self) -> Vec<PeerKey> {
        let device = Arc::new(self.device());
        let peer = |entry: &KeyEntry| PeerKey {
            key: entry.key.clone(),
            state: entry.state,
            not_before: entry.not_before,
            retired_at: entry.retired_at,
            device: Arc::clone(&device),
        };
        self.keys.iter().map(peer).collect()
    }
}

type ReadKey = fn(&JwkText) -> Result<VerifyingKey, DocumentRejection>;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ShardText {
    format: u64,
    index: u32,
    of: u32,
    devices: Vec<EntryText>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    id: DeviceId,
    state: DeviceState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    keys: Vec<KeyText>,
    roles: Vec<RoleName>,
    groups: Vec<GroupName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyText {
    jwk: JwkText,
    state: KeyState,
    not_before: UnixTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_at: Option<UnixTime>,
}

impl EntryText {
    fn of(entry: &DeviceEntry) -> Self {
        let key = |entry: &KeyEntry| KeyText {
            jwk: JwkText::of(&entry.key),
            state: entry.state,
            not_before: entry.not_before,
            retired_at: entry.retired_at,
        };
        Self {
            id: entry.id.clone(),
            state: entry.state,
            reason: entry.reason.clone(),
            keys: entry.keys.iter().map(key).collect(),
            roles: entry.roles.clone(),
            groups: entry.groups.clone(),
            serial: entry.serial.clone(),
        }
    }

    fn entry(self, read_key: ReadKey) -> Result<DeviceEntry, DocumentRejection> {
        at_most(limits::DEVICE_KEYS, "keys of one device", self.keys.len())?;
        let key = |text: KeyText| {
            Ok(KeyEntry {
                key: read_key(&text.jwk)?,
                state: text.state,
                not_before: text.not_before,
                retired_at: text.retired_at,
            })
        };
        let keys: Result<_, _> = self.keys.into_iter().map(key).collect();
        Ok(DeviceEntry {
            id: self.id,
            state: self.state,
            reason: self.reason,
            keys: keys?,
            roles: self.roles,
            groups: self.groups,
            serial: self.serial,
        })
    }
}
