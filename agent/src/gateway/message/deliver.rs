//! What the program gets of a message that was judged.

use super::receive::{Arrival, Delivered, Message, Outcome};
use super::{
    AGE_PROPERTY, CODE_PROPERTY, FirstVerdict, ROLES_PROPERTY, SENDER_PROPERTY, TOKEN_PROPERTY,
    VERDICT_PROPERTY, VERIFIED_LEVEL, VerdictWord, is_ours,
};
use crate::gateway::packet::{Property, Publish, Rewrite, Version};
use crate::gateway::rules::{Mode, Rule};
use bytes::BytesMut;
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::registry::Device;
use edgeseal_trust::replay::Delivery;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Rejection, Verified};
use std::borrow::Cow;

/// What the program gets, and how.
pub(super) struct Program<'a> {
    pub(super) version: Version,
    pub(super) longest: u32,
    pub(super) sender_in_topic: bool,
    pub(super) rule: &'a Rule,
    pub(super) now: UnixTime,
}

impl<'a> Program<'a> {
    /// As it is, but for what is ours; the token stays.
    pub(super) fn pass(&self, publish: &Publish<'_>, out: &mut BytesMut) -> Arrival<'a> {
        if claims_a_sender(publish) {
            return rejected(Some(self.rule), TOPIC_VERIFIED);
        }
        let rewrite = Rewrite::of(publish, with_token);
        match rewrite.write(self.version, self.longest, out) {
            Ok(()) => Arrival::Delivered(self.delivered()),
            Err(_) => Arrival::TooLarge { rule: self.rule },
        }
    }

    pub(super) fn hand_on(
        &self,
        message: &Message<'_>,
        outcome: Outcome,
        out: &mut BytesMut,
    ) -> Arrival<'a> {
        match outcome {
            Outcome::Again(first, device) => self.again(message, first, device.as_deref(), out),
            Outcome::Failed(failure) if self.rule.mode == Mode::Observe => {
                self.refused(&message.publish, failure.code(), None, out)
            }
            Outcome::Failed(failure) => Arrival::Failed(failure),
            Outcome::Rejected(why, sender) => {
                let mut arrival = self.refused(&message.publish, why.code(), sender, out);
                if let (Arrival::Rejected { unknown_key, .. }, Rejection::UnknownKey(kid)) =
                    (&mut arrival, why)
                {
                    *unknown_key = Some(kid);
                }
                arrival
            }
            Outcome::Verified(verified, first) => self.verified(message, &verified, first, out),
        }
    }

    fn verified(
        &self,
        message: &Message<'_>,
        verified: &Verified,
        first: Option<FirstVerdict>,
        out: &mut BytesMut,
    ) -> Arrival<'a> {
        let word = VerdictWord::of(verified);
        let retain = message.publish.retain || verified.delivery == Delivery::Retained;
        let said = Said {
            word,
            sender: Some(&verified.device.id),
            roles: &verified.device.roles,
            issued_at: Some(verified.issued_at),
            refused: None,
        };
        self.write(&message.publish, retain, &said, out, || Delivered {
            word: Some(word),
            sender: Some(verified.device.id.clone()),
            first,
            ..self.delivered()
        })
    }

    fn again(
        &self,
        message: &Message<'_>,
        first: FirstVerdict,
        device: Option<&Device>,
        out: &mut BytesMut,
    ) -> Arrival<'a> {
        let sender = first.sender.clone();
        let said = Said {
            word: first.word,
            sender: Some(&sender),
            roles: device.map_or(&[], |device| &device.roles),
            issued_at: Some(first.issued_at),
            refused: None,
        };
        self.write(&message.publish, first.retain, &said, out, || Delivered {
            word: Some(first.word),
            sender: Some(sender.clone()),
            first: Some(first),
            again: true,
            ..self.delivered()
        })
    }

    /// Not delivered under `enforce`, delivered and marked under `observe`, never as if it were verified.
    pub(super) fn refused(
        &self,
        publish: &Publish<'_>,
        code: &'static str,
        sender: Option<DeviceId>,
        out: &mut BytesMut,
    ) -> Arrival<'a> {
        if self.rule.mode == Mode::Enforce {
            let rule = Some(self.rule);
            return Arrival::Rejected {
                rule,
                code,
                sender,
                unknown_key: None,
            };
        }
        if claims_a_sender(publish) {
            return rejected(Some(self.rule), TOPIC_VERIFIED);
        }
        let said = Said {
            word: VerdictWord::Unverified,
            sender: None,
            roles: &[],
            issued_at: None,
            refused: Some(code),
        };
        self.write(publish, publish.retain, &said, out, || Delivered {
            word: Some(VerdictWord::Unverified),
            refused: Some(code),
            ..self.delivered()
        })
    }

    /// With what is said of it, or without where that is too long for the program.
    fn write(
        &self,
        publish: &Publish<'_>,
        retain: bool,
        said: &Said<'_>,
        out: &mut BytesMut,
        delivered: impl FnOnce() -> Delivered<'a>,
    ) -> Arrival<'a> {
        let publish = Publish { retain, ..*publish };
        let head = match said.sender {
            Some(sender) if self.sender_in_topic => &[VERIFIED_LEVEL, "/", sender.as_str(), "/"],
            _ => &[""; 4],
        };
        let bare = Rewrite {
            topic_head: head,
            ..Rewrite::of(&publish, self.kept())
        };
        if self.version == Version::V311 {
            return match bare.write(self.version, self.longest, out) {
                Ok(()) => Arrival::Delivered(delivered()),
                Err(_) => Arrival::TooLarge { rule: self.rule },
            };
        }
        let written = said.annotate(self.now, |added| {
            let annotated = Rewrite { added, ..bare };
            annotated
                .write(self.version, self.longest, out)
                .or_else(|_| bare.write(self.version, self.longest, out))
        });
        match written {
            Ok(()) => Arrival::Delivered(delivered()),
            Err(_) => Arrival::TooLarge { rule: self.rule },
        }
    }

    /// Which properties the program gets of a message that is judged.
    fn kept(&self) -> fn(&Property<'_>) -> bool {
        match self.rule.incoming.first().ignore_user_properties {
            true => without_user,
            false => without_ours,
        }
    }

    fn delivered(&self) -> Delivered<'a> {
        Delivered {
            rule: self.rule,
            word: None,
            sender: None,
            refused: None,
            first: None,
            again: false,
        }
    }
}

