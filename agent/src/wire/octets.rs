//! Octets in JSON.

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
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
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let octets = BASE64.decode(text.as_bytes());
        octets.map(Self).map_err(|_| {
            serde::de::Error::custom("not standard base64 with padding (RFC 4648 section 4)")
        })
    }
}
