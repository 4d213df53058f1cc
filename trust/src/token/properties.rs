//! MQTT 5 properties that a token binds: response topic, correlation data, content type and the
//! application's user properties.

use sha2::{Digest, Sha256};

/// Properties of a message, as an application sees them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Properties<'a> {
    /// Response topic (MQTT 5.0 section 3.3.2.3.5).
    pub response_topic: Option<&'a str>,
    /// Correlation data (section 3.3.2.3.6).
    pub correlation_data: Option<&'a [u8]>,
    /// Content type (section 3.3.2.3.9).
    pub content_type: Option<&'a str>,
    /// User properties (section 3.3.2.3.7), in order. Those named `edgeseal` or `edgeseal-*` are
    /// not the application's and are left out of the hash.
    pub user: &'a [(&'a str, &'a str)],
}

/// SHA-256 of each bound property that a message carries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BoundHashes {
    /// `rsp`: response topic.
    pub response_topic: Option<[u8; 32]>,
    /// `cor`: correlation data.
    pub correlation_data: Option<[u8; 32]>,
    /// `cty`: content type.
    pub content_type: Option<[u8; 32]>,
    /// `upr`: for each user property the 2-octet length (big-endian) and the octets of the name,
    /// then of the value.
    pub user: Option<[u8; 32]>,
}

impl Properties<'_> {
    /// The hashes of what is present.
    pub fn hashes(&self) -> BoundHashes {
        let digest = |octets: &[u8]| Sha256::digest(octets).into();
        BoundHashes {
            response_topic: self.response_topic.map(|text| digest(text.as_bytes())),
            correlation_data: self.correlation_data.map(digest),
            content_type: self.content_type.map(|text| digest(text.as_bytes())),
            user: self.user_hash(),
        }
    }

    fn user_hash(&self) -> Option<[u8; 32]> {
        let mut hash = None;
        for (name, value) in self.user.iter().filter(|(name, _)| !is_ours(name)) {
            let hash = hash.get_or_insert_with(Sha256::new);
            for text in [name, value] {
                let Ok(length) = u16::try_from(text.len()) else {
                    return Some(UNSIGNABLE);
                };
                hash.update(length.to_be_bytes());
                hash.update(text.as_bytes());
            }
        }
        hash.map(|hash| hash.finalize().into())
    }
}

/// Whether a user property is the agents' own.
pub(crate) fn is_ours(name: &str) -> bool {
    name == "edgeseal" || name.starts_with("edgeseal-")
}

/// MQTT cannot carry a longer text than 65,535 octets (section 1.5.4) and no minter signs one: it has the hash
/// that no text has.
const UNSIGNABLE: [u8; 32] = [0; 32];

#[cfg(test)]
mod tests {
    use super::Properties;

    fn user(pairs: &[(&str, &str)]) -> Option<[u8; 32]> {
        let properties = Properties {
            user: pairs,
            ..Properties::default()
        };
        properties.hashes().user
    }

    #[test]
    fn order_and_borders_of_user_properties_are_bound() {
        assert_ne!(
            user(&[("a", "1"), ("b", "2")]),
            user(&[("b", "2"), ("a", "1")])
        );
        assert_ne!(user(&[("ab", "c")]), user(&[("a", "bc")]));
        assert_ne!(user(&[("", "")]), None);
    }

    #[test]
    fn what_mqtt_cannot_carry_hashes_like_nothing_that_it_can() {
        let longest = "A".repeat(65_535);
        let signed = user(&[(&longest, "x"), ("", "")]);
        let forged = format!("{longest}\0\x01x\0\0");
        assert_ne!(user(&[(&forged, "")]), signed);
        assert_eq!(user(&[(&forged, "")]), Some([0; 32]));
    }

    #[test]
    fn our_own_properties_are_left_out() {
        assert_eq!(user(&[("edgeseal", "x"), ("edgeseal-sender", "y")]), None);
        assert_eq!(user(&[("edgeseal", "x"), ("a", "1")]), user(&[("a", "1")]));
        assert_ne!(user(&[("edgesealed", "x")]), None);
    }
}
