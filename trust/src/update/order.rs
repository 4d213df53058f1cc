//! The order of manifests: forward only, and under the newest root.

use super::{Current, DocumentName, Mark, UpdateRejection};
use crate::document::{
    Digest, Document, DocumentRejection, DocumentType, Manifest, Root, Unverified,
};
use std::cmp::Ordering;

/// The manifest in `octets`, if it is to take the place of the one held; `None` if it is the one
/// held.
pub(super) fn judge(
    octets: &[u8],
    newest: &Root,
    current: &Current<'_>,
) -> Result<Option<Document<Manifest>>, UpdateRejection> {
    let document = Unverified::parse(octets, DocumentType::Manifest).map_err(refused)?;
    let payload = Digest::of(document.claimed_payload());
    let held = current.manifest.map(Document::payload_digest);
    if held == Some(payload) {
        return Ok(None); // whether it is in force is judged for the one held, not for this copy
    }
    let manifest = Document::<Manifest>::verified(octets, &newest.registrar).map_err(refused)?;
    if manifest.content().domain != newest.domain {
        return Err(UpdateRejection::Domain {
            document: DocumentName::Manifest,
            expected: newest.domain.to_string(),
            found: manifest.content().domain.to_string(),
        });
    }
    if expect_forward(&Mark::of(&manifest), current.mark)? == Place::New {
        let (newest, found) = (newest.version, manifest.content().root_version);
        if newest != found {
            return Err(UpdateRejection::ManifestRootVersion { newest, found });
        }
    }
    Ok(Some(manifest))
}

#[derive(PartialEq)]
enum Place {
    /// It is the one applied last, of which something was lost.
    Lost,
    /// It comes after everything applied.
    New,
}

fn expect_forward(found: &Mark, applied: Option<Mark>) -> Result<Place, UpdateRejection> {
    let Some(applied) = applied else {
        return Ok(Place::New);
    };
    match found.order(&applied) {
        Ordering::Greater => Ok(Place::New),
        Ordering::Equal if found.payload == applied.payload => Ok(Place::Lost),
        Ordering::Equal => Err(UpdateRejection::Conflict {
            root_version: found.root_version,
            sequence: found.sequence,
        }),
        Ordering::Less => Err(UpdateRejection::Rollback {
            applied: (applied.root_version, applied.sequence),
            found: (found.root_version, found.sequence),
        }),
    }
}

const fn refused(why: DocumentRejection) -> UpdateRejection {
    let document = DocumentName::Manifest;
    UpdateRejection::Document { document, why }
}
