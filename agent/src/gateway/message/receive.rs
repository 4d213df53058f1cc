//! What the broker delivers, judged.

use super::carried::{Carried, bound, kind_of};
use super::send::{TOKEN_TWICE, UNSIGNED};
use super::{
    AGE_PROPERTY, CODE_PROPERTY, FirstVerdict, MessageHash, Notary, ROLES_PROPERTY,
    SENDER_PROPERTY, TOKEN_PROPERTY, VERDICT_PROPERTY, VERIFIED_LEVEL, VerdictWord, is_ours,
};
use crate::engine::{LoadedKey, Step};
use crate::gateway::packet::{Property, Publish, Rewrite, Version};
use crate::gateway::rules::{Mode, Permissions, Rule, Rules};
use bytes::BytesMut;
use edgeseal_trust::id::{DeviceId, RoleName};
use edgeseal_trust::registry::{Device, PeerKey};
use edgeseal_trust::replay::{ConsumerId, Delivery};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{
    Check, Failure, ReceiveRule, Received, Rejection, Unverified, Verdict, Verified,
};
use edgeseal_trust::topic::Topic;
use std::borrow::Cow;
use std::sync::Arc;

/// For whom a message is judged, and how it is handed on.
pub struct ReceiveContext<'a, 'r> {
    /// What happens on which topic.
    pub rules: &'a Rules,
    /// What the program may receive.
    pub permissions: &'a Permissions,
    /// The version that is spoken upstream.
    pub upstream: Version,
    /// The version that the program speaks.
    pub program: Version,
    /// The longest packet that the program takes, in octets.
    pub program_max_octets: u32,
    /// The listener delivers as `verified/<sender>/<topic>`.
    pub sender_in_topic: bool,
    /// Who gets it.
    pub consumer: &'a ConsumerId,
    /// By which verdict a message with this packet identifier was handed on, where the broker may repeat it:
    /// over a new connection, before its flow has ended. It counts for the same message alone.
    pub first: Option<&'r FirstVerdict>,
    /// What came of the key that an earlier call for this message asked for.
    pub loaded: Option<&'r LoadedKey>,
    /// Records the verdict of a message at QoS 1 or 2 that is verified, before the replay memory's change is
    /// stored.
    pub record: &'r mut dyn FnMut(&FirstVerdict),
}

/// What became of a message.
#[derive(Debug)]
#[must_use]
pub enum Arrival<'a> {
    /// Appended.
    Delivered(Delivered<'a>),
    /// This device is in no state to judge; it passes. Never acknowledge it.
    Failed(Failure),
    /// Refused for good: acknowledge it on behalf of the program.
    Rejected {
        /// The rule that decided; nothing where the topic is no topic name.
        rule: Option<&'a Rule>,
        /// Stable short code: of a [`Rejection`], or the gateway's own.
        code: &'static str,
        /// Who sent it, where its signature verifies.
        sender: Option<DeviceId>,
    },
    /// More than the program takes, without annotations too: acknowledge it on behalf of the program. A verdict
    /// may have been recorded for it.
    TooLarge {
        /// The rule that decided.
        rule: &'a Rule,
    },
}

/// A message that the program gets.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// The rule that decided.
    pub rule: &'a Rule,
    /// What is said of it; nothing under a rule that passes.
    pub word: Option<VerdictWord>,
    /// Who sent it, where it is verified.
    pub sender: Option<DeviceId>,
    /// By which code it would have been refused, under a rule that observes.
    pub refused: Option<&'static str>,
    /// The verdict that was recorded: of a verified message at QoS 1 or 2.
    pub first: Option<FirstVerdict>,
    /// It was handed on before, and is handed on again by its first verdict.
    pub again: bool,
}

/// Judges a message that came from the broker and appends what the program gets. Its topic is the full name.
/// Without a delivery `out` stays as it is.
pub fn receive<'a>(
    publish: &Publish<'_>,
    context: &mut ReceiveContext<'a, '_>,
    notary: &mut dyn Notary,
    out: &mut BytesMut,
) -> Step<Arrival<'a>> {
    let Ok(topic) = Topic::parse(publish.topic.as_bytes()) else {
        return Step::Done(rejected(None, "topic-name"));
    };
    let rule = context.rules.find(topic);
    if !context
        .permissions
        .may_receive(topic, notary.device().as_ref())
    {
        return Step::Done(rejected(Some(rule), "topic-not-listed"));
    }
    if !context.sender_in_topic && claims_a_sender(publish) {
        return Step::Done(rejected(Some(rule), TOPIC_VERIFIED));
    }
    let program = Program {
        version: context.program,
        longest: context.program_max_octets,
        sender_in_topic: context.sender_in_topic,
        rule,
        now: notary.time(),
    };
    if rule.mode == Mode::Pass {
        return Step::Done(program.pass(publish, out));
    }
    let message = match Message::of(publish, rule) {
        Ok(message) => message,
        Err(code) => return Step::Done(program.refused(publish, code, None, out)),
    };
    match message.judged(context, notary) {
        Step::NeedsKey(ticket) => Step::NeedsKey(ticket),
        Step::Done(outcome) => Step::Done(program.hand_on(&message, outcome, out)),
    }
}

