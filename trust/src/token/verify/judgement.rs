//! The order of a verification, one line a check.

use super::{
    Addressed, AsPublished, Check, Memory, ReceiveRule, Received, Receiver, Refusal, Trace,
    Verified,
};
use crate::clock::Now;
use crate::grant::{self, Act};
use crate::id::Audience;
use crate::registry::PeerKey;
use crate::replay::{Accepted, Sighting};
use crate::token::claims::{MessageClaims, Profile};
use crate::token::{BoundHashes, Claims, Kind, PayloadHash, Rejection, Unverified};
use crate::topic::Topic;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use std::sync::Arc;

pub(super) struct Judgement<'a> {
    pub(super) received: &'a Received<'a>,
    pub(super) receiver: &'a Receiver<'a>,
    pub(super) now: &'a Now,
}

impl Judgement<'_> {
    pub(super) fn run<T: Trace>(
        &self,
        token: &Unverified<'_>,
        key: Option<&PeerKey>,
        memory: Memory<'_>,
        trace: &mut T,
    ) -> Result<Verified, Refusal> {
        let rule = self.received.rule;
        token.expect_typ(rule.kind.typ())?;
        let staleness = self.receiver.expect_trust(self.now)?;
        trace.passed(
            Check::Trust,
            format_args!("sequence {}", self.receiver.trust.sequence),
        );
        let peer = key.ok_or(Rejection::UnknownKey(token.kid()))?;
        trace.passed(Check::Key, format_args!("known, of {}", peer.device.id));
        let octets = token.verified_claims(&peer.key)?;
        trace.passed(Check::Signature, format_args!("verifies"));
        let claims = Claims::read(octets, Profile::Message)?;
        let message = claims.message.as_ref().ok_or(Rejection::ClaimsJson)?;
        self.expect_no_deletion(message)?;
        trace.passed(Check::Claims, format_args!("complete, jti {}", claims.id));
        self.receiver.expect_sender(peer, &claims, rule.kind)?;
        trace.passed(
            Check::Domain,
            format_args!("{}", self.receiver.trust.domain),
        );
        trace.passed(Check::Device, format_args!("{} is active", peer.device.id));
        trace.passed(
            Check::KeyState,
            format_args!("in use since {:#}", peer.not_before),
        );
        trace.passed(
            Check::Subject,
            format_args!("{} owns the key", peer.device.id),
        );
        let (audience, addressed) = self.audience(&claims)?;
        trace.passed(Check::Audience, format_args!("{audience}"));
        self.expect_time(&claims)?;
        let age_seconds = self.now.time.since(claims.issued_at);
        trace.passed(Check::Time, format_args!("{age_seconds} s old"));
        self.expect_payload(message)?;
        trace.passed(
            Check::Payload,
            format_args!("{} octets", self.received.payload.len()),
        );
        let topic = self.topic(message)?;
        trace.passed(Check::Topic, format_args!("{:?}", topic.as_str()));
        self.expect_properties(&message.properties)?;
        trace.passed(Check::Properties, format_args!("as signed"));
        self.expect_grant(peer, &claims, message, &audience, topic)?;
        trace.passed(
            Check::Grant,
            format_args!("by a role of {}", peer.device.id),
        );
        let text = token.text();
        let accepted = self.remember(text, peer, &claims, message, memory)?;
        trace.passed(Check::Replay, format_args!("not seen before"));
        Ok(Verified {
            device: Arc::clone(&peer.device),
            kid: peer.key.id(),
            kind: rule.kind,
            audience,
            addressed,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            age_seconds,
            id: claims.id,
            gap: accepted.gap,
            delivery: accepted.delivery,
            first_since_start: accepted.first_since_start,
            clock: self.now.clock,
            sender_clock_unsynchronized: message.clock_unsynchronized,
            staleness,
            sender_trust_sequence: message.trust_sequence,
            captured_at: message.captured_at,
            vouched: message.vouched,
        })
    }

    /// A deletion is a message.
    fn expect_no_deletion(&self, message: &MessageClaims<'_>) -> Result<(), Rejection> {
        let is_statement = self.received.rule.kind == Kind::Retained;
        if is_statement && message.payload_hash == *PayloadHash::EMPTY.octets() {
            return Err(Rejection::ClaimValue("phs"));
        }
        Ok(())
    }

    fn audience(&self, claims: &Claims<'_>) -> Result<(Audience, Addressed), Rejection> {
        let Receiver {
            trust,
            device,
            groups,
            ..
        } = *self.receiver;
        let found = &*claims.audience;
        let refused = || Rejection::Audience {
            found: found.to_owned(),
        };
        let (kind, name) = found.split_once(':').ok_or(Rejection::ClaimValue("aud"))?;
        if kind != "domain" && self.received.rule.kind == Kind::Retained {
            return Err(Rejection::NotACommand(Kind::Retained));
        }
        let mine = match kind {
            "domain" if name == trust.domain.as_str() => {
                Some((Audience::Domain(trust.domain.clone()), Addressed::Domain))
            }
            "device" => device
                .filter(|id| id.as_str() == name)
                .map(|id| (Audience::Device(id.clone()), Addressed::Device)),
            "group" => groups
                .iter()
                .find(|group| group.as_str() == name)
                .map(|group| (Audience::Group(group.clone()), Addressed::Group)),
            _ => None,
        };
        if let Some(mine) = mine {
            return Ok(mine);
        }
        match Audience::parse(found).map_err(|_| Rejection::ClaimValue("aud"))? {
            Audience::Login(_) | Audience::Domain(_) => Err(refused()),
            other if self.received.rule.any_audience => Ok((other, Addressed::Observed)),
            _ => Err(refused()),
        }
    }

    fn expect_time(&self, claims: &Claims<'_>) -> Result<(), Refusal> {
        let ReceiveRule {
            kind,
            max_age_seconds,
            ..
        } = *self.received.rule;
        self.receiver
            .expect_time(claims, kind.lifetime_ceiling_seconds(), self.now)?;
        let age_seconds = self.now.time.since(claims.issued_at);
        match max_age_seconds {
            Some(max_age_seconds) if kind == Kind::Message && age_seconds > max_age_seconds => {
                Err(Rejection::Overage {
                    age_seconds,
                    max_age_seconds,
                }
                .into())
            }
            _ => Ok(()),
        }
    }

    fn expect_payload(&self, message: &MessageClaims<'_>) -> Result<(), Rejection> {
        let received = <[u8; 32]>::from(Sha256::digest(self.received.payload));
        if received == message.payload_hash {
            Ok(())
        } else {
            Err(Rejection::Payload {
                signed: BASE64URL_NOPAD.encode(&message.payload_hash),
                received: BASE64URL_NOPAD.encode(&received),
            })
        }
    }

    fn topic<'m>(&'m self, message: &'m MessageClaims<'_>) -> Result<Topic<'m>, Rejection> {
        let received = Topic::parse(self.received.topic).map_err(Rejection::TopicName)?;
        let signed = &*message.topic;
        let same = match &self.received.rule.as_published {
            None => received.as_str() == signed,
            Some(AsPublished { remove, add }) => received
                .as_str()
                .strip_prefix(remove.as_str())
                .is_some_and(|rest| signed.strip_prefix(add.as_str()) == Some(rest)),
        };
        if !same {
            let received = received.as_str().to_owned();
            return Err(Rejection::Topic {
                signed: signed.to_owned(),
                received,
            });
        }
        match self.received.rule.as_published {
            None => Ok(received),
            Some(_) => Topic::parse(signed.as_bytes()).map_err(Rejection::TopicName),
        }
    }

    fn expect_properties(&self, signed: &BoundHashes) -> Result<(), Rejection> {
        let Some(properties) = &self.received.properties else {
            return Ok(());
        };
        let received = properties.hashes();
        let pairs = [
            ("rsp", signed.response_topic, received.response_topic),
            ("cor", signed.correlation_data, received.correlation_data),
            ("cty", signed.content_type, received.content_type),
            ("upr", signed.user, received.user),
        ];
        let judged = match self.received.rule.ignore_user_properties {
            true => &pairs[..3],
            false => &pairs[..],
        };
        for (claim, signed, received) in judged {
            match (signed, received) {
                (Some(_), None) => return Err(Rejection::PropertyMissing(claim)),
                (None, Some(_)) => return Err(Rejection::PropertyUnsigned(claim)),
                (Some(signed), Some(received)) if signed != received => {
                    return Err(Rejection::PropertyAltered {
                        claim,
                        signed: BASE64URL_NOPAD.encode(signed),
                        received: BASE64URL_NOPAD.encode(received),
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn expect_grant(
        &self,
        peer: &PeerKey,
        claims: &Claims<'_>,
        message: &MessageClaims<'_>,
        audience: &Audience,
        topic: Topic<'_>,
    ) -> Result<(), Refusal> {
        let rule = self.received.rule;
        if rule.command && rule.kind != Kind::Message {
            return Err(Rejection::NotACommand(rule.kind).into());
        }
        let response = match self.received.properties.and_then(|p| p.response_topic) {
            Some(text) => Some(Topic::parse(text.as_bytes()).map_err(Rejection::TopicName)?),
            None => None,
        };
        let act = Act {
            device: &peer.device.id,
            kind: rule.kind,
            topic,
            audience,
            lifetime_seconds: claims.expires_at.since(claims.issued_at),
            response,
            vouched: message.vouched,
        };
        let roles = self.receiver.trust.roles_of(&peer.device);
        grant::judge(roles, &act).map_err(Rejection::NotGranted)?;
        self.receiver.expect_manifest_age(peer, self.now)?;
        Ok(())
    }

    fn remember(
        &self,
        token: &str,
        peer: &PeerKey,
        claims: &Claims<'_>,
        message: &MessageClaims<'_>,
        memory: Memory<'_>,
    ) -> Result<Accepted, Refusal> {
        let Received {
            payload,
            retain,
            consumer,
            rule,
            ..
        } = *self.received;
        let sighting = Sighting {
            token,
            consumer,
            kid: peer.key.id(),
            device: &peer.device.id,
            kind: rule.kind,
            id: claims.id,
            issued_at: claims.issued_at,
            expires_at: claims.expires_at,
            topic: &message.topic,
            payload_hash: message.payload_hash,
            deletion: rule.kind == Kind::Message && retain && payload.is_empty(),
            retain,
            command: rule.command,
            after_power_loss: rule.after_power_loss,
            max_age_seconds: rule.max_age_seconds,
            leeway_seconds: self.receiver.leeway(),
            now: *self.now,
        };
        Ok(match memory {
            Memory::Forget => Accepted::unremembered(rule.kind),
            Memory::Foresee(memory) => memory.foresee(&sighting)??,
            Memory::Remember(memory) => memory.judge(&sighting)??,
        })
    }
}
