//! Committing an update: the one way by which trust changes. Each step is durable before the next;
//! after a kill between any two the old manifest is in force and the same update applies again, or
//! the new one is.

use super::report::{Applied, IndexReport, Outcome};
use super::state_file::State;
use super::{HeldState, Store, StoreError, lock};
use crate::document::{BundleReader, Digest, Document, Manifest};
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
        let mut held = lock(&self.held);
        if update.is_already_current() {
            let index = self.index_as_is();
            return Ok(applied(&held, &update, Outcome::AlreadyCurrent, index));
        }
        let written = self.write(&mut held, &update);
        if written.is_err() {
            self.remove_strays_of(&held);
        }
        written?;
        held.roots = held
            .roots
            .iter()
            .chain(&update.new_roots)
            .cloned()
            .collect();
        let index = match &update.new_manifest {
            Some(manifest) => self.take_up(&mut held, manifest)?,
            None => self.index_as_is(),
        };
        self.put_in_force(&update.in_force);
        self.remove_strays_of(&held);
        Ok(applied(&held, &update, Outcome::Applied, index))
    }

    /// Everything that needs room on the disk comes before the mark; behind it there is one rename.
    fn write(&self, held: &mut HeldState, update: &Update) -> Result<(), StoreError> {
        if let Some(manifest) = &update.new_manifest {
            self.files.sync_shards(manifest.content())?;
            self.files.prepare_manifest(manifest.octets())?;
        }
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
        match update.new_manifest {
            Some(_) => self.files.replace_manifest(),
            None => Ok(()),
        }
    }

    /// The manifest on disk is another: the index follows.
    fn take_up(
        &self,
        held: &mut HeldState,
        manifest: &Document<Manifest>,
    ) -> Result<IndexReport, StoreError> {
        let before = held.manifest.replace(Arc::new(manifest.clone()));
        let before = before.filter(|_| held.complete);
        held.complete = false;
        let before = before.as_ref().map_or(&[][..], |m| &m.content().shards);
        let shards = self.files.shards(Some(manifest.content()), before);
        let report = self
            .index
            .update(manifest.payload_digest().octets(), &shards);
        lock(&self.cache).invalidate();
        if report.is_err() {
            self.put_in_force(&InForce::NoManifest(None));
        }
        let report = report?;
        held.complete = true;
        Ok(report)
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
}

fn applied(held: &HeldState, update: &Update, outcome: Outcome, index: IndexReport) -> Applied {
    let no_manifest = match &update.in_force {
        InForce::Manifest(_) => None,
        InForce::NoManifest(Some(why)) => Some(why.to_string()),
        InForce::NoManifest(None) => Some("no manifest was applied yet".to_owned()),
    };
    Applied {
        outcome,
        mark: held.file.state().mark,
        root_version: update.root.content().version,
        new_roots: update.new_roots.len(),
        changed_shards: update.new_shards.len(),
        index,
        no_manifest,
    }
}
