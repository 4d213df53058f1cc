//! Making tokens: the agent fills in who and when, the caller says what and where.

use super::claims::CLOCK_UNSYNCHRONIZED;
use super::{ALG, Kind, LOGIN_TYP, Properties, TokenId};
use crate::grant::{self, Act, NotGranted};
use crate::id::{Audience, DeviceId, TrustDomain};
use crate::key::SigningKey;
use crate::limits;
use crate::registry::Role;
use crate::status::{StatusDraft, StatusRefusal};
use crate::time::UnixTime;
use crate::topic::{InvalidTopic, Topic};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Mints the tokens of one device with one key.
pub struct Minter {
    /// Where it was read to: a key that moves leaves a copy behind.
    key: Box<SigningKey>,
    domain: TrustDomain,
    device: DeviceId,
    headers: Headers,
    /// `{"iss":"...","sub":"...",` of every token.
    opening: String,
}

/// The encoded header of each type of token, with the dot behind it.
struct Headers {
    message: String,
    retained: String,
    will: String,
    login: String,
}

/// A message, retained statement or will to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// What it is.
    pub kind: Kind,
    /// Where it will be published.
    pub topic: &'a [u8],
    /// The hash of its application payload.
    pub payload: PayloadHash,
    /// The MQTT 5 properties to bind.
    pub properties: Properties<'a>,
    /// For whom.
    pub audience: &'a Audience,
    /// `iat`: now.
    pub issued_at: UnixTime,
    /// `exp - iat`, in seconds.
    pub lifetime_seconds: u64,
    /// `jti`: never used before by this key.
    pub id: TokenId,
    /// `tsq`: sequence of the manifest in force.
    pub trust_sequence: u64,
    /// This device's clock is not synchronized.
    pub clock_unsynchronized: bool,
    /// When the data was captured, where that is older; never later than `issued_at`.
    pub captured_at: Option<UnixTime>,
    /// The device relays for others.
    pub vouched: bool,
}

/// SHA-256 of an application payload (`phs`), computed once for whoever needs it again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PayloadHash([u8; 32]);

impl PayloadHash {
    /// The hash of a payload of no octets: a deletion's.
    pub const EMPTY: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Hashes a payload.
    pub fn of(payload: &[u8]) -> Self {
        Self(Sha256::digest(payload).into())
    }

    /// The octets of the hash.
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A login to be signed: the password of an MQTT CONNECT, or a bearer token of one service.
#[derive(Clone, Copy, Debug)]
pub struct LoginDraft<'a> {
    /// `login:...`, the one broker or service.
    pub audience: &'a Audience,
    /// `iat`: now.
    pub issued_at: UnixTime,
    /// `exp - iat`, in seconds.
    pub lifetime_seconds: u64,
    /// `jti`: never used before by this key.
    pub id: TokenId,
}

/// Why nothing was signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MintRefusal {
    /// A login audience outside a login, another audience in one, another trust domain, or a retained
    /// statement that does not address the domain.
    #[error("a {what} cannot be addressed to {audience}")]
    Audience {
        /// What was to be signed.
        what: &'static str,
        /// To whom.
        audience: Audience,
    },
    /// The data would have been captured after it was signed.
    #[error("the data is said to be captured at {captured_at:#}, later than now, {issued_at:#}")]
    CapturedLater {
        /// What was stated.
        captured_at: UnixTime,
        /// `iat`.
        issued_at: UnixTime,
    },
    /// Not 1 second to the ceiling of the kind.
    #[error("a lifetime of {lifetime_seconds} s is outside 1 to {ceiling_seconds} s")]
    Lifetime {
        /// What was asked for, in seconds.
        lifetime_seconds: u64,
        /// The ceiling of the kind, in seconds.
        ceiling_seconds: u64,
    },
    /// The device's roles do not grant it.
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    /// A user property's name or value has more octets than MQTT can carry.
    #[error("a user property is longer than 65535 octets")]
    PropertySize,
    /// A retained statement without a payload: what deletes one is signed as a message.
    #[error("a retained statement has a payload; a deletion is signed as a message")]
    RetainedEmpty,
    /// The response topic is none.
    #[error("the response topic is no topic name: {0}")]
    ResponseTopic(InvalidTopic),
    /// The token would have more octets than any verifier reads.
    #[error("the token would have {0} octets; verifiers read at most {limit}", limit = limits::TOKEN_OCTETS)]
    Size(usize),
    /// The topic is none.
    #[error("the topic is no topic name: {0}")]
    TopicName(InvalidTopic),
}

impl MintRefusal {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Audience { .. } => "audience",
            Self::CapturedLater { .. } => "captured-later",
            Self::Lifetime { .. } => "lifetime",
            Self::NotGranted(refusal) => refusal.code(),
            Self::PropertySize => "property-size",
            Self::ResponseTopic(_) => "response-topic",
            Self::RetainedEmpty => "retained-empty",
            Self::Size(_) => "size",
            Self::TopicName(_) => "topic-name",
        }
    }
}

