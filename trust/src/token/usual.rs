//! Claims as our own minter writes them, octet for octet: read in one pass, without a parser. A text
//! of any other form, or with any other member, is left to the reader of JSON.

use super::claims::{Claims, MessageClaims};
use super::{BoundHashes, TokenId};
use crate::key::digest_from_text;
use crate::time::UnixTime;
use std::borrow::Cow;

/// The claims of a message without bound properties and optional claims; nothing where only the
/// reader of JSON can say what the text is, be it right or wrong.
pub(super) fn read(octets: &[u8]) -> Option<Claims<'_>> {
    let mut rest = Rest(std::str::from_utf8(octets).ok()?);
    let issuer = rest.text_behind(r#"{"iss":""#)?;
    let subject = rest.text_behind(r#","sub":""#)?;
    let audience = rest.text_behind(r#","aud":""#)?;
    let issued_at = rest.number_behind(r#","iat":"#)?;
    let expires_at = rest.number_behind(r#","exp":"#)?;
    let id = TokenId::parse(rest.text_behind(r#","jti":""#)?).ok()?;
    let trust_sequence = rest.number_behind(r#","tsq":"#)?;
    let topic = rest.text_behind(r#","top":""#)?;
    let payload_hash = digest_from_text(rest.text_behind(r#","phs":""#)?.as_bytes())?;
    (rest.0 == "}").then_some(Claims {
        issuer: Cow::Borrowed(issuer),
        subject: Cow::Borrowed(subject),
        audience: Cow::Borrowed(audience),
        issued_at: UnixTime::from_seconds(issued_at),
        expires_at: UnixTime::from_seconds(expires_at),
        id,
        message: Some(MessageClaims {
            topic: Cow::Borrowed(topic),
            payload_hash,
            properties: BoundHashes::default(),
            trust_sequence,
            clock_unsynchronized: false,
            captured_at: None,
            vouched: false,
        }),
    })
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// A string that stands for itself: no escape, no control character (RFC 8259 section 7).
    fn text_behind(&mut self, opening: &str) -> Option<&'a str> {
        let text = self.0.strip_prefix(opening)?;
        let special = |b: &u8| matches!(*b, b'"' | b'\\' | ..b' ');
        let (text, rest) = text.split_at_checked(text.as_bytes().iter().position(special)?)?;
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    /// A whole number without sign, fraction, exponent and leading zero (RFC 8259 section 6).
    fn number_behind(&mut self, opening: &str) -> Option<u64> {
        let text = self.0.strip_prefix(opening)?;
        let end = text.bytes().position(|b| !b.is_ascii_digit())?;
        let (number, rest) = text.split_at_checked(end)?;
        self.0 = rest;
        if number.len() > 1 && number.starts_with('0') {
            return None;
        }
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::token::claims::{Claims, Profile};

    const USUAL: &str = r#"{"iss":"farm","sub":"sensor","aud":"domain:farm","iat":1800000000,"exp":1800000060,"jti":"3.1.42","tsq":7,"top":"site/sensor/tämp","phs":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}"#;

    fn as_json(text: &[u8]) -> Option<Claims<'_>> {
        Claims::read_json(text, Profile::Message).ok()
    }

    #[test]
    fn the_usual_text_is_read_as_json_reads_it() {
        assert!(read(USUAL.as_bytes()).is_some());
        assert_eq!(read(USUAL.as_bytes()), as_json(USUAL.as_bytes()));
    }

    /// Every octet left out, put twice, and changed to every other: what is read here, JSON reads
    /// the same.
    #[test]
    fn nothing_is_read_that_json_does_not_read_the_same() {
        let usual = USUAL.as_bytes();
        let (mut read_here, mut left_to_json) = (0, 0);
        let mut compare = |text: &[u8]| match read(text) {
            Some(claims) => {
                assert_eq!(Some(claims), as_json(text), "{}", text.escape_ascii());
                read_here += 1;
            }
            None => left_to_json += 1,
        };
        for at in 0..usual.len() {
            compare(&usual[..at]);
            compare(&[&usual[..at], &usual[at + 1..]].concat());
            compare(&[&usual[..=at], &usual[at..]].concat());
            for octet in 0..=u8::MAX {
                compare(&[&usual[..at], &[octet], &usual[at + 1..]].concat());
                compare(&[&usual[..at], &[octet], &usual[at..]].concat());
            }
        }
        assert!(read_here > 10_000, "{read_here}");
        assert!(left_to_json > 10_000, "{left_to_json}");
    }

    #[test]
    fn numbers_are_those_of_json() {
        for (number, known) in [
            ("0", true),
            ("18446744073709551615", true),
            ("18446744073709551616", false),
            ("01", false),
            ("00", false),
            ("-1", false),
            ("+1", false),
            ("1.0", false),
            ("1e3", false),
            ("", false),
        ] {
            let text = USUAL.replace(r#""tsq":7"#, &format!(r#""tsq":{number}"#));
            assert_eq!(read(text.as_bytes()).is_some(), known, "{number}");
            assert_eq!(as_json(text.as_bytes()).is_some(), known, "{number}");
        }
    }
}
