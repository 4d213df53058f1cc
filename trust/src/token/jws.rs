//! A received token before anything in it is believed (RFC 7515 section 3.1).

use super::{ALG, Part, Rejection};
use crate::json::{self, ObjectError, Value};
use crate::key::{KeyId, SigningKey, VerifyingKey, digest_from_text};
use crate::limits;
use data_encoding::BASE64URL_NOPAD;
use memchr::memchr;
use std::borrow::Cow;

/// A token whose size, shape and header are right, and of which nothing is believed. It shows its
/// `kid` only, to look the key up.
pub struct Unverified<'a> {
    text: &'a [u8],
    signing_input: &'a [u8],
    claims: Vec<u8>,
    signature: [u8; 64],
    typ: &'static str,
    kid: KeyId,
}

impl<'a> Unverified<'a> {
    /// Judges size, shape and header: exactly `alg` = `EdDSA`, `typ` as expected, `kid`.
    ///
    /// # Errors
    /// The [`Rejection`] of the first of these checks that refuses.
    pub fn parse(token: &'a [u8], typ: &'static str) -> Result<Self, Rejection> {
        Self::parse_within(token, typ, limits::TOKEN_OCTETS)
    }

    /// The same with another limit than that of a message, in octets.
    pub(crate) fn parse_within(
        token: &'a [u8],
        typ: &'static str,
        limit: usize,
    ) -> Result<Self, Rejection> {
        let found = token.len();
        if found > limit {
            return Err(Rejection::Size { found, limit });
        }
        let parts = Parts::split(token)?;
        let mut header = [0; HEADER_OCTETS];
        let (header, claims, signature) = match parts.decode(&mut header) {
            Ok(decoded) => decoded,
            // What is outside the alphabet anywhere is a matter of shape, which comes first.
            Err(_) if !token.iter().all(is_base64url_or_dot) => return Err(Rejection::Shape),
            Err(rejection) => return Err(rejection),
        };
        let kid = read_header(header, typ)?;
        let signing_input = parts.signing_input;
        Ok(Self {
            text: token,
            signing_input,
            claims,
            signature,
            typ,
            kid,
        })
    }

    /// The name of the key that the token says it was signed with.
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// The token as it was received.
    pub(super) fn text(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or_default() // base64url and dots
    }

    /// That it was parsed as what it is now judged as: else a statement could pass for a message.
    pub(super) fn expect_typ(&self, typ: &'static str) -> Result<(), Rejection> {
        if self.typ == typ {
            Ok(())
        } else {
            Err(Rejection::HeaderTyp { expected: typ })
        }
    }

    /// The claims' JSON text, once `key` has verified the signature over the received octets: the
    /// only way to it.
    pub(crate) fn verified_claims(&self, key: &VerifyingKey) -> Result<&[u8], Rejection> {
        if key.id() == self.kid && key.verifies(self.signing_input, &self.signature) {
            Ok(&self.claims)
        } else {
            Err(Rejection::Signature)
        }
    }
}

/// A token of `claims`, signed by `key` (RFC 7515 section 7.1).
pub(crate) fn compact(typ: &str, claims: &[u8], key: &SigningKey) -> String {
    let kid = key.public().id();
    let header = format!(r#"{{"alg":"{ALG}","typ":"{typ}","kid":"{kid}"}}"#);
    let mut token = BASE64URL_NOPAD.encode(header.as_bytes());
    token.push('.');
    BASE64URL_NOPAD.encode_append(claims, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    BASE64URL_NOPAD.encode_append(&signature, &mut token);
    token
}

/// The three parts as received, none of them empty.
struct Parts<'a> {
    signing_input: &'a [u8],
    header: &'a [u8],
    claims: &'a [u8],
    signature: &'a [u8],
}

/// Header, claims and signature.
type Decoded<'h> = (&'h [u8], Vec<u8>, [u8; 64]);

impl<'a> Parts<'a> {
    fn split(token: &'a [u8]) -> Result<Self, Rejection> {
        let (header, rest) = split_at_dot(token).ok_or(Rejection::Shape)?;
        let (claims, signature) = split_at_dot(rest).ok_or(Rejection::Shape)?;
        let parts = [header, claims, signature];
        if parts.iter().any(|part| part.is_empty()) || memchr(b'.', signature).is_some() {
            return Err(Rejection::Shape);
        }
        let length = header.len().saturating_add(1).saturating_add(claims.len());
        let signing_input = token.get(..length).ok_or(Rejection::Shape)?;
        Ok(Self {
            signing_input,
            header,
            claims,
            signature,
        })
    }

