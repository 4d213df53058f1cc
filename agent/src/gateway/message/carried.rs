//! The token that a message carries, and what it says it is. Nothing of it is believed here.

use super::TOKEN_PROPERTY;
use crate::gateway::packet::Properties;
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::limits;
use edgeseal_trust::token::{self, Kind};
use serde::Deserialize;
use std::borrow::Cow;

/// How a message carries its token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carried<'a> {
    /// In one outer envelope, before the application's payload.
    Envelope { token: &'a str, payload: &'a [u8] },
    /// Not at all.
    Nothing,
    /// As user property: the payload is opaque.
    Property(&'a str),
    /// As more than one user property.
    Twice,
}

impl<'a> Carried<'a> {
    pub(super) fn of(properties: &Properties<'a>, payload: &'a [u8]) -> Self {
        let mut tokens = properties
            .user()
            .filter(|(name, _)| *name == TOKEN_PROPERTY);
        match (tokens.next(), tokens.next()) {
            (Some((_, token)), None) => Self::Property(token),
            (Some(_), Some(_)) => Self::Twice,
            (None, _) => opened(payload).unwrap_or(Self::Nothing),
        }
    }
}

/// An envelope is `ES1 `, up to 4,096 octets of a token, a line feed, and the payload.
fn opened(octets: &[u8]) -> Option<Carried<'_>> {
    let rest = octets.strip_prefix(ENVELOPE)?;
    let longest = limits::TOKEN_OCTETS.saturating_add(1).min(rest.len());
    let end = rest.get(..longest)?.iter().position(|b| *b == LINE_FEED)?;
    let (token, payload) = rest.split_at_checked(end)?;
    let payload = payload.strip_prefix(&[LINE_FEED])?;
    let is_token = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if token.is_empty() || !token.iter().all(is_token) {
        return None;
    }
    let token = std::str::from_utf8(token).ok()?;
    Some(Carried::Envelope { token, payload })
}

/// The kind that a token's `typ` claims, to find the rule by which the verifier judges it. Where the header
/// is none, the verifier says by any rule what is wrong with it.
pub(super) fn kind_of(token: &str) -> Option<Kind> {
    #[derive(Deserialize)]
    struct Header<'a> {
        #[serde(borrow)]
        typ: Cow<'a, str>,
    }
    let usual = USUAL.iter().find(|(begins, _)| token.starts_with(begins));
    if let Some((_, kind)) = usual {
        return Some(*kind);
    }
    let (header, _) = token.split_once('.')?;
    let mut octets = [0; HEADER_OCTETS];
    let length = BASE64URL_NOPAD.decode_len(header.len()).ok()?;
    let octets = octets.get_mut(..length)?;
    BASE64URL_NOPAD.decode_mut(header.as_bytes(), octets).ok()?;
    let header: Header<'_> = serde_json::from_slice(octets).ok()?;
    [Kind::Message, Kind::Retained, Kind::Will]
        .into_iter()
        .find(|kind| kind.typ() == header.typ)
}

/// The properties that a token binds; `user` holds the user properties.
pub(super) fn bound<'a>(
    properties: &Properties<'a>,
    user: &'a [(&'a str, &'a str)],
) -> token::Properties<'a> {
    token::Properties {
        response_topic: properties.response_topic(),
        correlation_data: properties.correlation_data(),
        content_type: properties.content_type(),
        user,
    }
}

/// What an envelope begins with.
pub(super) const ENVELOPE: &[u8] = b"ES1 ";
/// What stands between token and payload.
pub(super) const LINE_FEED: u8 = b'\n';
/// The longest header that the verifier reads, decoded.
const HEADER_OCTETS: usize = 256;
/// How the tokens of our own minter begin: their headers as far as behind `typ`.
const USUAL: &[(&str, Kind)] = &[
    (
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImVkZ2VzZWFsLW1zZytqd3Qi",
        Kind::Message,
    ),
    (
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImVkZ2VzZWFsLXJldGFpbmVkK2p3dCIs",
        Kind::Retained,
    ),
    (
        "eyJhbGciOiJFZERTQSIsInR5cCI6ImVkZ2VzZWFsLXdpbGwrand0Iiwi",
        Kind::Will,
    ),
];

#[cfg(test)]
mod tests {
    use super::{BASE64URL_NOPAD, Kind, USUAL, kind_of};

    #[test]
    fn the_kind_of_a_usual_header_is_known_without_reading_it() {
        for (begins, kind) in USUAL {
            let typ = kind.typ();
            let ordered = format!(r#"{{"alg":"EdDSA","typ":"{typ}","kid":"x"}}"#);
            let token = BASE64URL_NOPAD.encode(ordered.as_bytes()) + ".e30.x";
            assert!(token.starts_with(begins), "{typ}");
            assert_eq!(kind_of(&token), Some(*kind));
            let other = format!(r#"{{"typ":"{typ}","alg":"EdDSA","kid":"x"}}"#);
            let token = BASE64URL_NOPAD.encode(other.as_bytes()) + ".e30.x";
            assert!(!token.starts_with(begins), "{typ}");
            assert_eq!(kind_of(&token), Some(*kind), "read as JSON");
        }
        let login =
            BASE64URL_NOPAD.encode(br#"{"alg":"EdDSA","typ":"edgeseal-login+jwt","kid":"x"}"#);
        assert_eq!(kind_of(&(login + ".e30.x")), None::<Kind>);
    }
}
