//! The chain of roots: from the one held, or pinned, to the newest, one version at a time.

use super::{DocumentName, UpdateRejection};
use crate::document::{
    Digest, Document, DocumentRejection, DocumentType, Root, Signed, Unverified,
};
use crate::words::Words;
use std::cmp::Ordering;

/// The roots in `offered` that are newer than `held`, each vouched for by the one before it and by
/// itself. Without a root held, the chain begins at the root whose words are `pin`.
pub(super) fn follow(
    held: Option<&Document<Root>>,
    offered: &[&[u8]],
    pin: Option<&Words>,
) -> Result<Vec<Document<Root>>, UpdateRejection> {
    let mut places = (1..).zip(offered.iter().copied());
    let mut chain = Vec::new();
    let mut newest = match held {
        Some(held) => held.clone(),
        None => {
            let pin = pin.ok_or(UpdateRejection::FirstRootNotPinned)?;
            let first = places.find(|(_, octets)| Words::of_root(octets) == *pin);
            let (place, octets) = first.ok_or(UpdateRejection::RootWords)?;
            let first = pinned(octets).map_err(|why| refused(place, why))?;
            chain.push(first.clone());
            first
        }
    };
    let mut before = None;
    for (place, octets) in places {
        let (version, payload) = claim(octets).map_err(|why| refused(place, why))?;
        expect_next(before, version)?;
        before = Some(version);
        match version.cmp(&newest.content().version) {
            Ordering::Less => {} // judged when it was applied, or older than the one pinned
            Ordering::Equal if payload == newest.payload_digest() => {}
            Ordering::Equal => return Err(UpdateRejection::RootConflict { version }),
            Ordering::Greater => {
                expect_next(Some(newest.content().version), version)?;
                newest = successor(newest.content(), octets, place)?;
                chain.push(newest.clone());
            }
        }
    }
    Ok(chain)
}

/// A root whose words a person compared: it must still be signed by its own threshold.
fn pinned(octets: &[u8]) -> Result<Document<Root>, DocumentRejection> {
    let root: Document<Root> = Document::load(octets)?;
    root.verify(&root.content().root)?;
    Ok(root)
}

/// The version that a root says it has, and the digest of its payload. Nothing of it is believed:
/// it finds the root's place in the chain, where the root is judged.
fn claim(octets: &[u8]) -> Result<(u64, Digest), DocumentRejection> {
    let document = Unverified::parse(octets, DocumentType::Root)?;
    let payload = document.claimed_payload();
    Ok((Root::from_payload(payload)?.version, Digest::of(payload)))
}

/// The root after `before`: signed by the threshold of both, of the same domain.
fn successor(
    before: &Root,
    octets: &[u8],
    place: usize,
) -> Result<Document<Root>, UpdateRejection> {
    let next = Document::<Root>::verified(octets, &before.root);
    let next = next.map_err(|why| refused(place, why))?;
    let content = next.content();
    let by_itself = next.verify(&content.root);
    by_itself.map_err(|why| refused(place, why))?;
    if content.domain != before.domain {
        return Err(UpdateRejection::Domain {
            document: DocumentName::Root(place),
            expected: before.domain.to_string(),
            found: content.domain.to_string(),
        });
    }
    Ok(next)
}

/// Judges the root that is to follow `held`, alone: exactly one version higher, of the same domain,
/// signed by the thresholds of both. For whoever makes one; an agent follows a whole chain.
///
/// # Errors
/// [`UpdateRejection`] of the first check that refuses; its document is root 1.
pub fn judge_successor(
    held: &Document<Root>,
    octets: &[u8],
) -> Result<Document<Root>, UpdateRejection> {
    let (found, _) = claim(octets).map_err(|why| refused(1, why))?;
    expect_next(Some(held.content().version), found)?;
    successor(held.content(), octets, 1)
}

fn expect_next(before: Option<u64>, found: u64) -> Result<(), UpdateRejection> {
    match before.map(|version| version.saturating_add(1)) {
        Some(expected) if expected != found => {
            Err(UpdateRejection::RootVersion { expected, found })
        }
        _ => Ok(()),
    }
}

const fn refused(place: usize, why: DocumentRejection) -> UpdateRejection {
    let document = DocumentName::Root(place);
    UpdateRejection::Document { document, why }
}
