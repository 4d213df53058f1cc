//! What one manifest changes in another: for people who sign it, and for the history.

use super::state_word;
use crate::error::{CommandError, Result};
use edgeseal_trust::document::{DeviceEntry, Digest, Manifest, Shard};
use edgeseal_trust::id::DeviceId;
use std::collections::{BTreeMap, BTreeSet};

/// What changed, in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Changes {
    /// Roles, groups, root version.
    pub(crate) tables: Vec<String>,
    /// Devices.
    pub(crate) devices: BTreeMap<DeviceId, String>,
}

impl Changes {
    /// What `next` changes in `last`; only shards that one of them lacks are read, by `shard`.
    ///
    /// # Errors
    /// A shard is not there, or is none.
    pub(crate) fn between(
        last: Option<&Manifest>,
        next: &Manifest,
        shard: impl Fn(Digest) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let old = last.iter().flat_map(|last| last.shards.iter().copied());
        let old: BTreeSet<Digest> = old.collect();
        let new: BTreeSet<Digest> = next.shards.iter().copied().collect();
        let read = |digests: Vec<&Digest>| -> Result<BTreeMap<DeviceId, DeviceEntry>> {
            let mut entries = BTreeMap::new();
            for digest in digests {
                let shard = Shard::reload(&shard(*digest)?).map_err(|why| {
                    CommandError::configuration("registry-corrupt", format!("{digest}.json: {why}"))
                        .hint("restore published/ (git checkout, or your backup)")
                })?;
                let devices = shard.into_devices().into_iter();
                entries.extend(devices.map(|entry| (entry.id.clone(), entry)));
            }
            Ok(entries)
        };
        let mut before = read(old.difference(&new).collect())?;
        let after = read(new.difference(&old).collect())?;
        let mut devices = BTreeMap::new();
        for (id, entry) in after {
            match before.remove(&id) {
                Some(was) if was == entry => {}
                was => drop(devices.insert(id, device(was.as_ref(), &entry))),
            }
        }
        devices.extend(before.into_keys().map(|id| (id, "gone".to_owned())));
        Ok(Self {
            tables: last.map_or_else(Vec::new, |last| tables(last, next)),
            devices,
        })
    }
}

fn tables(last: &Manifest, next: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    if last.root_version != next.root_version {
        let (old, new) = (last.root_version, next.root_version);
        lines.push(format!("root version {old} -> {new}"));
    }
    for role in &next.roles {
        match last.roles.iter().find(|was| was.name == role.name) {
            None => lines.push(format!("role {}: new", role.name)),
            Some(was) if was != role => lines.push(format!("role {}: changed", role.name)),
            Some(_) => {}
        }
    }
    let gone = last.roles.iter();
    let gone = gone.filter(|role| next.roles.iter().all(|now| now.name != role.name));
    lines.extend(gone.map(|role| format!("role {}: gone", role.name)));
    let (old, new): (BTreeSet<_>, BTreeSet<_>) =
        (last.groups.iter().collect(), next.groups.iter().collect());
    lines.extend(
        new.difference(&old)
            .map(|name| format!("group {name}: new")),
    );
    lines.extend(
        old.difference(&new)
            .map(|name| format!("group {name}: gone")),
    );
    lines
}

fn device(was: Option<&DeviceEntry>, entry: &DeviceEntry) -> String {
    let now = state_word(entry.state);
    let reason = entry.reason.as_ref();
    let reason = reason.map_or(String::new(), |reason| format!(" ({reason})"));
    let Some(was) = was else {
        return format!("new, {now}{reason}");
    };
    let mut what = Vec::new();
    if was.state != entry.state {
        what.push(format!("{} -> {now}{reason}", state_word(was.state)));
    } else if was.reason != entry.reason {
        what.push(format!("reason{reason}"));
    }
    for (changed, name) in [
        (was.keys != entry.keys, "keys"),
        (was.roles != entry.roles, "roles"),
        (was.groups != entry.groups, "groups"),
        (was.serial != entry.serial, "serial"),
    ] {
        if changed {
            what.push(name.to_owned());
        }
    }
    what.join(", ")
}
