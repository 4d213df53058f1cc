//! What a manifest changes, for people who are to sign it.

use crate::error::Result;
use crate::registry::{Changes, Registry};
use edgeseal_trust::document::Manifest;

/// One line for each thing that `next` changes in what was published last.
///
/// # Errors
/// The shards of `next` or of the last publish are not here.
pub(super) fn between(registry: &Registry, next: &Manifest) -> Result<Vec<String>> {
    let last = registry.manifest()?;
    let last = last.as_ref().map(|last| last.content());
    let changes = Changes::between(last, next, |digest| match registry.has_shard(digest) {
        true => registry.shard(digest),
        false => registry.prepared_shard(digest),
    })?;
    let devices = changes.devices.iter();
    let devices = devices.map(|(id, what)| format!("{id}: {what}"));
    Ok(changes.tables.into_iter().chain(devices).collect())
}
