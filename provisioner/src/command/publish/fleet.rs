//! The devices of the registry, laid out in shards.

use crate::error::{CommandError, Result};
use crate::registry::{HeldBack, Registry};
use edgeseal_trust::document::{
    DeviceEntry, Digest, Document, DocumentRejection, Manifest, Shard, shard_of,
};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::limits;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Every shard as it would be published now, in the order of indices.
pub(crate) struct Fleet {
    shards: Vec<(Digest, Vec<u8>)>,
    held: HeldBack,
}

impl Fleet {
    /// Lays out the registry: a power of two of shards with some hundred devices each, never fewer
    /// than `at_least`, because another number rewrites every shard. A role that several persons give is
    /// in it only where they have approved it: nothing is published by another way.
    ///
    /// # Errors
    /// A shard is larger than any may be, or an approval does not verify.
    pub(crate) fn of(registry: &Registry, at_least: u32) -> Result<Self> {
        let count = shard_count(registry.devices().len()).max(at_least);
        let held = registry.held_back()?;
        let mut parts: BTreeMap<u32, Vec<DeviceEntry>> = BTreeMap::new();
        for device in registry.devices().values() {
            let entry = held.entry(device);
            parts
                .entry(shard_of(&entry.id, count))
                .or_default()
                .push(entry);
        }
        let shard = |index: u32| {
            let entries = parts.remove(&index).unwrap_or_default();
            let octets = Shard::new(index, count, entries)?.to_octets()?;
            Ok((Digest::of(&octets), octets))
        };
        let shards: std::result::Result<_, DocumentRejection> = (0..count).map(shard).collect();
        let shards =
            shards.map_err(|why| CommandError::no(why.code(), format!("the devices: {why}")))?;
        Ok(Self { shards, held })
    }

    /// The digests, as the manifest lists them.
    pub(crate) fn digests(&self) -> Vec<Digest> {
        self.shards.iter().map(|(digest, _)| *digest).collect()
    }

    /// What is in it with less than the registry says.
    pub(crate) const fn held(&self) -> &HeldBack {
        &self.held
    }

    /// The shards with their digests.
    pub(crate) fn shards(&self) -> impl ExactSizeIterator<Item = (Digest, &[u8])> {
        self.shards
            .iter()
            .map(|(digest, octets)| (*digest, octets.as_slice()))
    }

    /// The devices that were published with what they would lose by this, although nobody took it from them: their lines of
    /// `approvals.jsonl` were lost.
    ///
    /// # Errors
    /// The last publish cannot be read.
    pub(crate) fn approvals_lost(
        &self,
        registry: &Registry,
        last: Option<&Manifest>,
    ) -> Result<Vec<DeviceId>> {
        let Some(last) = last else {
            return Ok(Vec::new());
        };
        let count = last.shard_count();
        let indices: BTreeSet<u32> = self.held.ids().map(|id| shard_of(id, count)).collect();
        let mut lost = Vec::new();
        for (index, digest) in (0..).zip(&last.shards) {
            if !indices.contains(&index) {
                continue;
            }
            let entries = shard(registry, *digest)?.into_devices().into_iter();
            let entries = entries.filter(|entry| registry.is_lost(entry, &self.held));
            lost.extend(entries.map(|entry| entry.id));
        }
        lost.sort();
        Ok(lost)
    }

    /// Refuses a registry that lacks approvals by which devices were published: they would be cut off without a word.
    ///
    /// # Errors
    /// It does, or the last publish cannot be read.
    pub(crate) fn judge_no_approval_lost(
        &self,
        registry: &Registry,
        last: Option<&Manifest>,
    ) -> Result<()> {
        let lost = self.approvals_lost(registry, last)?;
        let Some(first) = lost.first() else {
            return Ok(());
        };
        let count = lost.len();
        let reason = format!(
            "{count} devices that were published would lose a role that several persons gave, {first} among them: \
             their lines of approvals.jsonl are not there any more"
        );
        Err(CommandError::configuration("approvals-lost", reason).hint(
            "restore approvals.jsonl of the registry (git checkout, or your backup); or approve them anew: edgeseal approval give \
             --all --keys DIR; or let them go: edgeseal publish --drop-unapproved",
        ))
    }

