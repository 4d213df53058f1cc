//! Is the broker ahead of the registry?

use super::found::Found;
use crate::error::{CommandError, Result};
use crate::render::{Style, notice};
use edgeseal_trust::document::{Document, Manifest, Root};
use std::cmp::Ordering;

/// The manifest that the broker keeps, where it is one of this domain. One that nobody signed who may is worth a line, no more:
/// whoever can write there must not be able to stop a revocation.
///
/// # Errors
/// `broker-ahead` where it is higher than `ours`, `broker-conflict` where it is another one with the same sequence.
pub(super) fn not_ahead(
    found: &Found,
    roots: &[Document<Root>],
    ours: &Document<Manifest>,
    style: Style,
) -> Result<Option<Document<Manifest>>> {
    judge_roots(found, roots, style)?;
    let Some(octets) = &found.manifest else {
        return Ok(None);
    };
    let Some(theirs) = believed(octets, roots) else {
        let line = "note: the broker kept a manifest that no key of this domain has signed; it is replaced";
        notice(style, line);
        return Ok(None);
    };
    match place(&theirs).cmp(&place(ours)) {
        Ordering::Greater => Err(ahead(&theirs, Some(ours))),
        Ordering::Equal if theirs.payload_digest() != ours.payload_digest() => {
            let reason = format!(
                "the broker has another manifest with the sequence {}",
                ours.content().sequence
            );
            Err(CommandError::no("broker-conflict", reason).hint(
                "two copies of the registry publish, or a registrar key is stolen: find out first, then publish a higher sequence",
            ))
        }
        _ => Ok(Some(theirs)),
    }
}

/// As [`not_ahead`], before the registry's next manifest is signed; `last` is its last one.
///
/// # Errors
/// `broker-ahead`.
pub(super) fn before_signing(
    found: &Found,
    roots: &[Document<Root>],
    last: Option<&Document<Manifest>>,
) -> Result<()> {
    let octets = found.manifest.as_deref();
    let Some(theirs) = octets.and_then(|octets| believed(octets, roots)) else {
        return Ok(());
    };
    // The next manifest names the newest root, and so comes after everything under the ones before.
    let newest = roots.last().map_or(0, |root| root.content().version);
    match last {
        _ if theirs.content().root_version < newest => Ok(()),
        Some(last) if place(&theirs) <= place(last) => Ok(()),
        _ => Err(ahead(&theirs, last)),
    }
}

fn place(manifest: &Document<Manifest>) -> (u64, u64) {
    (manifest.content().root_version, manifest.content().sequence)
}

fn ahead(theirs: &Document<Manifest>, ours: Option<&Document<Manifest>>) -> CommandError {
    let (root_version, sequence) = place(theirs);
    let behind = match ours {
        Some(ours) => format!("is behind it at {}", ours.content().sequence),
        None => "has published nothing".to_owned(),
    };
    let reason = format!(
        "the broker has sequence {sequence} under root version {root_version}, and this registry {behind}"
    );
    CommandError::no("broker-ahead", reason).hint(format!(
        "another copy of the registry has published: get its state (git pull, or your backup). If there is none: \
         edgeseal publish --sequence {}; if a registrar key may be stolen: edgeseal registrar rotate --compromised",
        sequence.saturating_add(1)
    ))
}

fn judge_roots(found: &Found, roots: &[Document<Root>], style: Style) -> Result<()> {
    for root in roots {
        let version = root.content().version;
        let theirs = found.roots.get(&version);
        if theirs.is_some_and(|octets| octets.as_slice() != root.octets()) {
            let line =
                format!("note: the broker kept another root version {version}; it is replaced");
            notice(style, &line);
        }
    }
    let Some(newest) = roots.last().map(Document::content) else {
        return Ok(());
    };
    let version = newest.version.saturating_add(1);
    let successor = found.roots.get(&version).and_then(|octets| {
        let root = Document::<Root>::verified(octets, &newest.root).ok()?;
        root.verify(&root.content().root).ok()?;
        (root.content().version == version && root.content().domain == newest.domain).then_some(())
    });
    match successor {
        None => Ok(()),
        Some(()) => {
            let reason =
                format!("the broker has root version {version}, which this registry does not have");
            Err(CommandError::no("broker-ahead", reason).hint(
                "another copy of the registry has rotated the root: get its state (git pull, or your backup)",
            ))
        }
    }
}

fn believed(octets: &[u8], roots: &[Document<Root>]) -> Option<Document<Manifest>> {
    let claimed = Document::<Manifest>::load(octets).ok()?;
    let version = claimed.content().root_version;
    let mut roots = roots.iter().map(Document::content);
    let root = roots.find(|root| root.version == version)?;
    claimed.verify(&root.registrar).ok()?;
    (claimed.content().domain == root.domain).then_some(claimed)
}