    fn decode<'h>(&self, header: &'h mut [u8; HEADER_OCTETS]) -> Result<Decoded<'h>, Rejection> {
        let refused = Rejection::Encoding;
        let length = decoded_length(self.header).ok_or(refused(Part::Header))?;
        let header = header.get_mut(..length).ok_or(Rejection::HeaderMembers)?;
        decode(self.header, header).ok_or(refused(Part::Header))?;
        let length = decoded_length(self.claims).ok_or(refused(Part::Claims))?;
        let mut claims = vec![0; length];
        decode(self.claims, &mut claims).ok_or(refused(Part::Claims))?;
        let mut signature = [0; 64];
        decode(self.signature, &mut signature).ok_or(refused(Part::Signature))?;
        Ok((header, claims, signature))
    }
}

/// What is before the first dot, and what behind it.
fn split_at_dot(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, from_dot) = text.split_at_checked(memchr(b'.', text)?)?;
    Some((before, from_dot.get(1..)?))
}

fn is_base64url_or_dot(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')
}

fn decoded_length(text: &[u8]) -> Option<usize> {
    BASE64URL_NOPAD.decode_len(text.len()).ok()
}

/// Decodes canonical base64url that has exactly the length of `octets`.
fn decode(text: &[u8], octets: &mut [u8]) -> Option<()> {
    if decoded_length(text)? != octets.len() {
        return None;
    }
    BASE64URL_NOPAD.decode_mut(text, octets).ok().map(|_| ())
}

fn read_header(octets: &[u8], typ: &'static str) -> Result<KeyId, Rejection> {
    if let Some(kid) = read_usual_header(octets, typ) {
        return Ok(kid);
    }
    let mut members = HeaderMembers::default();
    json::read_object(octets, |name, value| members.take(&name, value, typ)).map_err(|why| {
        match why {
            ObjectError::Duplicate => Rejection::DuplicateMember(Part::Header),
            ObjectError::Member(rejection) => rejection,
            ObjectError::Syntax => Rejection::HeaderJson,
        }
    })?;
    match members {
        HeaderMembers {
            alg: true,
            typ: true,
            kid: Some(kid),
        } => Ok(kid),
        _ => Err(Rejection::HeaderMembers),
    }
}

/// The header as our own minter writes it, octet for octet; every other form is read as JSON.
fn read_usual_header(octets: &[u8], typ: &str) -> Option<KeyId> {
    let rest = octets
        .strip_prefix(br#"{"alg":""#)?
        .strip_prefix(ALG.as_bytes())?;
    let rest = rest
        .strip_prefix(br#"","typ":""#)?
        .strip_prefix(typ.as_bytes())?;
    let kid = rest.strip_prefix(br#"","kid":""#)?.strip_suffix(br#""}"#)?;
    digest_from_text(kid).map(KeyId::from_octets)
}

#[derive(Default)]
struct HeaderMembers {
    alg: bool,
    typ: bool,
    kid: Option<KeyId>,
}

impl HeaderMembers {
    fn take(&mut self, name: &str, value: Value<'_>, typ: &'static str) -> Result<(), Rejection> {
        let text: Cow<'_, str> = match value {
            Value::Text(text) => text,
            _ => return Err(Rejection::HeaderMembers),
        };
        match name {
            "alg" if text == ALG => self.alg = true,
            "alg" => return Err(Rejection::HeaderAlg),
            "typ" if text == typ => self.typ = true,
            "typ" => return Err(Rejection::HeaderTyp { expected: typ }),
            "kid" => self.kid = Some(KeyId::parse(&text).ok_or(Rejection::HeaderKid)?),
            _ => return Err(Rejection::HeaderMembers),
        }
        Ok(())
    }
}

const HEADER_OCTETS: usize = 256;

#[cfg(test)]
mod tests {
    use super::Unverified;
    use crate::key::SigningKey;
    use crate::token::{Kind, Rejection};
    use data_encoding::BASE64URL_NOPAD;

    #[test]
    fn a_key_that_was_found_under_another_name_verifies_nothing() {
        let (named, other) = (
            SigningKey::from_seed(&[1; 32]),
            SigningKey::from_seed(&[2; 32]),
        );
        let (typ, kid) = (Kind::Message.typ(), named.public().id());
        let header = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"{kid}"}}"#);
        let encode = |octets: &[u8]| BASE64URL_NOPAD.encode(octets);
        let signed_by = |key: &SigningKey| {
            let input = format!("{}.{}", encode(header.as_bytes()), encode(b"{}"));
            format!("{input}.{}", encode(&key.sign(input.as_bytes())))
        };
        let token = signed_by(&named);
        let parsed = Unverified::parse(token.as_bytes(), typ).unwrap();
        assert_eq!(parsed.verified_claims(named.public()), Ok(&b"{}"[..]));
        let token = signed_by(&other);
        let parsed = Unverified::parse(token.as_bytes(), typ).unwrap();
        let verdict = parsed.verified_claims(other.public());
        assert_eq!(verdict, Err(Rejection::Signature));
    }
}
