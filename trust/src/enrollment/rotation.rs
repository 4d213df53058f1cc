//! Requests for rotation: a device asks for its next key, and proves that it has both.

use super::RotationRejection;
use crate::document::{
    Authority, Digest, DocumentRejection, DocumentType, FORMAT, JwkText, Unverified, Versioned,
    read, sign, verify, without_line_end, write,
};
use crate::id::{DeviceId, TrustDomain};
use crate::key::{KeyId, SigningKey, VerifyingKey};
use crate::time::UnixTime;
use crate::words::Words;
use serde::{Deserialize, Serialize};

/// What a device says when it asks for its next key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationDraft {
    /// Its trust domain.
    pub domain: TrustDomain,
    /// Its id.
    pub device: DeviceId,
    /// Its clock when it made the request; judged by nobody.
    pub issued_at: Option<UnixTime>,
}

/// A request for rotation, signed by the old and by the new key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotationRequest {
    /// What the device says.
    pub draft: RotationDraft,
    /// The key it has in the registry.
    pub old: KeyId,
    /// The key it wants to go on with.
    pub key: VerifyingKey,
    /// The words to compare with those that the device shows.
    pub words: Words,
    /// The SHA-256 of the whole request, to recognize it.
    pub digest: Digest,
}

/// A key of the registry and the device that owns it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyOwner {
    /// The owner.
    pub device: DeviceId,
    /// The key.
    pub key: VerifyingKey,
}

impl RotationDraft {
    /// The request, signed by both keys: a document on one line, without a line end.
    ///
    /// # Errors
    /// [`DocumentRejection::DuplicateAuthorityKey`] when both keys are one.
    pub fn sign(&self, old: &SigningKey, new: &SigningKey) -> Result<Vec<u8>, DocumentRejection> {
        Authority::new(2, vec![new.public().clone(), old.public().clone()])?;
        let payload = write(&RotationText {
            format: FORMAT,
            domain: self.domain.clone(),
            device: self.device.clone(),
            old: old.public().id(),
            jwk: JwkText::of(new.public()),
            iat: self.issued_at,
        });
        Ok(sign(DocumentType::Rotation, &payload, &[new, old]))
    }
}

impl RotationRequest {
    /// Reads a request and judges it: for `domain`, by the device that `owner_of` says owns the old
    /// key, signed by both keys. The states of device and key are not judged here. One line end
    /// behind it is no part of it.
    ///
    /// # Errors
    /// [`RotationRejection`] of the first check that refuses.
    pub fn verify(
        octets: &[u8],
        domain: &TrustDomain,
        owner_of: impl FnOnce(KeyId) -> Option<KeyOwner>,
    ) -> Result<Self, RotationRejection> {
        let octets = without_line_end(octets);
        let document = Unverified::parse(octets, DocumentType::Rotation)?;
        let text: RotationText = read(document.claimed_payload(), Versioned::Yes)?;
        let key = text.jwk.import()?;
        let old = owner_of(text.old).filter(|old| old.key.id() == text.old);
        let old = old.ok_or(RotationRejection::UnknownKey(text.old))?;
        verify(&document, &Authority::new(2, vec![key.clone(), old.key])?)?;
        if text.domain != *domain {
            return Err(RotationRejection::Domain {
                expected: domain.clone(),
                found: text.domain,
            });
        }
        if text.device != old.device {
            return Err(RotationRejection::Device {
                kid: text.old,
                owner: old.device,
                found: text.device,
            });
        }
        Ok(Self {
            draft: RotationDraft {
                domain: text.domain,
                device: text.device,
                issued_at: text.iat,
            },
            old: text.old,
            key,
            words: Words::of_request(octets),
            digest: Digest::of(octets),
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RotationText {
    format: u64,
    domain: TrustDomain,
    device: DeviceId,
    old: KeyId,
    jwk: JwkText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<UnixTime>,
}
