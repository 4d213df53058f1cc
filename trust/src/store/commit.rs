//! Committing an update: the one way by which trust changes. Each step is durable before the next;
//! after a kill between any two the old manifest is in force and the same update applies again, or
//! the new one is.

use super::report::{Applied, IndexReport, Outcome};
use super::state_file::State;
use super::{HeldState, Store, StoreError, lock};
use crate::document::{BundleReader, Digest, Document, Manifest, Root};
use crate::update::{InForce, Update, UpdateError, read_bundle};
use crate::words::Words;
use std::io::BufRead;
use std::sync::{Arc, PoisonError};

impl Store {
    /// Evaluates a bundle file as a stream and commits it. `pin` are the words of the first root, looked
    /// at only where no root is held.
    ///
    /// # Errors
    /// [`UpdateError`]: the file or the update is refused, or the store failed. What was in force stays
    /// in force.
    pub fn apply_bundle<R: BufRead>(
        &self,
        bundle: R,
        pin: Option<&Words>,
    ) -> Result<Applied, UpdateError<StoreError>> {
        let _alone = lock(&self.updating);
        let applied = self.evaluate_and_commit(bundle, pin);
        if applied.is_err() {
            self.remove_strays_of(&lock(&self.held));
        }
        applied
    }

    fn evaluate_and_commit<R: BufRead>(
        &self,
        bundle: R,
        pin: Option<&Words>,
    ) -> Result<Applied, UpdateError<StoreError>> {
        let mut bundle = BundleReader::open(bundle)?;
        let held = self.held_documents().map_err(UpdateError::Store)?;
        let update = read_bundle(&mut bundle, held.current(), pin, self, |_, octets| {
            // Nothing refers to it until the update is committed.
            self.files.place_shard(&Digest::of(octets), octets)
        })?;
        self.commit(update).map_err(UpdateError::Store)
    }

    fn commit(&self, update: Update) -> Result<Applied, StoreError> {
        if update.is_already_current() {
            return Ok(self.applied(&update, Outcome::AlreadyCurrent, self.index_as_is()));
        }
        let before = self.write(&update)?;
        let index = match &update.new_manifest {
            Some(manifest) => self.index_follows(manifest, &before)?,
            None => self.index_as_is(),
        };
        self.put_in_force(&update.in_force);
        self.remove_strays_of(&lock(&self.held));
        Ok(self.applied(&update, Outcome::Applied, index))
    }

    /// Writes everything but the index; gives the shards that are indexed. All that needs room on the disk
    /// comes before the mark; behind it there is one rename.
    fn write(&self, update: &Update) -> Result<Vec<Digest>, StoreError> {
        if let Some(manifest) = &update.new_manifest {
            let new = update.new_shards.iter().map(|(_, digest)| digest);
            self.files.sync_shards(manifest.content(), new)?;
            self.files.prepare_manifest(manifest.octets())?;
        }
        let mut held = lock(&self.held);
        let marked = self.files.write_roots(&update.new_roots).and_then(|()| {
            let state = State {
                mark: update.mark,
                mark_lost: held.file.state().mark_lost && update.new_manifest.is_none(),
                ..*held.file.state()
            };
            held.file.write(state)
        });
        if marked.is_err() {
            self.files.remove_roots(&update.new_roots);
        }
        marked?;
        let roots = held.roots.iter().chain(&update.new_roots).cloned();
        let roots: Arc<[Document<Root>]> = roots.collect();
        let mut before = Vec::new();
        if let Some(manifest) = &update.new_manifest {
            self.files.replace_manifest()?;
            let old = held.manifest.replace(Arc::new(manifest.clone()));
            let old = old.filter(|_| held.complete);
            before = old.map_or(before, |old| old.content().shards.clone());
            held.complete = false;
        }
        held.roots = roots;
        Ok(before)
    }

    fn index_follows(
        &self,
        manifest: &Document<Manifest>,
        before: &[Digest],
    ) -> Result<IndexReport, StoreError> {
        let shards = self.files.shards(Some(manifest.content()), before);
        let digest = manifest.payload_digest();
        let report = self.index.update(digest.octets(), &shards);
        lock(&self.cache).invalidate();
        match &report {
            Ok(_) => lock(&self.held).complete = true,
            // The old manifest is gone, the new one cannot be read.
            Err(_) => self.put_in_force(&InForce::NoManifest(None)),
        }
        report
    }

    fn put_in_force(&self, in_force: &InForce) {
        let view = match in_force {
            InForce::Manifest(view) => Some(Arc::new(view.clone())),
            InForce::NoManifest(_) => None,
        };
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = view;
    }

    fn index_as_is(&self) -> IndexReport {
        let keys = self.index.key_count();
        IndexReport::Used { keys }
    }

    /// What cannot be removed now is removed at the next start.
    fn remove_strays_of(&self, held: &HeldState) {
        let manifest = held.manifest.as_deref().map(Document::content);
        let _ = self.files.remove_strays(manifest);
    }

    fn applied(&self, update: &Update, outcome: Outcome, index: IndexReport) -> Applied {
        let no_manifest = match &update.in_force {
            InForce::Manifest(_) => None,
            InForce::NoManifest(Some(why)) => Some(why.to_string()),
            InForce::NoManifest(None) => Some("no manifest was applied yet".to_owned()),
        };
        Applied {
            outcome,
            mark: self.mark(),
            root_version: update.root.content().version,
            new_roots: update.new_roots.len(),
            changed_shards: update.new_shards.len(),
            index,
            no_manifest,
        }
    }
}
