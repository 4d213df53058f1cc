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

#[cfg(test)]
mod tests {
    use super::{EnrollmentRequest, RequestDraft};
    use crate::document::fixture::{ISSUED, key, signed};
    use crate::document::{DocumentType, add_signatures};
    use crate::id::{DeviceId, TrustDomain};
    use crate::limits;
    use crate::words::Words;

    type Change = fn(&str) -> String;

    fn draft() -> RequestDraft {
        RequestDraft {
            domain: Some(TrustDomain::parse("farm").unwrap()),
            device: Some(DeviceId::parse("pump-1").unwrap()),
            serial: Some("10000000abcdef01".into()),
            issued_at: Some(ISSUED),
        }
    }

    fn code(octets: &[u8]) -> &'static str {
        let judged = EnrollmentRequest::verify(octets);
        judged.err().map_or("accepted", |why| why.code())
    }

    /// The payload of a request by key 21, signed by others.
    fn signed_by(change: fn(&str) -> String, signers: &[u8]) -> &'static str {
        let x = data_encoding::BASE64URL_NOPAD.encode(&key(21).public().octets());
        let kid = key(21).public().id();
        let payload = format!(
            r#"{{"format":1,"jwk":{{"kty":"OKP","crv":"Ed25519","kid":"{kid}","x":"{x}"}}}}"#
        );
        code(&signed(
            DocumentType::Request,
            change(&payload).as_bytes(),
            signers,
        ))
    }

    #[test]
    fn a_request_is_read_back_with_its_key_and_words() {
        for draft in [draft(), RequestDraft::default()] {
            let octets = draft.sign(&key(21)).unwrap();
            assert!(!octets.contains(&b'\n'));
            let request = EnrollmentRequest::verify(&octets).unwrap();
            assert_eq!(request.draft, draft);
            assert_eq!(&request.key, key(21).public());
            assert_eq!(request.words, Words::of_request(&octets));
            let with_line_end = [&*octets, b"\n"].concat();
            let same = EnrollmentRequest::verify(&with_line_end).unwrap();
            assert_eq!(same, request);
        }
    }

    #[test]
    fn only_who_has_the_key_can_make_its_request() {
        let same: fn(&str) -> String = str::to_owned;
        assert_eq!(signed_by(same, &[21]), "accepted");
        assert_eq!(signed_by(same, &[21, 99]), "accepted");
        assert_eq!(signed_by(same, &[99]), "threshold");
        assert_eq!(signed_by(same, &[]), "threshold");
        assert_eq!(signed_by(same, &[21, 21]), "duplicate-signature");
        let octets = draft().sign(&key(21)).unwrap();
        let both = add_signatures(&octets, DocumentType::Request, &[&key(99)]).unwrap();
        assert_eq!(code(&both), "accepted");
    }

    #[test]
    fn a_request_cut_off_or_altered_anywhere_is_refused() {
        let octets = draft().sign(&key(21)).unwrap();
        for length in 0..octets.len() {
            assert_ne!(code(&octets[..length]), "accepted", "cut at {length}");
        }
        for place in 0..octets.len() {
            let mut altered = octets.clone();
            altered[place] ^= 1;
            assert_ne!(code(&altered), "accepted", "altered at {place}");
        }
    }

    #[test]
    fn a_request_is_strict_in_form() {
        let changes: [(Change, &str); 8] = [
            (
                |p| p.replace(r#""format":1"#, r#""format":2"#),
                "format-unknown",
            ),
            (|p| p.replacen('{', r#"{"role":"boss","#, 1), "malformed"),
            (|p| p.replacen('{', r#"{"device":"Pump","#, 1), "malformed"),
            (|p| p.replacen('{', r#"{"device":null,"#, 1), "malformed"),
            (|p| p.replacen('{', r#"{"serial":"","#, 1), "text"),
            (
                |p| p.replacen('{', r#"{"format":1,"#, 1),
                "duplicate-member",
            ),
            (
                |p| p.replace(r#""kty""#, r#""d":"AA","kty""#),
                "key-private",
            ),
            (|p| format!("{p} {p}"), "malformed"),
        ];
        for (change, expected) in changes {
            assert_eq!(signed_by(change, &[21]), expected);
        }
        let long = RequestDraft {
            serial: Some("x".repeat(limits::SERIAL_OCTETS + 1)),
            ..draft()
        };
        assert_eq!(long.sign(&key(21)).unwrap_err().code(), "text");
        let mut octets = draft().sign(&key(21)).unwrap();
        octets.resize(limits::REQUEST_OCTETS, b' ');
        assert_eq!(code(&octets), "accepted");
        octets.push(b' ');
        assert_eq!(code(&octets), "size");
    }
}
