//! Grants: what a role lets a device publish, to whom, for how long.

use crate::id::{Audience, DeviceId, GroupName, InvalidAudience, Name};
use crate::limits;
use crate::registry::Role;
use crate::token::Kind;
use crate::topic::{Topic, TopicFilter};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// One permission. A message must be allowed as a whole by one grant: topic, audience, kind,
/// lifetime, response topic and vouching together.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Topics the device may publish to.
    pub publish: Vec<TopicFilter>,
    /// Audiences it may address.
    pub audiences: Vec<AudiencePattern>,
    /// Response topics it may ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub responses: Vec<TopicFilter>,
    /// Longest lifetime of a message, in seconds, where longer than 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_seconds: Option<u64>,
    /// Retained statements allowed, for so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_seconds: Option<u64>,
    /// Wills allowed, for so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub will_seconds: Option<u64>,
    /// The device may relay for others that cannot sign (`vch`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouch: bool,
}

/// Audiences that a grant allows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum AudiencePattern {
    /// `device:*`: any one device.
    AnyDevice,
    /// `group:*`: any one group.
    AnyGroup,
    /// `device:ID`.
    Device(DeviceId),
    /// `domain`: the whole trust domain.
    Domain,
    /// `group:NAME`.
    Group(GroupName),
}

/// What a device does, or wants to do, with one message.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Who does it.
    pub device: &'a DeviceId,
    /// Message, retained statement or will.
    pub kind: Kind,
    /// Where it publishes.
    pub topic: Topic<'a>,
    /// For whom.
    pub audience: &'a Audience,
    /// `exp - iat`, in seconds.
    pub lifetime_seconds: u64,
    /// The response topic it asks for.
    pub response: Option<Topic<'a>>,
    /// Whether it relays for others.
    pub vouched: bool,
}

/// What no grant allows. The variant names the first part that no grant, allowing all before it,
/// allows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotGranted {
    /// The topic is granted, but not to this audience.
    #[error("no grant for this topic allows the audience {0}")]
    Audience(Audience),
    /// The topic is granted, but not for retained statements or wills.
    #[error("no grant for this topic allows a {0}")]
    Kind(Kind),
    /// The lifetime is longer than granted.
    #[error("a lifetime of {lifetime_seconds} s is longer than the {allowed_seconds} s granted")]
    Lifetime {
        /// `exp - iat`, in seconds.
        lifetime_seconds: u64,
        /// The longest that a grant allows, in seconds.
        allowed_seconds: u64,
    },
    /// The response topic is not granted.
    #[error("no grant for this topic allows this response topic")]
    Response,
    /// No grant for the topic.
    #[error("no role of the device grants this topic")]
    Topic,
    /// Vouching is not granted.
    #[error("no grant for this topic allows vouching for others")]
    Vouch,
}

impl NotGranted {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Audience(_) => "audience-not-granted",
            Self::Kind(_) => "kind-not-granted",
            Self::Lifetime { .. } => "lifetime-exceeded",
            Self::Response => "response-not-granted",
            Self::Topic => "topic-not-granted",
            Self::Vouch => "vouch-not-granted",
        }
    }
}

/// Whether one grant of `roles` allows `act` as a whole.
///
/// # Errors
/// [`NotGranted`], from the grant that came furthest.
pub fn judge<'a>(
    roles: impl IntoIterator<Item = &'a Role>,
    act: &Act<'_>,
) -> Result<(), NotGranted> {
    let mut nearest = NotGranted::Topic;
    for grant in roles.into_iter().flat_map(|role| &role.grants) {
        match grant.allows(act) {
            Ok(()) => return Ok(()),
            Err(refusal) if refusal.progress() > nearest.progress() => nearest = refusal,
            Err(_) => {}
        }
    }
    Err(nearest)
}

