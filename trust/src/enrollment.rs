//! Enrollment requests: what a device asks the operator for, with proof that it has the key.

use crate::document::{
    Authority, Digest, DocumentRejection, DocumentType, JwkText, Unverified, Versioned, read,
    short_text, sign, verify, without_line_end, write,
};
use crate::id::{DeviceId, TrustDomain};
use crate::key::{SigningKey, VerifyingKey};
use crate::limits;
use crate::time::UnixTime;
use crate::words::Words;
use serde::{Deserialize, Serialize};

/// What a device says of itself in a request. All of it may be left out; none of it is believed
/// before the operator approves it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RequestDraft {
    /// The trust domain it wants to join.
    pub domain: Option<TrustDomain>,
    /// The id it would like.
    pub device: Option<DeviceId>,
    /// The serial of its board.
    pub serial: Option<String>,
    /// Its clock when it made the request.
    pub issued_at: Option<UnixTime>,
}

/// A request whose signature proves that the sender has the private half of its key. That the key
/// belongs to the device on the table, only the words say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnrollmentRequest {
    /// What the device says of itself.
    pub draft: RequestDraft,
    /// The new key.
    pub key: VerifyingKey,
    /// The words to compare with those that the device shows.
    pub words: Words,
    /// The SHA-256 of the whole request, to recognize it.
    pub digest: Digest,
}

impl RequestDraft {
    /// The request, signed by `key`: a document on one line, without a line end.
    ///
    /// # Errors
    /// [`DocumentRejection::Text`] when the serial is empty, too long, or has control characters.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, DocumentRejection> {
        short_text(self.serial.as_deref(), "serial", limits::SERIAL_OCTETS)?;
        let payload = write(&RequestText {
            format: 1,
            domain: self.domain.clone(),
            device: self.device.clone(),
            jwk: JwkText::of(key.public()),
            serial: self.serial.clone(),
            iat: self.issued_at,
        });
        Ok(sign(DocumentType::Request, &payload, &[key]))
    }
}

impl EnrollmentRequest {
    /// Reads a request and judges its proof of possession. One line end behind it is no part of it.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses.
    pub fn verify(octets: &[u8]) -> Result<Self, DocumentRejection> {
        let octets = without_line_end(octets);
        let document = Unverified::parse(octets, DocumentType::Request)?;
        let text: RequestText = read(document.claimed_payload(), Versioned::Yes)?;
        let key = text.jwk.import()?;
        verify(&document, &Authority::new(1, vec![key.clone()])?)?;
        short_text(text.serial.as_deref(), "serial", limits::SERIAL_OCTETS)?;
        Ok(Self {
            draft: RequestDraft {
                domain: text.domain,
                device: text.device,
                serial: text.serial,
                issued_at: text.iat,
            },
            key,
            words: Words::of_request(octets),
            digest: Digest::of(octets),
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RequestText {
    format: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<TrustDomain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    jwk: JwkText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<UnixTime>,
}