impl Minter {
    /// A minter for `device` in `domain`.
    pub fn new(key: impl Into<Box<SigningKey>>, domain: &TrustDomain, device: DeviceId) -> Self {
        let key = key.into();
        let kid = key.public().id();
        let header = |typ: &str| {
            let json = format!(r#"{{"alg":"{ALG}","typ":"{typ}","kid":"{kid}"}}"#);
            let mut text = BASE64URL_NOPAD.encode(json.as_bytes());
            text.push('.');
            text
        };
        let headers = Headers {
            message: header(Kind::Message.typ()),
            retained: header(Kind::Retained.typ()),
            will: header(Kind::Will.typ()),
            login: header(LOGIN_TYP),
        };
        let opening = format!(r#"{{"iss":"{domain}","sub":"{device}","#);
        Self {
            key,
            domain: domain.clone(),
            device,
            headers,
            opening,
        }
    }

    /// The key that signs.
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Gives the key back, for a minter with another name.
    pub fn into_key(self) -> Box<SigningKey> {
        self.key
    }

    /// The device that signs.
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Signs a message, retained statement or will, if `roles` grant it.
    ///
    /// # Errors
    /// [`MintRefusal`]: what a verifier would reject is not signed.
    pub fn mint<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a Role>,
        draft: &Draft<'_>,
    ) -> Result<String, MintRefusal> {
        let topic = Topic::parse(draft.topic).map_err(MintRefusal::TopicName)?;
        self.allow(roles, draft, topic)?;
        let claims = self.claims(draft, topic);
        let header = match draft.kind {
            Kind::Message => &self.headers.message,
            Kind::Retained => &self.headers.retained,
            Kind::Will => &self.headers.will,
        };
        self.sign(header, &claims)
    }

    /// Signs a login token.
    ///
    /// # Errors
    /// [`MintRefusal`] for another audience than `login:...` and for a lifetime above 300 seconds.
    pub fn mint_login(&self, draft: &LoginDraft<'_>) -> Result<String, MintRefusal> {
        let Audience::Login(audience) = draft.audience else {
            let audience = draft.audience.clone();
            return Err(MintRefusal::Audience {
                what: "login",
                audience,
            });
        };
        expect_lifetime(draft.lifetime_seconds, limits::LOGIN_LIFETIME_SECONDS)?;
        let mut claims = self.opening.clone();
        push_member(&mut claims, "aud", audience);
        let expires_at = draft.issued_at.plus(draft.lifetime_seconds);
        let (issued_at, id) = (draft.issued_at, draft.id);
        let _ = write!(
            claims,
            r#","iat":{issued_at},"exp":{expires_at},"jti":"{id}"}}"#
        );
        self.sign(&self.headers.login, &claims)
    }

    /// Signs the device's status.
    ///
    /// # Errors
    /// [`StatusRefusal`]: what a reader would reject is not signed.
    pub fn mint_status(&self, draft: &StatusDraft) -> Result<String, StatusRefusal> {
        draft.sign(&self.key, &self.domain, &self.device)
    }

    fn allow<'a>(
        &self,
        roles: impl IntoIterator<Item = &'a Role>,
        draft: &Draft<'_>,
        topic: Topic<'_>,
    ) -> Result<(), MintRefusal> {
        let domain_only = draft.kind == Kind::Retained;
        if domain_only && draft.payload == PayloadHash::EMPTY {
            return Err(MintRefusal::RetainedEmpty);
        }
        match draft.audience {
            Audience::Domain(domain) if *domain == self.domain => {}
            Audience::Device(_) | Audience::Group(_) if !domain_only => {}
            audience => {
                let (what, audience) = (draft.kind.as_str(), audience.clone());
                return Err(MintRefusal::Audience { what, audience });
            }
        }
        expect_lifetime(
            draft.lifetime_seconds,
            draft.kind.lifetime_ceiling_seconds(),
        )?;
        let issued_at = draft.issued_at;
        if let Some(captured_at) = draft.captured_at.filter(|at| *at > issued_at) {
            return Err(MintRefusal::CapturedLater {
                captured_at,
                issued_at,
            });
        }
        let too_long = |text: &str| u16::try_from(text.len()).is_err();
        if draft
            .properties
            .user
            .iter()
            .any(|(name, value)| too_long(name) || too_long(value))
        {
            return Err(MintRefusal::PropertySize);
        }
        let response = match draft.properties.response_topic {
            Some(text) => Some(Topic::parse(text.as_bytes()).map_err(MintRefusal::ResponseTopic)?),
            None => None,
        };
        let act = Act {
            device: &self.device,
            kind: draft.kind,
            topic,
            audience: draft.audience,
            lifetime_seconds: draft.lifetime_seconds,
            response,
            vouched: draft.vouched,
        };
        Ok(grant::judge(roles, &act)?)
    }