/// What is said of a message that is handed on.
struct Said<'s> {
    word: VerdictWord,
    sender: Option<&'s DeviceId>,
    roles: &'s [RoleName],
    issued_at: Option<UnixTime>,
    refused: Option<&'static str>,
}

impl Said<'_> {
    /// Lets the properties that say it be used.
    fn annotate<T>(&self, now: UnixTime, mut with: impl FnMut(&[Property<'_>]) -> T) -> T {
        let roles = joined(self.roles);
        let age = self
            .issued_at
            .map(|at| now.since(at).saturating_mul(MILLISECONDS).to_string());
        let verdict = (VERDICT_PROPERTY, Some(self.word.as_str()));
        let pairs = [
            (SENDER_PROPERTY, self.sender.map(DeviceId::as_str)),
            (ROLES_PROPERTY, roles.as_deref()),
            (AGE_PROPERTY, age.as_deref()),
            verdict,
            (CODE_PROPERTY, self.refused),
        ];
        let mut added = [Property::UserProperty("", ""); 5];
        let mut length = 0;
        let said = pairs
            .into_iter()
            .filter_map(|(name, value)| Some(Property::UserProperty(name, value?)));
        for (to, property) in added.iter_mut().zip(said) {
            *to = property;
            length = usize::saturating_add(length, 1);
        }
        with(added.get(..length).unwrap_or_default())
    }
}

/// The names with commas between them; none of them has one.
fn joined(roles: &[RoleName]) -> Option<Cow<'_, str>> {
    match roles {
        [] => None,
        [role] => Some(Cow::Borrowed(role.as_str())),
        [first, rest @ ..] => {
            let octets = roles.iter().map(|role| role.as_str().len());
            let length = octets.fold(rest.len(), usize::saturating_add);
            let mut names = String::with_capacity(length);
            names.push_str(first.as_str());
            for role in rest {
                names.push(',');
                names.push_str(role.as_str());
            }
            Some(Cow::Owned(names))
        }
    }
}

/// Whether a topic looks like what a listener with `sender_in_topic` says of a verified message.
pub(super) fn claims_a_sender(publish: &Publish<'_>) -> bool {
    let mut levels = publish.topic.split('/');
    levels.next() == Some(VERIFIED_LEVEL) && levels.next().is_some()
}

fn without_ours(property: &Property<'_>) -> bool {
    match property {
        Property::TopicAlias(_) => false,
        Property::UserProperty(name, _) => !is_ours(name),
        _ => true,
    }
}

fn without_user(property: &Property<'_>) -> bool {
    !matches!(
        property,
        Property::TopicAlias(_) | Property::UserProperty(..)
    )
}

fn with_token(property: &Property<'_>) -> bool {
    matches!(property, Property::UserProperty(TOKEN_PROPERTY, _)) || without_ours(property)
}

pub(super) fn rejected<'a>(rule: Option<&'a Rule>, code: &'static str) -> Arrival<'a> {
    Arrival::Rejected {
        rule,
        code,
        sender: None,
        unknown_key: None,
    }
}

/// A topic that only this gateway may say.
pub(super) const TOPIC_VERIFIED: &str = "topic-verified";
const MILLISECONDS: u64 = 1000;
