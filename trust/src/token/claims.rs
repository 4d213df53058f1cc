//! Claims of a message token (DESIGN of the wire profile; RFC 7519 section 4), read once, borrowed.

use super::{BoundHashes, Part, Rejection, TokenId, usual};
use crate::json::{self, ObjectError, Value};
use crate::key::digest_from_text;
use crate::time::UnixTime;
use std::borrow::Cow;

/// The claims of a token whose signature has been verified, each of its type and form. Claims that
/// the profile does not define are ignored and never reach a caller.
#[derive(Debug, Eq, PartialEq)]
pub struct Claims<'a> {
    /// `iss`: trust domain.
    pub issuer: Cow<'a, str>,
    /// `sub`: device id.
    pub subject: Cow<'a, str>,
    /// `aud`: exactly one string.
    pub audience: Cow<'a, str>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`.
    pub id: TokenId,
    /// What binds the token to a message; absent in a login token.
    pub message: Option<MessageClaims<'a>>,
}

/// The claims that bind a token to one MQTT message.
#[derive(Debug, Eq, PartialEq)]
pub struct MessageClaims<'a> {
    /// `top`: topic name as published.
    pub topic: Cow<'a, str>,
    /// `phs`: SHA-256 of the payload.
    pub payload_hash: [u8; 32],
    /// `rsp`, `cor`, `cty`, `upr`.
    pub properties: BoundHashes,
    /// `tsq`: the sender's trust sequence.
    pub trust_sequence: u64,
    /// `clk`: the sender's clock is not synchronized.
    pub clock_unsynchronized: bool,
    /// `cap`: when the data was captured, where older than the signature.
    pub captured_at: Option<UnixTime>,
    /// `vch`: the device relays for others.
    pub vouched: bool,
}

/// Which claims are required.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Profile {
    Login,
    Message,
}

impl<'a> Claims<'a> {
    pub(crate) fn read(octets: &'a [u8], profile: Profile) -> Result<Self, Rejection> {
        match profile {
            Profile::Message => usual::read(octets),
            Profile::Login => None,
        }
        .map_or_else(|| Self::read_json(octets, profile), Ok)
    }

    /// Reads claims of whatever form.
    pub(super) fn read_json(octets: &'a [u8], profile: Profile) -> Result<Self, Rejection> {
        let mut found = Found::default();
        json::read_object(octets, |name, value| found.take(&name, value, profile)).map_err(
            |why| match why {
                ObjectError::Duplicate => Rejection::DuplicateMember(Part::Claims),
                ObjectError::Member(rejection) => rejection,
                ObjectError::Syntax => Rejection::ClaimsJson,
            },
        )?;
        found.complete(profile)
    }
}

#[derive(Default)]
struct Found<'a> {
    iss: Option<Cow<'a, str>>,
    sub: Option<Cow<'a, str>>,
    aud: Option<Cow<'a, str>>,
    iat: Option<UnixTime>,
    exp: Option<UnixTime>,
    jti: Option<TokenId>,
    top: Option<Cow<'a, str>>,
    phs: Option<[u8; 32]>,
    tsq: Option<u64>,
    properties: BoundHashes,
    clk: bool,
    cap: Option<UnixTime>,
    vch: bool,
}

impl<'a> Found<'a> {
    fn take(&mut self, name: &str, value: Value<'a>, profile: Profile) -> Result<(), Rejection> {
        match name {
            "iss" => self.iss = Some(text(value, "iss")?),
            "sub" => self.sub = Some(text(value, "sub")?),
            "aud" => self.aud = Some(text(value, "aud")?),
            "iat" => self.iat = Some(time(value, "iat")?),
            "exp" => self.exp = Some(time(value, "exp")?),
            "jti" => {
                let id = TokenId::parse(&text(value, "jti")?);
                self.jti = Some(id.map_err(|_| Rejection::ClaimValue("jti"))?);
            }
            _ if profile == Profile::Login => {}
            "top" => self.top = Some(text(value, "top")?),
            "phs" => self.phs = Some(digest(value, "phs")?),
            "tsq" => self.tsq = Some(whole(value, "tsq")?),
            "rsp" => self.properties.response_topic = Some(digest(value, "rsp")?),
            "cor" => self.properties.correlation_data = Some(digest(value, "cor")?),
            "cty" => self.properties.content_type = Some(digest(value, "cty")?),
            "upr" => self.properties.user = Some(digest(value, "upr")?),
            "clk" => {
                self.clk = text(value, "clk")? == CLOCK_UNSYNCHRONIZED;
                if !self.clk {
                    return Err(Rejection::ClaimValue("clk"));
                }
            }
            "cap" => self.cap = Some(time(value, "cap")?),
            "vch" => match value {
                Value::Boolean(true) => self.vch = true,
                Value::Boolean(false) => return Err(Rejection::ClaimValue("vch")),
                _ => return Err(Rejection::ClaimType("vch")),
            },
            _ => {}
        }
        Ok(())
    }

    fn complete(self, profile: Profile) -> Result<Claims<'a>, Rejection> {
        let missing = Rejection::ClaimMissing;
        let captured_at = self.cap;
        let message = match profile {
            Profile::Login => None,
            Profile::Message => Some(MessageClaims {
                topic: self.top.ok_or(missing("top"))?,
                payload_hash: self.phs.ok_or(missing("phs"))?,
                properties: self.properties,
                trust_sequence: self.tsq.ok_or(missing("tsq"))?,
                clock_unsynchronized: self.clk,
                captured_at: self.cap,
                vouched: self.vch,
            }),
        };
        let claims = Claims {
            issuer: self.iss.ok_or(missing("iss"))?,
            subject: self.sub.ok_or(missing("sub"))?,
            audience: self.aud.ok_or(missing("aud"))?,
            issued_at: self.iat.ok_or(missing("iat"))?,
            expires_at: self.exp.ok_or(missing("exp"))?,
            id: self.jti.ok_or(missing("jti"))?,
            message,
        };
        if captured_at.is_some_and(|captured_at| captured_at > claims.issued_at) {
            return Err(Rejection::ClaimValue("cap"));
        }
        Ok(claims)
    }
}

fn text<'a>(value: Value<'a>, claim: &'static str) -> Result<Cow<'a, str>, Rejection> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Rejection::ClaimType(claim)),
    }
}

fn whole(value: Value<'_>, claim: &'static str) -> Result<u64, Rejection> {
    match value {
        Value::Whole(number) => Ok(number),
        _ => Err(Rejection::ClaimType(claim)),
    }
}

fn time(value: Value<'_>, claim: &'static str) -> Result<UnixTime, Rejection> {
    whole(value, claim).map(UnixTime::from_seconds)
}

fn digest(value: Value<'_>, claim: &'static str) -> Result<[u8; 32], Rejection> {
    let text = text(value, claim)?;
    digest_from_text(text.as_bytes()).ok_or(Rejection::ClaimValue(claim))
}

/// The one value of `clk`.
pub(super) const CLOCK_UNSYNCHRONIZED: &str = "unsynchronized";
