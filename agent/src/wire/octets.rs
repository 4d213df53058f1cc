//! Octets in JSON.

use data_encoding::BASE64;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Octets, in JSON as standard base64 with padding (RFC 4648 section 4): one text for one value.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct Octets(pub Vec<u8>);

impl Octets {
    /// The octets.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Octets {
    fn from(octets: &[u8]) -> Self {
        Self(octets.to_vec())
    }
}

/// Shows the length only: payloads do not belong in logs.
impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.0.len())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Base64)
    }
}

/// Decodes from the text as it stands in the body: a payload is never copied first.
struct Base64;

impl Visitor<'_> for Base64 {
    type Value = Octets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Octets, E> {
        BASE64
            .decode(text.as_bytes())
            .map(Octets)
            .map_err(|_| E::custom("not standard base64 with padding (RFC 4648 section 4)"))
    }
}
