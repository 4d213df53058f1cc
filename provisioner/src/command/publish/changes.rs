//! What a manifest changes, for people who are to sign it.

use crate::error::{CommandError, Result};
use crate::registry::{Registry, state_word};
use edgeseal_trust::document::{DeviceEntry, Digest, Manifest, Shard};
use edgeseal_trust::id::DeviceId;
use std::collections::{BTreeMap, BTreeSet};

/// One line for each thing that `next` changes in what was published last.
///
/// # Errors
/// The shards of `next` or of the last publish are not here.
pub(super) fn between(registry: &Registry, next: &Manifest) -> Result<Vec<String>> {
    let last = registry.manifest()?;
    let last = last.as_ref().map(|last| last.content());
    let (old, new): (BTreeSet<Digest>, BTreeSet<Digest>) = (
        last.iter()
            .flat_map(|last| last.shards.iter().copied())
            .collect(),
        next.shards.iter().copied().collect(),
    );
    let mut before = BTreeMap::new();
    for digest in old.difference(&new) {
        read(&registry.shard(*digest)?, &mut before)?;
    }
    let mut after = BTreeMap::new();
    for digest in new.difference(&old) {
        read(&registry.prepared_shard(*digest)?, &mut after)?;
    }
    let mut lines = Vec::new();
    if let Some(last) = last {
        for role in &next.roles {
            let was = last.roles.iter().find(|was| was.name == role.name);
            match was {
                None => lines.push(format!("role {}: new", role.name)),
                Some(was) if was != role => lines.push(format!("role {}: changed", role.name)),
                Some(_) => {}
            }
        }
        for role in &last.roles {
            if next.roles.iter().all(|now| now.name != role.name) {
                lines.push(format!("role {}: gone", role.name));
            }
        }
    }
    for (id, entry) in &after {
        match before.remove(id) {
            Some(was) if was == *entry => {}
            was => lines.push(line(was.as_ref(), entry)),
        }
    }
    lines.extend(before.keys().map(|id| format!("{id}: gone")));
    Ok(lines)
}

fn line(was: Option<&DeviceEntry>, entry: &DeviceEntry) -> String {
    let (id, now) = (&entry.id, state_word(entry.state));
    let Some(was) = was else {
        return format!("{id}: new, {now}");
    };
    let mut what = Vec::new();
    if was.state != entry.state {
        what.push(format!("{} -> {now}", state_word(was.state)));
    }
    for (changed, name) in [
        (was.keys != entry.keys, "keys"),
        (was.roles != entry.roles, "roles"),
        (was.groups != entry.groups, "groups"),
    ] {
        if changed {
            what.push(name.to_owned());
        }
    }
    if what.is_empty() {
        what.push("serial or reason".to_owned());
    }
    format!("{id}: {}", what.join(", "))
}

fn read(octets: &[u8], entries: &mut BTreeMap<DeviceId, DeviceEntry>) -> Result<()> {
    let shard = Shard::reload(octets);
    let shard = shard.map_err(|why| CommandError::configuration(why.code(), why.to_string()))?;
    entries.extend(
        shard
            .into_devices()
            .into_iter()
            .map(|entry| (entry.id.clone(), entry)),
    );
    Ok(())
}
