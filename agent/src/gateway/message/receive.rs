//! What the broker delivers, judged.

use super::carried::{Carried, bound, kind_of};
use super::copies::Identifiers;
use super::deliver::{Program, TOPIC_VERIFIED, claims_a_sender, rejected};
use super::send::{TOKEN_TWICE, UNSIGNED, names_device};
use super::{Copies, FirstVerdict, MessageHash, Notary, VerdictWord, is_ours};
use crate::engine::{LoadedKey, Step};
use crate::gateway::packet::{Publish, Version};
use crate::gateway::rules::{Mode, Permissions, Rule, Rules};
use crate::wire::Qos;
use bytes::BytesMut;
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use edgeseal_trust::replay::ConsumerId;
use edgeseal_trust::token::{
    Check, Failure, ReceiveRule, Received, Rejection, Unverified, Verdict, Verified,
};
use edgeseal_trust::topic::Topic;
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
    /// What this connection was handed under which subscription identifiers.
    pub copies: &'r mut Copies,
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
        /// By a key that the registry does not have: which one it says it is.
        unknown_key: Option<KeyId>,
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
    let (device, permissions) = (notary.device(), context.permissions);
    if !permissions.may_receive(topic, device.as_ref()) {
        return Step::Done(match device {
            None if names_device(&permissions.subscribe) => {
                Arrival::Failed(notary.can_judge().err().unwrap_or(Failure::NotEnrolled))
            }
            _ => rejected(Some(rule), "topic-not-listed"),
        });
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
    let message = match Message::of(publish, rule, context.copies) {
        Ok(message) => message,
        Err(code) => return Step::Done(program.refused(publish, code, None, out)),
    };
    match message.judged(context, notary) {
        Step::NeedsKey(ticket) => Step::NeedsKey(ticket),
        Step::Done(outcome) => Step::Done(program.hand_on(&message, outcome, out)),
    }
}

/// A message with the token that it carries.
pub(super) struct Message<'p> {
    token: &'p str,
    receive: &'p ReceiveRule,
    /// Without its envelope.
    pub(super) publish: Publish<'p>,
    /// Of the message as it was received, where it may come again by right.
    hash: Option<MessageHash>,
    /// Subscription identifiers, where copies may come under others.
    identifiers: Option<Identifiers>,
    /// What RETAIN is to the verifier.
    retain: bool,
}

/// What a judgement says.
pub(super) enum Outcome {
    /// Handed on before, by this verdict; roles as they are now, where the registry knows the key.
    Again(FirstVerdict, Option<Arc<Device>>),
    Failed(Failure),
    Rejected(Rejection, Option<DeviceId>),
    Verified(Box<Verified>, Option<FirstVerdict>),
}

impl<'p> Message<'p> {
    fn of(publish: &Publish<'p>, rule: &'p Rule, copies: &Copies) -> Result<Self, &'static str> {
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
        let identifiers = copies.identifiers(publish).filter(|_| !receive.command);
        let hashed = publish.packet_id.is_some() || identifiers.is_some();
        let alone = enveloped || !incoming.accept.message;
        Ok(Self {
            token,
            receive,
            publish: Publish {
                payload,
                ..*publish
            },
            hash: hashed.then(|| MessageHash::of(publish)),
            identifiers,
            retain: publish.retain || (deletion.is_some() && alone),
        })
    }

    fn judged(
        &self,
        context: &mut ReceiveContext<'_, '_>,
        notary: &mut dyn Notary,
    ) -> Step<Outcome> {
        let exactly_once = self.publish.qos == Qos::ExactlyOnce;
        let first = context
            .first
            .filter(|first| Some(first.hash) == self.hash && first.exactly_once == exactly_once);
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
                .map(|hash| FirstVerdict::new(hash, verified, &self.publish));
            if let (Some(first), Some(_)) = (&first, self.publish.packet_id) {
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
            Ok(Verdict::Rejected(why)) => match self.copy(&why, context) {
                Some(first) => Outcome::Again(first, self.device(loaded, notary)),
                None => {
                    let sender = self.sender(&why, loaded, notary);
                    Outcome::Rejected(why, sender)
                }
            },
            Ok(Verdict::Verified(verified)) => {
                if let (Some(identifiers), Some(first)) = (self.identifiers, &first) {
                    context.copies.handed_on(identifiers, first.clone());
                }
                Outcome::Verified(verified, first.filter(|_| self.publish.packet_id.is_some()))
            }
        })
    }

    /// The verdict of what is no replay but a copy under another subscription identifier.
    fn copy(&self, why: &Rejection, context: &mut ReceiveContext<'_, '_>) -> Option<FirstVerdict> {
        let (Rejection::Replay(_) | Rejection::WillSpent(_)) = why else {
            return None;
        };
        let first = FirstVerdict {
            exactly_once: self.publish.qos == Qos::ExactlyOnce,
            ..context.copies.another(self.hash?, self.identifiers?)?
        };
        if self.publish.packet_id.is_some() {
            (context.record)(&first);
        }
        Some(first)
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
            match notary.judge(token, &received, loaded, &mut |_| {}) {
                Step::NeedsKey(ticket) => return Step::NeedsKey(ticket),
                Step::Done(Ok(_)) => {
                    first.restored = false;
                    (context.record)(&first);
                }
                Step::Done(Err(_)) => {} // the memory has not learnt it
            }
        }
        let peer = match self.peer(loaded, notary) {
            Step::NeedsKey(ticket) => return Step::NeedsKey(ticket),
            Step::Done(peer) => peer,
        };
        // A broker keeps a flow open as long as it likes: revoking ends it.
        if peer.as_ref().is_some_and(|peer| is_revoked(peer)) {
            return self.judged_now(context, notary);
        }
        let device = peer.map(|peer| Arc::clone(&peer.device));
        Step::Done(Outcome::Again(first, device))
    }

    /// Whose key it is now.
    fn device(&self, loaded: Option<&LoadedKey>, notary: &dyn Notary) -> Option<Arc<Device>> {
        match self.peer(loaded, notary) {
            Step::Done(peer) => peer.map(|peer| Arc::clone(&peer.device)),
            Step::NeedsKey(_) => None,
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
        self.device(loaded, notary).map(|device| device.id.clone())
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

fn is_revoked(peer: &PeerKey) -> bool {
    peer.device.state == DeviceState::Revoked || peer.state == KeyState::Revoked
}
