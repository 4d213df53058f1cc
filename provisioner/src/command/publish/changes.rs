//! What a manifest changes, for people who are to sign it.

use crate::error::{CommandError, Result};
use crate::registry::{Changes, Registry};
use edgeseal_trust::document::{Digest, Manifest, Shard};

/// One line for each thing that `next` changes in what was published last.
///
/// # Errors
/// The shards of `next` or of the last publish are not here.
pub(super) fn between(registry: &Registry, next: &Manifest) -> Result<Vec<String>> {
    let last = registry.manifest()?;
    let last = last.as_ref().map(|last| last.content());
    let changes = Changes::between(last, next, |digest| octets(registry, digest))?;
    let devices = changes.devices.iter();
    let devices = devices.map(|(id, what)| format!("{id}: {what}"));
    Ok(changes.tables.into_iter().chain(devices).collect())
}

/// A shard of a manifest that was published, or waits for signatures.
///
/// # Errors
/// It is not here, or damaged.
pub(super) fn shard(registry: &Registry, digest: Digest) -> Result<Shard> {
    Shard::reload(&octets(registry, digest)?).map_err(|why| {
        CommandError::configuration("registry-corrupt", format!("{digest}.json: {why}"))
            .hint("restore published/ (git checkout, or your backup)")
    })
}

fn octets(registry: &Registry, digest: Digest) -> Result<Vec<u8>> {
    match registry.has_shard(digest) {
        true => registry.shard(digest),
        false => registry.prepared_shard(digest),
    }
}