/// A message with the token that it carries.
struct Message<'p> {
    token: &'p str,
    receive: &'p ReceiveRule,
    /// Without its envelope.
    publish: Publish<'p>,
    /// At QoS 1 and 2: of the message as it was received.
    hash: Option<MessageHash>,
    /// What RETAIN is to the verifier.
    retain: bool,
}

/// What a judgement says.
enum Outcome {
    /// Handed on before, by this verdict; roles as they are now, where the registry knows the key.
    Again(FirstVerdict, Option<Arc<Device>>),
    Failed(Failure),
    Rejected(Rejection, Option<DeviceId>),
    Verified(Box<Verified>, Option<FirstVerdict>),
}

impl<'p> Message<'p> {
    fn of(publish: &Publish<'p>, rule: &'p Rule) -> Result<Self, &'static str> {
        let (token, payload, enveloped) = match Carried::of(&publish.properties, publish.payload) {
            Carried::Envelope { token, payload } => (token, payload, true),
            Carried::Nothing => return Err(UNSIGNED),
            Carried::Property(token) => (token, publish.payload, false),
            Carried::Twice => return Err(TOKEN_TWICE),
        };
        let incoming = &rule.incoming;
        let kind = kind_of(token);
        // Where statements are read long after, an empty message deletes one. What its RETAIN says is lost in an
        // envelope, and on the way to whoever had subscribed before.
        let deletion = incoming
            .deletion()
            .filter(|rule| kind == Some(rule.kind) && payload.is_empty());
        let receive = deletion
            .or_else(|| incoming.receive(kind?))
            .unwrap_or_else(|| incoming.first());
        let alone = enveloped || !incoming.accept.message;
        Ok(Self {
            token,
            receive,
            publish: Publish {
                payload,
                ..*publish
            },
            hash: publish.packet_id.map(|_| MessageHash::of(publish)),
            retain: publish.retain || (deletion.is_some() && alone),
        })
    }

    fn judged(
        &self,
        context: &mut ReceiveContext<'_, '_>,
        notary: &mut dyn Notary,
    ) -> Step<Outcome> {
        let first = context.first.filter(|first| Some(first.hash) == self.hash);
        match first {
            Some(first) => self.judged_again(first, context, notary),
            None => self.judged_now(context, notary),
        }
    }

    fn judged_now(
        &self,
        context: &mut ReceiveContext<'_, '_>,
        notary: &mut dyn Notary,
    ) -> Step<Outcome> {
        let mut first = None;
        let mut before_stored = |verified: &Verified| {
            first = self
                .hash
                .map(|hash| FirstVerdict::new(hash, verified, self.publish.retain));
            if let Some(first) = &first {
                (context.record)(first);
            }
        };
        let loaded = context.loaded;
        let user = self.user(context.upstream);
        let received = self.received(context.upstream, context.consumer, &user);
        let token = self.token.as_bytes();
        let verdict = match notary.judge(token, &received, loaded, &mut before_stored) {
            Step::NeedsKey(ticket) => return Step::NeedsKey(ticket),
            Step::Done(verdict) => verdict,
        };
        Step::Done(match verdict {
            Err(failure) => Outcome::Failed(failure),
            Ok(Verdict::Rejected(why)) => {
                let sender = self.sender(&why, loaded, notary);
                Outcome::Rejected(why, sender)
            }
            Ok(Verdict::Verified(verified)) => Outcome::Verified(verified, first),
        })
    }

    /// By its first verdict. One of the process before this one is judged once more, whatever comes of it, so
    /// that the replay memory knows the message.
    fn judged_again(
        &self,
        first: &FirstVerdict,
        context: &mut ReceiveContext<'_, '_>,
        notary: &mut dyn Notary,
    ) -> Step<Outcome> {
        let loaded = context.loaded;
        let mut first = first.clone();
        if first.restored {
            let user = self.user(context.upstream);
            let received = self.received(context.upstream, context.consumer, &user);
            let token = self.token.as_bytes();
            if let Step::NeedsKey(ticket) = notary.judge(token, &received, loaded, &mut |_| {}) {
                return Step::NeedsKey(ticket);
            }
            first.restored = false;
            (context.record)(&first);
        }
        match self.peer(loaded, notary) {
            Step::NeedsKey(ticket) => Step::NeedsKey(ticket),
            Step::Done(peer) => Step::Done(Outcome::Again(
                first,
                peer.map(|peer| Arc::clone(&peer.device)),
            )),
        }
    }

    fn user(&self, upstream: Version) -> Vec<(&'p str, &'p str)> {
        match upstream {
            Version::V311 => Vec::new(),
            Version::V5 => self
                .publish
                .properties
                .user()
                .filter(|(name, _)| !is_ours(name))
                .collect(),
        }
    }

    fn received<'s>(
        &'s self,
        upstream: Version,
        consumer: &'s ConsumerId,
        user: &'s [(&'s str, &'s str)],
    ) -> Received<'s> {
        let properties = match upstream {
            Version::V311 => None,
            Version::V5 => Some(bound(&self.publish.properties, user)),
        };
        Received {
            topic: self.publish.topic.as_bytes(),
            payload: self.publish.payload,
            properties,
            retain: self.retain,
            consumer,
            rule: self.receive,
        }
    }

    /// Who sent what was refused only after its signature had been verified.
    fn sender(
        &self,
        why: &Rejection,
        loaded: Option<&LoadedKey>,
        notary: &dyn Notary,
    ) -> Option<DeviceId> {
        if why.check() <= Check::Signature {
            return None;
        }
        match self.peer(loaded, notary) {
            Step::Done(peer) => peer.map(|peer| peer.device.id.clone()),
            Step::NeedsKey(_) => None,
        }
    }

    fn peer(&self, loaded: Option<&LoadedKey>, notary: &dyn Notary) -> Step<Option<Arc<PeerKey>>> {
        let typ = self.receive.kind.typ();
        match Unverified::parse(self.token.as_bytes(), typ) {
            Ok(token) => notary
                .peer(token.kid(), loaded)
                .map(|found| found.ok().flatten()),
            Err(_) => Step::Done(None),
        }
    }
}