    fn claims(&self, draft: &Draft<'_>, topic: Topic<'_>) -> String {
        let mut claims = String::with_capacity(CLAIMS_CAPACITY);
        claims.push_str(&self.opening);
        let expires_at = draft.issued_at.plus(draft.lifetime_seconds);
        let (kind, name) = draft.audience.parts(); // whose text needs no escapes
        claims.push_str(r#""aud":""#);
        claims.push_str(kind);
        claims.push_str(name);
        claims.push_str(r#"","iat":"#);
        push_number(&mut claims, draft.issued_at.seconds());
        claims.push_str(r#","exp":"#);
        push_number(&mut claims, expires_at.seconds());
        claims.push_str(r#","jti":""#);
        draft.id.push_to(&mut claims);
        claims.push_str(r#"","tsq":"#);
        push_number(&mut claims, draft.trust_sequence);
        claims.push(',');
        push_member(&mut claims, "top", topic.as_str());
        push_digest(&mut claims, "phs", Some(draft.payload.0));
        let hashes = draft.properties.hashes();
        push_digest(&mut claims, "rsp", hashes.response_topic);
        push_digest(&mut claims, "cor", hashes.correlation_data);
        push_digest(&mut claims, "cty", hashes.content_type);
        push_digest(&mut claims, "upr", hashes.user);
        if draft.clock_unsynchronized {
            let _ = write!(claims, r#","clk":"{CLOCK_UNSYNCHRONIZED}""#);
        }
        if let Some(captured_at) = draft.captured_at {
            let _ = write!(claims, r#","cap":{captured_at}"#);
        }
        if draft.vouched {
            claims.push_str(r#","vch":true"#);
        }
        claims.push('}');
        claims
    }

    fn sign(&self, header: &str, claims: &str) -> Result<String, MintRefusal> {
        let length = BASE64URL_NOPAD.encode_len(claims.len());
        let size = header
            .len()
            .saturating_add(length)
            .saturating_add(SIGNATURE_CHARACTERS);
        if size > limits::TOKEN_OCTETS {
            return Err(MintRefusal::Size(size));
        }
        let mut token = String::with_capacity(size);
        token.push_str(header);
        BASE64URL_NOPAD.encode_append(claims.as_bytes(), &mut token);
        let signature = self.key.sign(token.as_bytes());
        token.push('.');
        BASE64URL_NOPAD.encode_append(&signature, &mut token);
        Ok(token)
    }
}

fn expect_lifetime(lifetime_seconds: u64, ceiling_seconds: u64) -> Result<(), MintRefusal> {
    if (1..=ceiling_seconds).contains(&lifetime_seconds) {
        Ok(())
    } else {
        Err(MintRefusal::Lifetime {
            lifetime_seconds,
            ceiling_seconds,
        })
    }
}

/// Appends `"name":"text"`, escaped (RFC 8259 section 7).
fn push_member(json: &mut String, name: &str, text: &str) {
    json.push('"');
    json.push_str(name);
    json.push_str(r#"":""#);
    push_escaped(json, text);
    json.push('"');
}

fn push_escaped(json: &mut String, text: &str) {
    if text
        .bytes()
        .all(|b| b >= b' ' && !matches!(b, b'"' | b'\\'))
    {
        return json.push_str(text); // nearly every topic
    }
    for character in text.chars() {
        match character {
            '"' | '\\' => {
                json.push('\\');
                json.push(character);
            }
            '\0'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            _ => json.push(character),
        }
    }
}

fn push_number(json: &mut String, number: u64) {
    json.push_str(itoa::Buffer::new().format(number));
}

fn push_digest(json: &mut String, name: &str, digest: Option<[u8; 32]>) {
    if let Some(digest) = digest {
        json.push_str(r#",""#);
        json.push_str(name);
        json.push_str(r#"":""#);
        BASE64URL_NOPAD.encode_append(&digest, json);
        json.push('"');
    }
}

const CLAIMS_CAPACITY: usize = 512;
/// The dot and 64 octets.
const SIGNATURE_CHARACTERS: usize = 87;

#[cfg(test)]
mod tests {
    use super::{push_member, push_number};

    #[test]
    fn every_text_and_number_is_read_back_as_it_was() {
        for text in [
            "",
            "site/pump-1/temp",
            "ü/😀",
            "a\"b",
            "a\\b",
            "a\u{1f}b\n",
            "a\u{7f}b",
        ] {
            let mut json = "{".to_owned();
            push_member(&mut json, "top", text);
            json.push('}');
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read["top"], text, "{json}");
        }
        for number in [0, 9, 10, 1_800_000_000, u64::MAX] {
            let mut json = String::new();
            push_number(&mut json, number);
            assert_eq!(json, number.to_string());
        }
    }
}
