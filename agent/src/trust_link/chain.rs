//! The documents that are held, and the roots that were offered on top of them. Pure.
//!
//! Whatever is offered is judged by the rules by which the store judges it once more, at the commit:
//! what it holds may be another by then.

use bytes::Bytes;
use edgeseal_trust::document::Digest;
use edgeseal_trust::store::HeldDocuments;
use edgeseal_trust::update::{Offer, UpdateRejection, evaluate};

/// The newest root held and its successors.
pub(super) struct Chain {
    held: HeldDocuments,
    /// Each vouched for by the one before it, not applied yet.
    offered: Vec<Bytes>,
}

impl Chain {
    pub(super) const fn new(held: HeldDocuments) -> Self {
        Self {
            held,
            offered: Vec::new(),
        }
    }

    /// The version of the newest root, offered ones among them; 0 where there is none.
    pub(super) fn newest(&self) -> u64 {
        let held = self.held.current().root;
        let held = held.map_or(0, |root| root.content().version);
        held.saturating_add(u64::try_from(self.offered.len()).unwrap_or(u64::MAX))
    }

    /// The roots offered, oldest first.
    pub(super) fn offered(&self) -> &[Bytes] {
        &self.offered
    }

    /// Whether the offered roots are to be applied before another one is taken.
    pub(super) fn is_full(&self) -> bool {
        self.offered.len() >= ROOTS
    }

    /// Takes the root that follows the newest one.
    ///
    /// # Errors
    /// Why it does not; then it is not kept.
    pub(super) fn push(&mut self, root: Bytes) -> Result<(), UpdateRejection> {
        self.offered.push(root);
        let roots = self.slices();
        let offer = Offer {
            roots: &roots,
            manifest: None,
        };
        let judged = evaluate(self.held.current(), offer, None).map(drop);
        if judged.is_err() {
            self.offered.pop();
        }
        judged
    }

    /// The shards that are lacking for this manifest; nothing where all of it is applied already.
    ///
    /// # Errors
    /// Why the manifest is refused.
    pub(super) fn lacking(&self, manifest: &[u8]) -> Result<Option<Vec<Digest>>, UpdateRejection> {
        let roots = self.slices();
        let offer = Offer {
            roots: &roots,
            manifest: Some(manifest),
        };
        let evaluation = evaluate(self.held.current(), offer, None)?;
        let lacking: Vec<Digest> = evaluation.lacking().map(|(_, digest)| digest).collect();
        if lacking.is_empty() && evaluation.finish()?.is_already_current() {
            return Ok(None);
        }
        Ok(Some(lacking))
    }

    /// The manifest held.
    pub(super) fn manifest(&self) -> Option<Bytes> {
        let held = self.held.current().manifest?;
        Some(Bytes::copy_from_slice(held.octets()))
    }

    /// The store has these documents now; whether they are others. Roots offered on top of others may
    /// not fit, and are forgotten.
    pub(super) fn hold(&mut self, held: HeldDocuments) -> bool {
        let place = |held: &HeldDocuments| {
            let current = held.current();
            let root = current.root.map(|root| root.content().version);
            (root, current.mark.map(|mark| mark.payload))
        };
        let others = place(&held) != place(&self.held);
        self.held = held;
        if others {
            self.offered.clear();
        }
        others
    }

    fn slices(&self) -> Vec<&[u8]> {
        self.offered.iter().map(Bytes::as_ref).collect()
    }
}

/// Root documents collected before they are applied; a bundle may have 256.
const ROOTS: usize = 128;