/// What the program gets, and how.
struct Program<'a> {
    version: Version,
    longest: u32,
    sender_in_topic: bool,
    rule: &'a Rule,
    now: UnixTime,
}

impl<'a> Program<'a> {
    /// As it is, but for what is ours; the token stays.
    fn pass(&self, publish: &Publish<'_>, out: &mut BytesMut) -> Arrival<'a> {
        if claims_a_sender(publish) {
            return rejected(Some(self.rule), TOPIC_VERIFIED);
        }
        let rewrite = Rewrite::of(publish, with_token);
        match rewrite.write(self.version, self.longest, out) {
            Ok(()) => Arrival::Delivered(self.delivered()),
            Err(_) => Arrival::TooLarge { rule: self.rule },
        }
    }

    fn hand_on(&self, message: &Message<'_>, outcome: Outcome, out: &mut BytesMut) -> Arrival<'a> {
        match outcome {
            Outcome::Again(first, device) => self.again(message, first, device.as_deref(), out),
            Outcome::Failed(failure) if self.rule.mode == Mode::Observe => {
                self.refused(&message.publish, failure.code(), None, out)
            }
            Outcome::Failed(failure) => Arrival::Failed(failure),
            Outcome::Rejected(why, sender) => {
                self.refused(&message.publish, why.code(), sender, out)
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
    fn refused(
        &self,
        publish: &Publish<'_>,
        code: &'static str,
        sender: Option<DeviceId>,
        out: &mut BytesMut,
    ) -> Arrival<'a> {
        if self.rule.mode == Mode::Enforce {
            let rule = Some(self.rule);
            return Arrival::Rejected { rule, code, sender };
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
        roles => {
            let names: Vec<&str> = roles.iter().map(RoleName::as_str).collect();
            Some(Cow::Owned(names.join(",")))
        }
    }
}

/// Whether a topic looks like what a listener with `sender_in_topic` says of a verified message.
fn claims_a_sender(publish: &Publish<'_>) -> bool {
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

fn rejected<'a>(rule: Option<&'a Rule>, code: &'static str) -> Arrival<'a> {
    Arrival::Rejected {
        rule,
        code,
        sender: None,
    }
}

const TOPIC_VERIFIED: &str = "topic-verified";
const MILLISECONDS: u64 = 1000;
