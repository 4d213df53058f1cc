//! Whether a restored registry is behind what the devices may have, and how it catches up.

use super::seen::Seen;
use crate::error::Result;
use crate::registry::Registry;
use edgeseal_trust::document::{Document, Manifest, Root};
use edgeseal_trust::update::{Current, Offer, evaluate};

/// How far the domain has come, beside what the backup knows.
pub(super) struct Behind {
    /// Roots that follow those of the backup.
    pub(super) roots: Vec<Document<Root>>,
    /// The highest manifest found: root version, sequence, where.
    pub(super) ahead: Option<(u64, u64, String)>,
    /// A sequence that nobody has used.
    pub(super) free: u64,
}

impl Behind {
    /// Compares the registry of the backup with what was seen elsewhere.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub(super) fn of(registry: &Registry, seen: &[Seen]) -> Result<Self> {
        let mut roots = registry.roots()?;
        let held = roots.len();
        while let Some(next) = seen.iter().find_map(|seen| successor(&roots, seen)) {
            roots.push(next);
        }
        let last = registry.manifest()?;
        let ours = last.as_ref().map(place);
        let mut behind = Self {
            ahead: None,
            free: registry.next_sequence(last.as_ref().map(Document::content), 0),
            roots: Vec::new(),
        };
        for seen in seen {
            behind.free = behind.free.max(seen.next_sequence);
            let Some(theirs) = seen.manifest.as_deref().and_then(|m| believed(m, &roots)) else {
                continue;
            };
            let (root_version, sequence) = place(&theirs);
            // Under the newest root sequences may start anywhere: those before do not count.
            if roots
                .last()
                .is_some_and(|root| root.content().version == root_version)
            {
                behind.free = behind.free.max(sequence.saturating_add(1));
            }
            let known = behind
                .ahead
                .as_ref()
                .map(|(root, sequence, _)| (*root, *sequence));
            if Some((root_version, sequence)) > known.max(ours) {
                behind.ahead = Some((root_version, sequence, seen.place.clone()));
            }
        }
        behind.roots = roots.split_off(held);
        Ok(behind)
    }

    /// Whether anything was found that the backup does not know.
    pub(super) fn is_behind(&self) -> bool {
        self.ahead.is_some() || !self.roots.is_empty()
    }
}

fn successor(roots: &[Document<Root>], seen: &Seen) -> Option<Document<Root>> {
    let newest = roots.last()?;
    seen.roots.iter().find_map(|octets| {
        let current = Current {
            root: Some(newest),
            ..Current::default()
        };
        let offer = Offer {
            roots: &[octets],
            manifest: None,
        };
        let update = evaluate(current, offer, None)
            .and_then(|found| found.finish())
            .ok()?;
        (!update.new_roots.is_empty()).then_some(update.root)
    })
}

fn believed(octets: &[u8], roots: &[Document<Root>]) -> Option<Document<Manifest>> {
    let claimed = Document::<Manifest>::load(octets).ok()?;
    let version = claimed.content().root_version;
    let root = roots
        .iter()
        .find(|root| root.content().version == version)?;
    let domain = &root.content().domain;
    let verified = Document::<Manifest>::verified(octets, &root.content().registrar).ok()?;
    (verified.content().domain == *domain).then_some(verified)
}

fn place(manifest: &Document<Manifest>) -> (u64, u64) {
    let content = manifest.content();
    (content.root_version, content.sequence)
}
