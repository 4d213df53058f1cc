//! A received token before anything in it is believed (RFC 7515 section 3.1).

use super::{ALG, Part, Rejection};
use crate::json::{self, ObjectError, Value};
use crate::key::{KeyId, VerifyingKey};
use crate::limits;
use data_encoding::BASE64URL_NOPAD;
use std::borrow::Cow;

/// A token whose size, shape and header are right, and of which nothing is believed. It shows its
/// `kid` only, to look the key up.
pub struct Unverified<'a> {
    signing_input: &'a [u8],
    claims: ClaimsText,
    signature: [u8; 64],
    kid: KeyId,
}

/// Decoded claims, on the stack: verification allocates nothing for them.
struct ClaimsText {
    octets: [u8; CLAIMS_OCTETS],
    length: usize,
}

impl<'a> Unverified<'a> {
    /// Judges size, shape and header: exactly `alg` = `EdDSA`, `typ` as expected, `kid`.
    ///
    /// # Errors
    /// The [`Rejection`] of the first of these checks that refuses.
    pub fn parse(token: &'a [u8], typ: &'static str) -> Result<Self, Rejection> {
        if token.len() > limits::TOKEN_OCTETS {
            let (found, limit) = (token.len(), limits::TOKEN_OCTETS);
            return Err(Rejection::Size { found, limit });
        }
        let (signing_input, header, claims, signature) = split(token)?;
        let kid = read_header(header, typ)?;
        Ok(Self {
            signing_input,
            claims: ClaimsText::decode(claims)?,
            signature: decode_signature(signature)?,
            kid,
        })
    }

    /// The name of the key that the token says it was signed with.
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// The claims' JSON text, once `key` has verified the signature over the received octets: the
    /// only way to it.
    pub(super) fn verified_claims(&self, key: &VerifyingKey) -> Result<&[u8], Rejection> {
        if key.id() == self.kid && key.verifies(self.signing_input, &self.signature) {
            Ok(self
                .claims
                .octets
                .get(..self.claims.length)
                .unwrap_or_default())
        } else {
            Err(Rejection::Signature)
        }
    }
}

impl ClaimsText {
    fn decode(text: &[u8]) -> Result<Self, Rejection> {
        let mut octets = [0; CLAIMS_OCTETS];
        let length = decode(text, &mut octets, Part::Claims)?;
        Ok(Self { octets, length })
    }
}

/// Signing input, header, claims and signature, each not empty and of base64url's characters.
type Parts<'a> = (&'a [u8], &'a [u8], &'a [u8], &'a [u8]);

fn split(token: &[u8]) -> Result<Parts<'_>, Rejection> {
    let mut dots = token.iter().enumerate().filter(|(_, b)| **b == b'.');
    let (first, _) = dots.next().ok_or(Rejection::Shape)?;
    let (second, _) = dots.next().ok_or(Rejection::Shape)?;
    let base64url = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if dots.next().is_some() || !token.iter().all(base64url) {
        return Err(Rejection::Shape);
    }
    let after = |dot: usize| dot.saturating_add(1);
    let part = |range: std::ops::Range<usize>| match token.get(range) {
        Some(part) if !part.is_empty() => Ok(part),
        _ => Err(Rejection::Shape),
    };
    Ok((
        part(0..second)?,
        part(0..first)?,
        part(after(first)..second)?,
        part(after(second)..token.len())?,
    ))
}

fn read_header(text: &[u8], typ: &'static str) -> Result<KeyId, Rejection> {
    let mut octets = [0; HEADER_OCTETS];
    if BASE64URL_NOPAD
        .decode_len(text.len())
        .is_ok_and(|length| length > HEADER_OCTETS)
    {
        return Err(Rejection::HeaderMembers); // three short members need less
    }
    let length = decode(text, &mut octets, Part::Header)?;
    let mut members = HeaderMembers::default();
    let octets = octets.get(..length).unwrap_or_default();
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

fn decode_signature(text: &[u8]) -> Result<[u8; 64], Rejection> {
    let mut octets = [0; 64];
    match BASE64URL_NOPAD.decode_len(text.len()) {
        Ok(64) => {}
        _ => return Err(Rejection::Encoding(Part::Signature)),
    }
    decode(text, &mut octets, Part::Signature)?;
    Ok(octets)
}

fn decode(text: &[u8], octets: &mut [u8], part: Part) -> Result<usize, Rejection> {
    let refused = || Rejection::Encoding(part);
    let length = BASE64URL_NOPAD
        .decode_len(text.len())
        .map_err(|_| refused())?;
    let octets = octets.get_mut(..length).ok_or_else(refused)?;
    BASE64URL_NOPAD
        .decode_mut(text, octets)
        .map_err(|_| refused())
}

const HEADER_OCTETS: usize = 256;
const CLAIMS_OCTETS: usize = limits::TOKEN_OCTETS / 4 * 3;

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
