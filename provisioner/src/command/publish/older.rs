//! A publish before the last one, whose content is to be signed again: after a theft, the last honest one.

use super::approved::judge_approved;
use crate::error::{CommandError, Result};
use crate::registry::Registry;
use edgeseal_trust::document::{Document, Manifest};

/// The newest kept publish of this sequence, once its signatures are judged and all of it is here.
///
/// # Errors
/// `sequence-not-kept`; it, or a shard of it, is damaged; `approvals-missing`.
pub(crate) fn older(registry: &Registry, sequence: u64) -> Result<Manifest> {
    let places = registry.history_places()?;
    let place = places.iter().rfind(|(_, kept)| *kept == sequence);
    let Some(place) = place else {
        let kept: Vec<String> = places.iter().map(|(_, kept)| kept.to_string()).collect();
        let reason = format!(
            "no publish with the sequence {sequence} is kept; these are: {}",
            kept.join(", ")
        );
        return Err(CommandError::no("sequence-not-kept", reason).hint("edgeseal history"));
    };
    let manifest = registry.history_manifest(*place)?;
    let roots = registry.roots()?;
    let mut root = roots.iter().map(Document::content);
    let root = root.find(|root| root.version == place.0);
    let judged = root.map(|root| manifest.verify(&root.registrar));
    if !matches!(judged, Some(Ok(()))) {
        let reason = format!(
            "the publish with the sequence {sequence} is kept, and is not signed by its registrar keys"
        );
        return Err(CommandError::configuration("registry-corrupt", reason)
            .hint("restore published/history (git checkout, or your backup)"));
    }
    for digest in &manifest.content().shards {
        registry.shard(*digest)?;
    }
    judge_approved(registry, manifest.content())?;
    Ok(manifest.content().clone())
}
