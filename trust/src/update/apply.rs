//! An update on its way: shards are judged one at a time, none is kept.

use super::{
    Current, DocumentName, InForce, Mark, Offer, Update, UpdateRejection, evaluate, in_force, view,
};
use crate::document::{
    BundleError, BundleReader, Digest, Document, DocumentRejection, Manifest, Root, Shard, shard_of,
};
use crate::id::DeviceId;
use crate::key::KeyId;
use crate::words::Words;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;
use std::io::BufRead;

/// Roots and manifest that were let in, waiting for the shards that are lacking. Dropped, nothing
/// has changed; after a rejection it must be dropped.
///
/// It keeps 32 octets for every key in a shard that changes, and no entry: some 6 MB while the
/// first bundle of 100,000 devices is judged, next to nothing later.
#[derive(Debug)]
pub struct Evaluation {
    root: Document<Root>,
    new_roots: Vec<Document<Root>>,
    new_manifest: Option<Document<Manifest>>,
    mark: Option<Mark>,
    in_force: InForce,
    new_shards: Vec<(u32, Digest)>,
    removed: Vec<Digest>,
    rebuild: bool,
    lacking: BTreeMap<Digest, u32>,
    unchanged: Unchanged,
    kids: HashSet<KeyId>,
}

/// The shards that keep their place.
#[derive(Debug, Default)]
struct Unchanged {
    count: u32,
    indices: BTreeSet<u32>,
    digests: BTreeSet<Digest>,
}

/// What the store knows of the entries that are indexed now.
pub trait Held {
    /// Why it could not answer: a failure, never a rejection.
    type Error;

    /// The device that owns the key, if any entry that is indexed names it.
    ///
    /// # Errors
    /// When the index does not answer.
    fn owner(&self, kid: &KeyId) -> Result<Option<DeviceId>, Self::Error>;
}

/// A store that has nothing, as for a verification without a daemon.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Held for Nothing {
    type Error = Infallible;

    fn owner(&self, _: &KeyId) -> Result<Option<DeviceId>, Infallible> {
        Ok(None)
    }
}

/// What became of a shard.
#[derive(Debug)]
#[must_use]
pub enum Taken {
    /// It is held already, at its place, or was taken before.
    Held,
    /// It was lacking, and is let in: the store keeps its octets where nothing refers to them until
    /// the update is committed.
    New(Shard),
}

/// Why an update did not come about: it is refused, or something of ours failed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<E> {
    /// The bundle file is no whole one, or could not be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The update is refused.
    #[error(transparent)]
    Rejected(#[from] UpdateRejection),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(E),
}

/// Evaluates a bundle file as a stream. `keep` gets each shard that was lacking, with its octets,
/// as soon as it is judged; nothing may refer to them before the update is committed.
///
/// # Errors
/// [`UpdateError`]; then everything stays as it is, and what `keep` kept is of no use.
pub fn read_bundle<R: BufRead, H: Held>(
    bundle: &mut BundleReader<R>,
    current: Current<'_>,
    pin: Option<&Words>,
    held: &H,
    mut keep: impl FnMut(&Shard, &[u8]) -> Result<(), H::Error>,
) -> Result<Update, UpdateError<H::Error>> {
    let roots: Vec<&[u8]> = bundle.roots().collect();
    let offer = Offer {
        roots: &roots,
        manifest: Some(bundle.manifest()),
    };
    let mut evaluation = evaluate(current, offer, pin)?;
    while let Some(octets) = bundle.next_shard()? {
        if let Taken::New(shard) = evaluation.take_shard(octets, held)? {
            keep(&shard, octets).map_err(UpdateError::Store)?;
        }
    }
    Ok(evaluation.finish()?)
}

impl Evaluation {
    pub(super) fn begin(
        current: Current<'_>,
        root: Document<Root>,
        new_roots: Vec<Document<Root>>,
        new_manifest: Option<Document<Manifest>>,
    ) -> Self {
        let old = current.manifest.map(Document::content);
        let new = new_manifest.as_ref().map(Document::content);
        let (unchanged, new_shards) = compare(old, new.or(old));
        let in_force = match new {
            Some(manifest) => InForce::Manifest(view(root.content(), manifest)),
            None => in_force(root.content(), current.manifest),
        };
        Self {
            mark: new_manifest.as_ref().map(Mark::of).or(current.mark),
            in_force,
            removed: removed(old, new.or(old)),
            rebuild: old.is_none() && new.is_some(),
            lacking: new_shards.iter().map(|(i, digest)| (*digest, *i)).collect(),
            new_shards,
            unchanged,
            kids: HashSet::new(),
            root,
            new_roots,
            new_manifest,
        }
    }