    /// Refuses a registry that lacks devices which were published: a file of it was lost. Devices
    /// are revoked, never removed.
    ///
    /// # Errors
    /// It does, or the last publish cannot be read.
    pub(crate) fn judge_nothing_lost(
        &self,
        registry: &Registry,
        last: Option<&Manifest>,
    ) -> Result<()> {
        let (_, before) = changed_devices(registry, self, last)?;
        let mut lost = before
            .iter()
            .filter(|id| !registry.devices().contains_key(*id));
        let Some(first) = lost.next() else {
            return Ok(());
        };
        let count = lost.count().saturating_add(1);
        let reason = format!(
            "{count} devices that were published are not in the registry any more, {first} among them"
        );
        Err(CommandError::configuration("devices-lost", reason).hint(
            "a file below devices/ is missing: restore it (git checkout, or your backup); \
             to cut a device off, revoke it",
        ))
    }
}

/// The devices that differ from the last publish, and of these the ones that it had.
///
/// # Errors
/// The last publish cannot be read.
pub(crate) fn changed_devices(
    registry: &Registry,
    fleet: &Fleet,
    last: Option<&Manifest>,
) -> Result<(Vec<DeviceId>, Vec<DeviceId>)> {
    let now: HashSet<Digest> = fleet.digests().into_iter().collect();
    let mut before: BTreeMap<DeviceId, DeviceEntry> = BTreeMap::new();
    let mut same: HashSet<DeviceId> = HashSet::new();
    for digest in last
        .map(|manifest| manifest.shards.as_slice())
        .unwrap_or_default()
    {
        if now.contains(digest) {
            continue;
        }
        for entry in shard(registry, *digest)?.into_devices() {
            before.insert(entry.id.clone(), entry);
        }
    }
    let unchanged_shards: HashSet<u32> = unchanged(fleet, last);
    let count = u32::try_from(fleet.shards.len()).unwrap_or(u32::MAX);
    let mut changed = Vec::new();
    for device in registry.devices().values() {
        if unchanged_shards.contains(&shard_of(&device.id, count)) {
            continue;
        }
        let entry = fleet.held.entry(device);
        if before.get(&device.id) == Some(&entry) {
            same.insert(entry.id);
        } else {
            changed.push(entry.id);
        }
    }
    before.retain(|id, _| !same.contains(id));
    Ok((changed, before.into_keys().collect()))
}

/// A shard of the last publish.
fn shard(registry: &Registry, digest: Digest) -> Result<Shard> {
    Shard::reload(&registry.shard(digest)?).map_err(|why| {
        let reason = format!("published/shard/{digest}.json: {why}");
        CommandError::configuration("registry-corrupt", reason)
            .hint("restore published/ (git checkout, or your backup)")
    })
}

/// Whether devices of the registry differ from what was published last.
///
/// # Errors
/// The last publish cannot be read.
pub(crate) fn has_unpublished(registry: &Registry) -> Result<bool> {
    let last = registry.manifest()?;
    let last = last.as_ref().map(Document::content);
    let fleet = Fleet::of(registry, last.map_or(1, Manifest::shard_count))?;
    Ok(last.is_none_or(|last| last.shards != fleet.digests()))
}

/// The indices of the shards that the last publish had too.
fn unchanged(fleet: &Fleet, last: Option<&Manifest>) -> HashSet<u32> {
    let last: HashSet<Digest> = last
        .iter()
        .flat_map(|manifest| manifest.shards.iter().copied())
        .collect();
    (0..)
        .zip(&fleet.shards)
        .filter(|(_, (digest, _))| last.contains(digest))
        .map(|(index, _)| index)
        .collect()
}

fn shard_count(devices: usize) -> u32 {
    let wanted = devices.div_ceil(DEVICES_PER_SHARD).max(1);
    let count = wanted.checked_next_power_of_two().unwrap_or(usize::MAX);
    u32::try_from(count)
        .unwrap_or(limits::SHARDS)
        .min(limits::SHARDS)
}

const DEVICES_PER_SHARD: usize = 100;

#[cfg(test)]
mod tests {
    use super::shard_count;

    #[test]
    fn shards_hold_some_hundred_devices() {
        for (devices, shards) in [
            (0, 1),
            (100, 1),
            (101, 2),
            (10_000, 128),
            (100_000, 1024),
            (10_000_000, 4096),
        ] {
            assert_eq!(shard_count(devices), shards, "{devices}");
        }
    }
}