/// The longest lifetime, in seconds, with which one grant of `roles` allows `act`, whatever lifetime
/// the act states; nothing where none allows it.
pub fn longest_lifetime_seconds<'a>(
    roles: impl IntoIterator<Item = &'a Role>,
    act: &Act<'_>,
) -> Option<u64> {
    let act = Act {
        lifetime_seconds: 0,
        ..*act
    };
    let grants = roles.into_iter().flat_map(|role| &role.grants);
    let allowing = grants.filter(|grant| grant.allows(&act).is_ok());
    allowing
        .filter_map(|grant| grant.lifetime_of(act.kind))
        .max()
}

impl Grant {
    fn allows(&self, act: &Act<'_>) -> Result<(), NotGranted> {
        let matches = |filters: &[TopicFilter], topic| {
            filters
                .iter()
                .any(|filter| filter.matches(topic, Some(act.device)))
        };
        if !matches(&self.publish, act.topic) {
            return Err(NotGranted::Topic);
        }
        if !self
            .audiences
            .iter()
            .any(|pattern| pattern.covers(act.audience))
        {
            return Err(NotGranted::Audience(act.audience.clone()));
        }
        let allowed_seconds = self
            .lifetime_of(act.kind)
            .ok_or(NotGranted::Kind(act.kind))?;
        if act.lifetime_seconds > allowed_seconds {
            let lifetime_seconds = act.lifetime_seconds;
            return Err(NotGranted::Lifetime {
                lifetime_seconds,
                allowed_seconds,
            });
        }
        if act
            .response
            .is_some_and(|topic| !matches(&self.responses, topic))
        {
            return Err(NotGranted::Response);
        }
        if act.vouched && !self.vouch {
            return Err(NotGranted::Vouch);
        }
        Ok(())
    }

    /// The longest lifetime of a token of this kind, in seconds; nothing where the kind is not
    /// granted.
    pub fn lifetime_of(&self, kind: Kind) -> Option<u64> {
        let granted = match kind {
            Kind::Message => Some(
                self.lifetime_seconds
                    .map_or(limits::MESSAGE_LIFETIME_SECONDS, |granted| {
                        granted.max(limits::MESSAGE_LIFETIME_SECONDS)
                    }),
            ),
            Kind::Retained => self.retained_seconds,
            Kind::Will => self.will_seconds,
        };
        granted.map(|seconds| seconds.min(kind.lifetime_ceiling_seconds()))
    }
}

impl NotGranted {
    const fn progress(&self) -> u8 {
        match self {
            Self::Topic => 0,
            Self::Audience(_) => 1,
            Self::Kind(_) => 2,
            Self::Lifetime { .. } => 3,
            Self::Response => 4,
            Self::Vouch => 5,
        }
    }
}

impl AudiencePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// [`InvalidAudience`] for every other form than those of the variants.
    pub fn parse(text: &str) -> Result<Self, InvalidAudience> {
        match text.split_once(':') {
            None if text == "domain" => Ok(Self::Domain),
            Some(("device", "*")) => Ok(Self::AnyDevice),
            Some(("group", "*")) => Ok(Self::AnyGroup),
            Some(("device", id)) => Name::parse(id)
                .map(Self::Device)
                .map_err(|_| InvalidAudience),
            Some(("group", name)) => Name::parse(name)
                .map(Self::Group)
                .map_err(|_| InvalidAudience),
            _ => Err(InvalidAudience),
        }
    }

    fn covers(&self, audience: &Audience) -> bool {
        match (self, audience) {
            (Self::Domain, Audience::Domain(_))
            | (Self::AnyDevice, Audience::Device(_))
            | (Self::AnyGroup, Audience::Group(_)) => true,
            (Self::Device(allowed), Audience::Device(id)) => allowed == id,
            (Self::Group(allowed), Audience::Group(name)) => allowed == name,
            _ => false,
        }
    }
}

