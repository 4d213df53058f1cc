//! Trust documents: root, manifest and shards, their signatures, and the file that carries them.
//!
//! Every document is JSON in UTF-8 on one line. No member occurs twice, an unknown member is
//! refused, and a member that says nothing is left out: one content, one form.

mod bundle;
mod digest;
mod jwk;
mod jws_json;
mod manifest;
mod read;
mod reject;
mod root;
mod shard;

pub use bundle::{BundleError, BundleReader, BundleRejection, BundleWriter};
pub use digest::Digest;
pub use jws_json::{
    DocumentType, Signed, Unverified, add_signatures, join_signatures, sign, signers, verify,
};
pub use manifest::Manifest;
pub use reject::DocumentRejection;
pub use root::{Authority, Root};
pub use shard::{DeviceEntry, KeyEntry, Shard, shard_of};

pub(crate) use jwk::JwkText;
pub(crate) use manifest::once_each;
pub(crate) use read::{Versioned, at_most, at_most_octets, malformed, read, short_text, write};

/// A root or manifest that is believed, with the exact octets it came in.
///
/// There are two ways to one: [`crate::update::evaluate`], and [`Document::load`] for octets that
/// it let in before.
#[derive(Clone, Debug)]
pub struct Document<T> {
    octets: Box<[u8]>,
    payload: Digest,
    content: T,
}

impl<T: Signed> Document<T> {
    /// Reads back a document that [`crate::update::evaluate`] let in before and the store kept, or
    /// whose words were compared. Its signatures are not judged: the caller vouches for the octets.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the octets are no such document: the store's copy is damaged.
    pub fn load(octets: &[u8]) -> Result<Self, DocumentRejection> {
        let unverified = Unverified::parse(octets, T::TYPE)?;
        Self::of_payload(octets, unverified.claimed_payload())
    }

    /// Reads a document that must carry the signatures of `authority`.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses; the signatures come before the content.
    pub fn verified(octets: &[u8], authority: &Authority) -> Result<Self, DocumentRejection> {
        let unverified = Unverified::parse(octets, T::TYPE)?;
        Self::of_payload(octets, verify(&unverified, authority)?)
    }

    /// Judges the signatures again, under another authority.
    ///
    /// # Errors
    /// [`DocumentRejection::Signature`] or [`DocumentRejection::Threshold`].
    pub fn verify(&self, authority: &Authority) -> Result<(), DocumentRejection> {
        let unverified = Unverified::parse(&self.octets, T::TYPE)?;
        verify(&unverified, authority).map(|_| ())
    }

    fn of_payload(octets: &[u8], payload: &[u8]) -> Result<Self, DocumentRejection> {
        Ok(Self {
            octets: octets.into(),
            payload: Digest::of(payload),
            content: T::from_payload(payload)?,
        })
    }
}

impl<T> Document<T> {
    /// The document as it came: what is stored and handed on.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The SHA-256 of the signed payload. Two documents that differ only in who signed them have
    /// the same: nobody on the way can make one look like another by adding a signature.
    pub const fn payload_digest(&self) -> Digest {
        self.payload
    }

    /// What the document says.
    pub const fn content(&self) -> &T {
        &self.content
    }
}

/// A document without the end of its line, which is no part of it.
pub(crate) fn without_line_end(octets: &[u8]) -> &[u8] {
    let line = octets.strip_suffix(b"\n").unwrap_or(octets);
    line.strip_suffix(b"\r").unwrap_or(line)
}

pub(crate) const FORMAT: u64 = 1;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
