//! `edgeseal publish --signed`: a prepared manifest that has its signatures.

use super::approved::judge_approved;
use super::next::Signed;
use crate::clock;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::Registry;
use edgeseal_trust::document::{Digest, Document, DocumentRejection, Manifest, Unverified};
use edgeseal_trust::limits;
use std::path::Path;

/// Takes it as the manifest in force.
///
/// # Errors
/// It lacks signatures, is not higher than what was published last, its shards are not here any more, or it gives what was not approved.
pub(super) fn run(file: &Path, registry: &Registry) -> Result<Signed> {
    let octets = input::read(file, limits::MANIFEST_OCTETS);
    let octets = octets.map_err(|why| CommandError::io("read", file, &why))?;
    let root = registry.root()?;
    let root = root.content();
    let manifest = Document::<Manifest>::verified(&octets, &root.registrar)
        .map_err(|why| refused(file, &octets, &why))?;
    let content = manifest.content();
    judge_place(content, registry, root.version)?;
    if content.expires_at <= clock::now() {
        let reason = format!("it was valid until {}", content.expires_at.date());
        return Err(superseded(reason));
    }
    let mut new = Vec::new();
    for digest in &content.shards {
        if !registry.has_shard(*digest) {
            let shard = registry.prepared_shard(*digest);
            let lost = |_| superseded(format!("the registry does not have its shard {digest}"));
            new.push((*digest, shard.map_err(lost)?));
        }
    }
    judge_approved(registry, content)?;
    let shards: Vec<(Digest, &[u8])> = new
        .iter()
        .map(|(digest, octets)| (*digest, octets.as_slice()))
        .collect();
    let shards_changed = shards.len();
    registry.keep_published(manifest.octets(), shards)?;
    registry.prune(content)?;
    // One that was prepared since then waits on.
    let place = |manifest: &Manifest| (manifest.root_version, manifest.sequence);
    let prepared = registry.prepared()?;
    if prepared.is_none_or(|(_, other)| place(other.content()) <= place(content)) {
        registry.drop_prepared()?;
    }
    Ok(Signed {
        manifest,
        shards_changed,
    })
}

fn judge_place(manifest: &Manifest, registry: &Registry, root_version: u64) -> Result<()> {
    if manifest.domain != *registry.domain() || manifest.root_version != root_version {
        let reason = format!(
            "it is of the domain {} under root version {}; this registry is {} under {root_version}",
            manifest.domain,
            manifest.root_version,
            registry.domain()
        );
        return Err(superseded(reason));
    }
    let last = registry.manifest()?;
    match last.as_ref().map(Document::content) {
        Some(last) if (last.root_version, last.sequence) >= (root_version, manifest.sequence) => {
            let reason = format!(
                "it has the sequence {}, and {} was published",
                manifest.sequence, last.sequence
            );
            Err(superseded(reason))
        }
        _ => Ok(()),
    }
}

fn superseded(reason: String) -> CommandError {
    CommandError::no("prepared-superseded", reason)
        .hint("prepare it anew: edgeseal publish --keys DIR")
}

fn refused(file: &Path, octets: &[u8], why: &DocumentRejection) -> CommandError {
    let file = file.display();
    let signed = Unverified::parse(octets, edgeseal_trust::document::DocumentType::Manifest);
    let by: Vec<String> = signed.map_or_else(
        |_| Vec::new(),
        |document| document.kids().map(|kid| kid.to_string()).collect(),
    );
    let reason = format!("{file}: {why}; it is signed by {}", by.join(", "));
    CommandError::no(why.code(), reason).hint(format!(
        "where another registrar key is: edgeseal publish sign {file} --keys DIR"
    ))
}