impl fmt::Display for AudiencePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyDevice => f.write_str("device:*"),
            Self::AnyGroup => f.write_str("group:*"),
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Domain => f.write_str("domain"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

impl Serialize for AudiencePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AudiencePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|_| {
            serde::de::Error::custom(
                "an audience is domain, device:ID, device:*, group:NAME or group:*",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Audience, AudiencePattern, Grant, NotGranted, judge};
    use crate::id::{DeviceId, RoleName};
    use crate::registry::Role;
    use crate::token::Kind;
    use crate::topic::{Topic, TopicFilter};

    fn role(grants: Vec<Grant>) -> Role {
        Role {
            name: RoleName::parse("sensor").unwrap(),
            grants,
            manifest_age_seconds: None,
        }
    }

    fn grant(publish: &str, audience: &str) -> Grant {
        Grant {
            publish: vec![TopicFilter::parse(publish).unwrap()],
            audiences: vec![AudiencePattern::parse(audience).unwrap()],
            ..Grant::default()
        }
    }

    #[test]
    fn one_grant_must_allow_all_of_it() {
        let device = DeviceId::parse("pump-1").unwrap();
        let everyone = Audience::parse("domain:farm").unwrap();
        let other = Audience::parse("device:pump-2").unwrap();
        let act = Act {
            device: &device,
            kind: Kind::Message,
            topic: Topic::parse(b"site/pump-1/temp").unwrap(),
            audience: &everyone,
            lifetime_seconds: 60,
            response: None,
            vouched: false,
        };
        let mine = grant("site/{device}/temp", "domain");
        let commands = grant("cmd/#", "device:*");
        let roles = [role(vec![mine, commands])];
        assert_eq!(judge(&roles, &act), Ok(()));
        let refused = |act: &Act<'_>| judge(&roles, act).unwrap_err();
        // the audience of one grant does not mix with the topic of another
        assert_eq!(
            refused(&Act {
                audience: &other,
                ..act
            })
            .code(),
            "audience-not-granted"
        );
        let topic = Topic::parse(b"site/pump-2/temp").unwrap();
        assert_eq!(refused(&Act { topic, ..act }), NotGranted::Topic);
        assert_eq!(
            refused(&Act {
                lifetime_seconds: 301,
                ..act
            })
            .code(),
            "lifetime-exceeded"
        );
        assert_eq!(
            refused(&Act {
                kind: Kind::Will,
                ..act
            })
            .code(),
            "kind-not-granted"
        );
        assert_eq!(
            refused(&Act {
                kind: Kind::Retained,
                ..act
            })
            .code(),
            "kind-not-granted"
        );
        assert_eq!(
            refused(&Act {
                response: Some(topic),
                ..act
            })
            .code(),
            "response-not-granted"
        );
        assert_eq!(
            refused(&Act {
                vouched: true,
                ..act
            })
            .code(),
            "vouch-not-granted"
        );
    }

    #[test]
    fn a_lifetime_goes_up_to_what_is_granted_and_the_ceiling() {
        let device = DeviceId::parse("pump-1").unwrap();
        let everyone = Audience::parse("domain:farm").unwrap();
        let act = Act {
            device: &device,
            kind: Kind::Message,
            topic: Topic::parse(b"site/pump-1/temp").unwrap(),
            audience: &everyone,
            lifetime_seconds: 60,
            response: None,
            vouched: false,
        };
        let generous = Grant {
            lifetime_seconds: Some(86_400),
            retained_seconds: Some(u64::MAX),
            ..grant("site/{device}/temp", "domain")
        };
        let roles = [role(vec![generous])];
        assert_eq!(
            judge(
                &roles,
                &Act {
                    lifetime_seconds: 86_400,
                    ..act
                }
            ),
            Ok(())
        );
        let year = 365 * 86_400;
        let kind = Kind::Retained;
        assert_eq!(
            judge(
                &roles,
                &Act {
                    kind,
                    lifetime_seconds: year,
                    ..act
                }
            ),
            Ok(())
        );
        assert!(
            judge(
                &roles,
                &Act {
                    kind,
                    lifetime_seconds: year + 1,
                    ..act
                }
            )
            .is_err()
        );
    }

    #[test]
    fn patterns_are_shown_as_written() {
        for text in ["domain", "device:*", "device:a", "group:*", "group:a"] {
            assert_eq!(AudiencePattern::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "", "domain:x", "device:", "device:A", "*", "login:x", "group",
        ] {
            assert!(AudiencePattern::parse(bad).is_err(), "{bad}");
        }
    }
}