    /// The shards still to be taken: index and SHA-256.
    pub fn lacking(&self) -> impl Iterator<Item = (u32, Digest)> {
        self.lacking.iter().map(|(digest, index)| (*index, *digest))
    }

    /// Judges one shard: the one of its SHA-256, its entries, and its keys against those of every
    /// other shard, taken or unchanged.
    ///
    /// # Errors
    /// [`UpdateError::Rejected`] when it is refused, and the whole update with it;
    /// [`UpdateError::Store`] when `held` fails.
    pub fn take_shard<H: Held>(
        &mut self,
        octets: &[u8],
        held: &H,
    ) -> Result<Taken, UpdateError<H::Error>> {
        let found = Digest::of(octets);
        let Some(index) = self.lacking.get(&found).copied() else {
            return if self.has(&found) {
                Ok(Taken::Held)
            } else {
                Err(UpdateRejection::ShardHash { found }.into())
            };
        };
        let refused = |why| {
            let document = DocumentName::Shard(index);
            UpdateError::from(UpdateRejection::Document { document, why })
        };
        let shard = Shard::parse(octets).map_err(refused)?;
        if let Some(manifest) = &self.new_manifest {
            let fits = shard.check_against(manifest.content(), index);
            fits.map_err(refused)?;
        }
        for entry in shard.devices().iter().flat_map(|device| &device.keys) {
            let kid = entry.key.id();
            if !self.kids.insert(kid) || self.unchanged.names(&kid, held)? {
                return Err(refused(DocumentRejection::DuplicateKid(kid)));
            }
        }
        self.lacking.remove(&found);
        Ok(Taken::New(shard))
    }

    /// The update, once no shard is lacking.
    ///
    /// # Errors
    /// [`UpdateRejection::ShardMissing`] for the first that is.
    pub fn finish(self) -> Result<Update, UpdateRejection> {
        if let Some((index, digest)) = self.lacking().min() {
            return Err(UpdateRejection::ShardMissing { index, digest });
        }
        Ok(Update {
            root: self.root,
            new_roots: self.new_roots,
            new_manifest: self.new_manifest,
            mark: self.mark,
            in_force: self.in_force,
            new_shards: self.new_shards,
            removed_shards: self.removed,
            rebuild_index: self.rebuild,
        })
    }

    fn has(&self, digest: &Digest) -> bool {
        let new = self.new_shards.iter().any(|(_, new)| new == digest);
        new || self.unchanged.digests.contains(digest)
    }
}

impl Unchanged {
    /// Whether an entry of an unchanged shard names the key. An entry of a shard that is replaced
    /// does not count: it goes.
    fn names<H: Held>(&self, kid: &KeyId, held: &H) -> Result<bool, UpdateError<H::Error>> {
        if self.indices.is_empty() {
            return Ok(false);
        }
        let owner = held.owner(kid).map_err(UpdateError::Store)?;
        Ok(owner.is_some_and(|device| self.indices.contains(&shard_of(&device, self.count))))
    }
}

/// Parts the shards of `new` into those that `old` has at the same place, and the others.
fn compare(old: Option<&Manifest>, new: Option<&Manifest>) -> (Unchanged, Vec<(u32, Digest)>) {
    let mut unchanged = Unchanged::default();
    let mut changed = Vec::new();
    let Some(new) = new else {
        return (unchanged, changed);
    };
    unchanged.count = new.shard_count();
    let old = old.filter(|old| old.shard_count() == new.shard_count());
    let mut old = old.into_iter().flat_map(|old| &old.shards);
    for (index, digest) in (0..).zip(&new.shards) {
        if old.next() == Some(digest) {
            unchanged.indices.insert(index);
            unchanged.digests.insert(*digest);
        } else {
            changed.push((index, *digest));
        }
    }
    (unchanged, changed)
}

fn removed(old: Option<&Manifest>, new: Option<&Manifest>) -> Vec<Digest> {
    let named: BTreeSet<&Digest> = new.into_iter().flat_map(|new| &new.shards).collect();
    let old = old.into_iter().flat_map(|old| &old.shards);
    old.filter(|digest| !named.contains(digest))
        .copied()
        .collect()
}
