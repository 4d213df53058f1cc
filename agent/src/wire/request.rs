//! What callers ask for.

use super::Octets;
use edgeseal_trust::id::{Audience, Name};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Kind, Properties, Stream, TokenId};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// Most octets of a property's text, and of each half of a user property (MQTT 5.0 section 1.5.4).
pub const PROPERTY_OCTETS: usize = 65_535;

/// Kind of the name that a program gives one of its consumers.
pub enum ConsumerKind {}
/// Name of a consumer within one local identity: 1 to 64 of `a-z 0-9 . _ -`.
pub type ConsumerName = Name<ConsumerKind>;

/// `POST /v1/sign`: sign one message. The agent fills in who and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignRequest {
    /// Topic name it will be published on.
    pub topic: String,
    /// Its application payload.
    pub payload_b64: Octets,
    /// For whom; the whole domain unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Message, retained statement or will.
    #[serde(default)]
    pub kind: Kind,
    /// `exp - iat` in seconds; otherwise the default of the kind, clipped to what is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
    /// At which quality of service it will be published: 0 counts in stream 0, all else in 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// The MQTT 5 properties it will carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<PropertiesBody>,
    /// When the data was captured, in seconds since 1970, where older than the signature: not later
    /// than now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<UnixTime>,
    /// The device relays for others that cannot sign.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouched: bool,
    /// The `jti` of the first try, to sign the same message anew: it keeps that `jti`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "token_id",
        serialize_with = "shown"
    )]
    pub resend: Option<TokenId>,
}

/// `POST /v1/verify` and `/v1/explain`: judge one message as it was received.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The token that came with it.
    pub token: String,
    /// Topic name it was delivered on.
    pub topic: String,
    /// Its application payload.
    pub payload_b64: Octets,
    /// What the topic takes.
    #[serde(default)]
    pub kind: Kind,
    /// Quality of service: the broker's word, judged by nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<Qos>,
    /// RETAIN as received: the broker's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retain: bool,
    /// Which of the caller's consumers asks; each remembers for itself what it was handed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ConsumerName>,
    /// Its MQTT 5 properties; absent where it came over MQTT 3.1.1 and nobody can see them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<PropertiesBody>,
}

/// `POST /v1/login`: a token for one broker or service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// `login:...`
    pub audience: Audience,
    /// `exp - iat` in seconds, 1 to 300; 60 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
}

/// MQTT 5 properties that a token binds, each at most [`PROPERTY_OCTETS`] long.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PropertiesBody {
    /// Response topic.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_text"
    )]
    pub response_topic: Option<String>,
    /// Correlation data.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_octets"
    )]
    pub correlation_data_b64: Option<Octets>,
    /// Content type.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_text"
    )]
    pub content_type: Option<String>,
    /// User properties in order.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "user_properties"
    )]
    pub user: Vec<(String, String)>,
}

impl PropertiesBody {
    /// The properties as `trust` takes them; `pairs` holds the borrowed user properties.
    pub fn borrow<'a>(&'a self, pairs: &'a mut Vec<(&'a str, &'a str)>) -> Properties<'a> {
        pairs.extend(self.user.iter().map(|(name, value)| (&**name, &**value)));
        Properties {
            response_topic: self.response_topic.as_deref(),
            correlation_data: self.correlation_data_b64.as_ref().map(Octets::as_slice),
            content_type: self.content_type.as_deref(),
            user: pairs,
        }
    }
}

/// Quality of service (MQTT 5.0 section 4.3), in JSON as its number.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Qos {
    /// 1
    AtLeastOnce,
    /// 0
    AtMostOnce,
    /// 2
    ExactlyOnce,
}

impl Qos {
    /// The stream of counters that a message of this quality belongs to.
    #[must_use]
    pub const fn stream(self) -> Stream {
        match self {
            Self::AtMostOnce => Stream::AtMostOnce,
            Self::AtLeastOnce | Self::ExactlyOnce => Stream::Reliable,
        }
    }
}

impl From<Qos> for u8 {
    fn from(qos: Qos) -> Self {
        match qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => 1,
            Qos::ExactlyOnce => 2,
        }
    }
}

impl TryFrom<u8> for Qos {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::AtMostOnce),
            1 => Ok(Self::AtLeastOnce),
            2 => Ok(Self::ExactlyOnce),
            _ => Err("qos is 0, 1 or 2"),
        }
    }
}

fn token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TokenId>, D::Error> {
    match Option::<Cow<'de, str>>::deserialize(deserializer)? {
        Some(text) => TokenId::parse(&text).map(Some).map_err(D::Error::custom),
        None => Ok(None),
    }
}

fn shown<S: Serializer>(id: &Option<TokenId>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    expect_length::<D>(text.as_deref().map(str::len))?;
    Ok(text)
}

fn optional_octets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Octets>, D::Error> {
    let octets = Option::<Octets>::deserialize(deserializer)?;
    expect_length::<D>(octets.as_ref().map(|octets| octets.0.len()))?;
    Ok(octets)
}

fn user_properties<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, String)>, D::Error> {
    let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
    for (name, value) in &pairs {
        expect_length::<D>(Some(name.len()))?;
        expect_length::<D>(Some(value.len()))?;
    }
    Ok(pairs)
}

fn expect_length<'de, D: Deserializer<'de>>(octets: Option<usize>) -> Result<(), D::Error> {
    match octets {
        Some(octets) if octets > PROPERTY_OCTETS => Err(D::Error::custom(format_args!(
            "a property of {octets} octets; MQTT carries at most {PROPERTY_OCTETS}"
        ))),
        _ => Ok(()),
    }
}
