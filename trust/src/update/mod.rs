//! Applying trust documents: everything is judged in memory, then committed once by the store.
//!
//! [`evaluate`] judges roots and manifest and says which shards are lacking; each lacking shard is
//! judged alone by [`Evaluation::take_shard`], so that memory does not grow with the fleet; then
//! [`Evaluation::finish`] gives the [`Update`]. No clock takes part: expired documents apply, else
//! slowing a clock would block a revocation.

mod apply;
mod chain;
mod order;
mod reject;

pub use apply::{Evaluation, Held, Nothing, Taken, UpdateError, read_bundle};
pub use chain::judge_successor;
pub use reject::{DocumentName, UpdateRejection};

use crate::document::{Digest, Document, DocumentRejection, Manifest, Root};
use crate::registry::TrustView;
use crate::words::Words;
use std::cmp::Ordering;
use std::sync::Arc;

/// The place of a manifest in the order of all manifests of a domain, with the SHA-256 of its
/// payload ([`Document::payload_digest`]): the durable high-water mark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    /// The version of the root that the manifest names.
    pub root_version: u64,
    /// Its sequence under that root.
    pub sequence: u64,
    /// The SHA-256 of its payload.
    pub payload: Digest,
}

/// What the store has.
#[derive(Clone, Copy, Default)]
pub struct Current<'a> {
    /// The newest root applied.
    pub root: Option<&'a Document<Root>>,
    /// The high-water mark, also when the manifest itself is lost.
    pub mark: Option<Mark>,
    /// The manifest applied last, in force or not, if all of its shards are held and indexed; where
    /// anything of it is lost, `None`: then every shard is asked for again.
    pub manifest: Option<&'a Document<Manifest>>,
}

/// What a carrier brought, except for the shards. Each part may be absent.
#[derive(Clone, Copy, Default)]
pub struct Offer<'a> {
    /// Root documents, oldest first, without gaps.
    pub roots: &'a [&'a [u8]],
    /// A manifest.
    pub manifest: Option<&'a [u8]>,
}

/// An evaluated update: what to write, and what is in force then. The mark must be durable before
/// anything of it is used.
#[derive(Debug)]
#[must_use]
pub struct Update {
    /// The newest root.
    pub root: Document<Root>,
    /// Root documents to write, oldest first; the newest is [`Update::root`].
    pub new_roots: Vec<Document<Root>>,
    /// The manifest to write, if it is another than the one held.
    pub new_manifest: Option<Document<Manifest>>,
    /// The high-water mark; `None` before the first manifest.
    pub mark: Option<Mark>,
    /// What is in force then.
    pub in_force: InForce,
    /// Shards that are new at their place, by index. Once the entries of the removed ones have left
    /// the index, theirs enter it.
    pub new_shards: Vec<(u32, Digest)>,
    /// Digests of shards that the manifest does not name any more. Their entries leave the index.
    pub removed_shards: Vec<Digest>,
    /// The index is emptied first: [`Current::manifest`] was absent, so nothing in it is known to
    /// belong to the new shards.
    pub rebuild_index: bool,
}

/// Whether there is a manifest to judge by.
#[derive(Clone, Debug)]
pub enum InForce {
    /// The trust data in force.
    Manifest(TrustView),
    /// No manifest was ever applied, or the one held is not signed by the registrar of the newest
    /// root: the failure `no-manifest`, until one under that root arrives.
    NoManifest(Option<DocumentRejection>),
}

/// Judges roots and manifest by the rules of TUF's root chain and by the order of manifests.
/// `pin` are the words of the first root, typed by a person; only with them a root is accepted
/// where there is none. They are not looked at where a root is held already.
///
/// # Errors
/// [`UpdateRejection`] of the first check that refuses; then everything stays as it is.
pub fn evaluate(
    current: Current<'_>,
    offer: Offer<'_>,
    pin: Option<&Words>,
) -> Result<Evaluation, UpdateRejection> {
    let new_roots = chain::follow(current.root, offer.roots, pin)?;
    let newest = new_roots.last().or(current.root);
    let newest = newest.ok_or(UpdateRejection::FirstRootNotPinned)?.clone();
    let new_manifest = match offer.manifest {
        Some(octets) => order::judge(octets, newest.content(), &current)?,
        None => None,
    };
    Ok(Evaluation::begin(current, newest, new_roots, new_manifest))
}

/// Whether the manifest held is in force under the newest root: asked at every start, and by
/// [`evaluate`] whenever a root is applied.
pub fn in_force(root: &Root, manifest: Option<&Document<Manifest>>) -> InForce {
    let Some(manifest) = manifest else {
        return InForce::NoManifest(None);
    };
    match manifest.verify(&root.registrar) {
        Ok(()) => InForce::Manifest(view(root, manifest.content())),
        Err(why) => InForce::NoManifest(Some(why)),
    }
}

/// The trust data that a root and a manifest say, without the keys.
pub fn view(root: &Root, manifest: &Manifest) -> TrustView {
    let roles = manifest.roles.iter();
    TrustView {
        domain: manifest.domain.clone(),
        root_version: root.version,
        root_expires_at: root.expires_at,
        sequence: manifest.sequence,
        issued_at: manifest.issued_at,
        expires_at: manifest.expires_at,
        roles: roles
            .map(|role| (role.name.clone(), Arc::new(role.clone())))
            .collect(),
    }
}

impl Mark {
    /// The mark of a manifest.
    pub const fn of(manifest: &Document<Manifest>) -> Self {
        let content = manifest.content();
        Self {
            root_version: content.root_version,
            sequence: content.sequence,
            payload: manifest.payload_digest(),
        }
    }

    /// The order of manifests: by root version, then by sequence.
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |mark: &Self| (mark.root_version, mark.sequence);
        place(self).cmp(&place(other))
    }
}

impl Update {
    /// Whether everything offered was applied before: there is nothing to write.
    pub fn is_already_current(&self) -> bool {
        self.new_roots.is_empty() && self.new_manifest.is_none()
    }
}

#[cfg(test)]
mod tests;
