//! Names of domains, devices, groups and roles, and audiences: parsed once, valid ever after.

use crate::limits;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

/// A name of the kind `K`: `[a-z0-9][a-z0-9._-]{0,63}`.
///
/// Names are expanded into topics, filters and file names, so nothing else is ever one.
pub struct Name<K> {
    text: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

/// Kind of the name of a trust domain.
pub enum DomainKind {}
/// Kind of the name of a device.
pub enum DeviceKind {}
/// Kind of the name of a group.
pub enum GroupKind {}
/// Kind of the name of a role.
pub enum RoleKind {}

/// Name of a trust domain: the issuer of every token in it.
pub type TrustDomain = Name<DomainKind>;
/// Name of a device: the subject of its tokens.
pub type DeviceId = Name<DeviceKind>;
/// Name of a group of devices.
pub type GroupName = Name<GroupKind>;
/// Name of a role.
pub type RoleName = Name<RoleKind>;

/// Why a text is no name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a name is 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit")]
pub struct InvalidName;

impl<K> Name<K> {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidName`] when `text` does not match `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let bytes = text.as_bytes();
        let first = bytes.first().ok_or(InvalidName)?;
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let rest = |b: &u8| plain(b) || matches!(b, b'.' | b'_' | b'-');
        if bytes.len() > limits::NAME_OCTETS || !plain(first) || !bytes.iter().all(rest) {
            return Err(InvalidName);
        }
        Ok(Self {
            text: text.into(),
            kind: PhantomData,
        })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K> Clone for Name<K> {
    fn clone(&self) -> Self {
        Self {
            text: Arc::clone(&self.text),
            kind: PhantomData,
        }
    }
}

impl<K> PartialEq for Name<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Name<K> {}

impl<K> PartialOrd for Name<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Name<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> Hash for Name<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Debug for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl<K> fmt::Display for Name<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> Serialize for Name<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, K> Deserialize<'de> for Name<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// For whom a token is meant: the one string of its `aud` claim (RFC 7519 section 4.1.3), typed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Audience {
    /// `device:ID`: a command to one device.
    Device(DeviceId),
    /// `domain:NAME`: everybody in the trust domain.
    Domain(TrustDomain),
    /// `group:NAME`: a command to a group.
    Group(GroupName),
    /// `login:...`: one broker or service, in a login token only.
    Login(Arc<str>),
}

/// Why a text is no audience.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an audience is domain:NAME, device:ID, group:NAME or login:TEXT")]
pub struct InvalidAudience;

impl Audience {
    /// Parses an audience.
    ///
    /// # Errors
    /// [`InvalidAudience`] when the text has none of the four forms. What follows `login:` is 1 to
    /// 249 printable ASCII characters without spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidAudience> {
        let (kind, name) = text.split_once(':').ok_or(InvalidAudience)?;
        let audience = match kind {
            "device" => Self::Device(Name::parse(name).map_err(|_| InvalidAudience)?),
            "domain" => Self::Domain(Name::parse(name).map_err(|_| InvalidAudience)?),
            "group" => Self::Group(Name::parse(name).map_err(|_| InvalidAudience)?),
            "login" if is_login(text, name) => Self::Login(text.into()),
            _ => return Err(InvalidAudience),
        };
        Ok(audience)
    }

    /// Its text in two parts, for whoever writes it often.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Device(name) => ("device:", name.as_str()),
            Self::Domain(name) => ("domain:", name.as_str()),
            Self::Group(name) => ("group:", name.as_str()),
            Self::Login(text) => ("", text),
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = self.parts();
        f.write_str(kind)?;
        f.write_str(name)
    }
}

impl Serialize for Audience {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Audience {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

fn is_login(text: &str, name: &str) -> bool {
    !name.is_empty()
        && text.len() <= limits::LOGIN_AUDIENCE_OCTETS
        && name.bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{Audience, DeviceId};

    #[test]
    fn names_are_what_the_design_says() {
        for good in ["a", "0", "pump-1", "a.b_c-d", &"x".repeat(64)] {
            assert!(DeviceId::parse(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "", "-a", ".a", "_a", "A", "a/b", "a+b", "a b", "ä", "a\0", "a\n", &long,
        ] {
            assert!(DeviceId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn audiences_are_typed_and_shown_as_written() {
        for good in [
            "domain:farm",
            "device:pump-1",
            "group:pumps",
            "login:mqtts://broker",
        ] {
            assert_eq!(Audience::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "farm",
            "domain:",
            "device:A",
            "role:x",
            "login:",
            "login:a b",
            "Domain:farm",
        ] {
            assert!(Audience::parse(bad).is_err(), "{bad:?}");
        }
    }
}
