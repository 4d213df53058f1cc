//! Enrollment requests: what a device asks the registrar for, with proof that it has the key.

use super::{JoinRejection, JoinToken};
use crate::document::{
    Authority, Digest, DocumentRejection, DocumentType, FORMAT, JwkText, Unverified, Versioned,
    malformed, read, short_text, sign, verify, without_line_end, write,
};
use crate::id::{DeviceId, TrustDomain};
use crate::key::{SigningKey, VerifyingKey};
use crate::limits;
use crate::time::UnixTime;
use crate::words::Words;
use serde::{Deserialize, Serialize};

/// What a device says of itself in a request. All of it may be left out, except that a join token
/// demands domain and device; none of it is believed before it is approved.
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
    /// The text of a join token, nothing of it believed (see [`EnrollmentRequest::judge_join`]).
    pub join: Option<String>,
}

/// A request whose signature proves that the sender has the private half of its key. That the key
/// belongs to the device on the table, only the words say, or the join token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EnrollmentRequest {
    /// What the device says of itself.
    pub draft: RequestDraft,
    /// The new key.
    pub key: VerifyingKey,
    /// The one-time key that signed as well: there exactly where the draft has a join token.
    pub one_time: Option<VerifyingKey>,
    /// The words to compare with those that the device shows.
    pub words: Words,
    /// The SHA-256 of the whole request, to recognize it.
    pub digest: Digest,
}

impl RequestDraft {
    /// The request, signed by `key`: a document on one line, without a line end.
    ///
    /// # Errors
    /// [`DocumentRejection::Text`] when the serial is empty, too long, or has control characters;
    /// [`DocumentRejection::Malformed`] when there is a join token, which needs the one-time key too.
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, DocumentRejection> {
        let payload = self.payload(key.public(), None)?;
        Ok(sign(DocumentType::Request, &payload, &[key]))
    }

    /// The request with a join token, signed by the new key and by the one-time key of the join
    /// file: who reads it on the way cannot bind the token to another key.
    ///
    /// # Errors
    /// [`DocumentRejection`] as for [`RequestDraft::sign`], and when join token, domain or device is
    /// missing, or both keys are one.
    pub fn sign_joined(
        &self,
        key: &SigningKey,
        one_time: &SigningKey,
    ) -> Result<Vec<u8>, DocumentRejection> {
        let payload = self.payload(key.public(), Some(one_time.public()))?;
        Ok(sign(DocumentType::Request, &payload, &[key, one_time]))
    }

    fn payload(
        &self,
        key: &VerifyingKey,
        one_time: Option<&VerifyingKey>,
    ) -> Result<Vec<u8>, DocumentRejection> {
        self.check(key, one_time)?;
        Ok(write(&RequestText {
            format: FORMAT,
            domain: self.domain.clone(),
            device: self.device.clone(),
            jwk: JwkText::of(key),
            serial: self.serial.clone(),
            iat: self.issued_at,
            join: self.join.clone(),
            one_time: one_time.map(JwkText::of),
        }))
    }

    /// What every reader demands, and whose signatures.
    fn check(
        &self,
        key: &VerifyingKey,
        one_time: Option<&VerifyingKey>,
    ) -> Result<Authority, DocumentRejection> {
        short_text(self.serial.as_deref(), "serial", limits::SERIAL_OCTETS)?;
        short_text(self.join.as_deref(), "join", limits::TOKEN_OCTETS)?;
        match (&self.join, one_time) {
            (None, None) => Authority::new(1, vec![key.clone()]),
            (Some(_), Some(_)) if self.domain.is_none() || self.device.is_none() => {
                Err(malformed("a join token needs domain and device beside it"))
            }
            (Some(_), Some(one_time)) => Authority::new(2, vec![key.clone(), one_time.clone()]),
            _ => Err(malformed("join and one_time belong together")),
        }
    }
}

impl EnrollmentRequest {
    /// Reads a request and judges its proof of possession: of the new key, and with a join token of
    /// the one-time key as well. One line end behind it is no part of it.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses.
    pub fn verify(octets: &[u8]) -> Result<Self, DocumentRejection> {
        let octets = without_line_end(octets);
        let document = Unverified::parse(octets, DocumentType::Request)?;
        let text: RequestText = read(document.claimed_payload(), Versioned::Yes)?;
        let key = text.jwk.import()?;
        let one_time = text.one_time.map(|jwk| jwk.import()).transpose()?;
        let draft = RequestDraft {
            domain: text.domain,
            device: text.device,
            serial: text.serial,
            issued_at: text.iat,
            join: text.join,
        };
        verify(&document, &draft.check(&key, one_time.as_ref())?)?;
        Ok(Self {
            draft,
            key,
            one_time,
            words: Words::of_request(octets),
            digest: Digest::of(octets),
        })
    }

    /// What the registrar allowed the device by the request's join token: signed by one registrar
    /// key, for this domain, not expired at `now`, for the one-time key that signed the request, and
    /// for its device and serial where the token names them. Whether the token was used before, or
    /// withdrawn, only the registrar's own list can say.
    ///
    /// # Errors
    /// [`JoinRejection`] of the first check that refuses.
    pub fn judge_join(
        &self,
        registrar: &Authority,
        domain: &TrustDomain,
        now: UnixTime,
    ) -> Result<JoinToken, JoinRejection> {
        let (Some(join), Some(one_time), Some(device), Some(asked)) = (
            &self.draft.join,
            &self.one_time,
            &self.draft.device,
            &self.draft.domain,
        ) else {
            return Err(JoinRejection::Absent);
        };
        let token = JoinToken::verify(join, registrar)?;
        for found in [&token.domain, asked] {
            if found != domain {
                return Err(JoinRejection::Domain {
                    expected: domain.clone(),
                    found: found.clone(),
                });
            }
        }
        if now >= token.expires_at {
            return Err(JoinRejection::Expired {
                by_seconds: now.since(token.expires_at),
                expired_at: token.expires_at,
            });
        }
        if token.one_time != one_time.id() {
            return Err(JoinRejection::OneTimeKey {
                expected: token.one_time,
                found: one_time.id(),
            });
        }
        if let Some(expected) = token.device.as_ref().filter(|named| *named != device) {
            return Err(JoinRejection::Device {
                expected: expected.clone(),
                found: device.clone(),
            });
        }
        if token.serial.is_some() && token.serial != self.draft.serial {
            return Err(JoinRejection::Serial {
                expected: token.serial.unwrap_or_default(),
                found: self.draft.serial.clone(),
            });
        }
        Ok(token)
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    join: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    one_time: Option<JwkText>,
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
            join: None,
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
