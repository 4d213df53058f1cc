//! What a program publishes, signed.

use super::carried::{Carried, ENVELOPE, LINE_FEED, bound};
use super::{Notary, TOKEN_PROPERTY, is_ours};
use crate::engine::{Lifetime, Minted, NotSigned, SignDraft, SignFailure, SignRefusal};
use crate::gateway::packet::{self, Property, Publish, Rewrite, Version};
use crate::gateway::rules::{Form, Mode, OutgoingRule, Permissions, Rule, RuleName, Rules};
use crate::wire::Qos;
use bytes::BytesMut;
use edgeseal_trust::token::{Failure, Kind, MintRefusal, Properties, TokenId};
use edgeseal_trust::topic::{Topic, TopicFilter};
use std::borrow::Cow;

/// How a program's messages go out.
#[derive(Clone, Copy, Debug)]
pub struct SendContext<'a> {
    /// What happens on which topic.
    pub rules: &'a Rules,
    /// What the program may publish.
    pub permissions: &'a Permissions,
    /// The version that is spoken upstream.
    pub upstream: Version,
    /// The longest packet that the broker takes, in octets.
    pub max_packet_octets: u32,
    /// The `jti` of the first try, where the program sends this message again. Where it cannot be signed under
    /// it any more (long ago, or another message after all) it gets another one.
    pub resend: Option<TokenId>,
}

/// What became of a program's message.
#[derive(Debug)]
#[must_use]
pub enum Sent<'a> {
    /// This device is in no state to sign; it passes. Nothing was appended.
    Failed(SignFailure),
    /// Appended.
    Forwarded {
        /// The rule that decided.
        rule: &'a Rule,
        /// The id under which it was signed here; nothing where it was not.
        id: Option<TokenId>,
        /// Why it was not signed under a rule that observes.
        unsigned: Option<&'static str>,
        /// One, or two for a deletion in an envelope: that envelope, then the bare deletion at QoS 0, which
        /// nobody acknowledges.
        packets: u8,
    },
    /// It may not be sent. Nothing was appended.
    Refused(SendRefusal<'a>),
}

/// Why a message or a will is not sent, for good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SendRefusal<'a> {
    /// The rule that decided; nothing where none was asked.
    pub rule: Option<&'a RuleName>,
    /// Stable short code.
    pub code: &'static str,
    /// Reason code of MQTT 5 (section 2.4) for PUBACK, PUBREC, or CONNACK.
    pub reason: u8,
    /// For people.
    pub sentence: Cow<'static, str>,
}

/// Why a will is not sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NotSent<'a> {
    /// This device is in no state to sign; it passes.
    Failed(SignFailure),
    /// It may not be sent.
    Refused(SendRefusal<'a>),
}

/// Appends what the broker gets of a program's message. Its topic is the full name: aliases are resolved
/// before. With a refusal or failure `out` stays as it is.
pub fn send<'a>(
    publish: &Publish<'_>,
    context: &SendContext<'a>,
    notary: &mut dyn Notary,
    out: &mut BytesMut,
) -> Sent<'a> {
    match try_send(publish, context, notary, out) {
        Ok(sent) => sent,
        Err(NotSent::Failed(failure)) => Sent::Failed(failure),
        Err(NotSent::Refused(refusal)) => Sent::Refused(refusal),
    }
}

fn try_send<'a>(
    publish: &Publish<'_>,
    context: &SendContext<'a>,
    notary: &mut dyn Notary,
    out: &mut BytesMut,
) -> Result<Sent<'a>, NotSent<'a>> {
    let (topic, rule) = allowed(publish.topic, context, notary)?;
    let plain = Outgoing {
        publish,
        context,
        rule,
    };
    if rule.mode == Mode::Pass {
        return plain.forward(Keep::Token, None, out);
    }
    if rule.outgoing.relay {
        return match expect_token(Carried::of(&publish.properties, publish.payload)) {
            Ok(token) => plain.relay(token, out),
            Err(code) if rule.mode == Mode::Observe => {
                plain.forward(Keep::Nothing, Some(code), out)
            }
            Err(code) => Err(relay_refused(rule, code)),
        };
    }
    let deletion = publish.retain && publish.payload.is_empty();
    let draft = Statement {
        kind: kind_of(&rule.outgoing, publish.payload),
        qos: publish.qos,
        topic,
        payload: publish.payload,
        properties: &publish.properties,
    };
    plain.expect_room()?;
    let unsigned = match sign(&draft, rule, context, notary) {
        Ok(minted) => match plain.signed(&minted, deletion, out) {
            Err(NotSent::Refused(refusal)) if rule.mode == Mode::Observe => refusal.code,
            sent => return sent,
        },
        Err(why) if rule.mode == Mode::Observe => why.code(),
        Err(why) => return Err(why),
    };
    plain.forward(Keep::Nothing, Some(unsigned), out)
}

/// Topic and rule of what the program may publish.
pub(super) fn allowed<'t, 'a>(
    topic: &'t str,
    context: &SendContext<'a>,
    notary: &dyn Notary,
) -> Result<(Topic<'t>, &'a Rule), NotSent<'a>> {
    let topic = Topic::parse(topic.as_bytes()).map_err(|why| {
        let sentence = format!("the topic is no topic name: {why}");
        SendRefusal::new(None, "topic-name", TOPIC_NAME_INVALID, sentence)
    })?;
    let (device, permissions) = (notary.device(), context.permissions);
    if !permissions.may_publish(topic, device.as_ref()) {
        if device.is_none() && names_device(&permissions.publish) {
            let failure = notary.can_sign().err();
            return Err(NotSent::Failed(
                failure.unwrap_or_else(|| Failure::NotEnrolled.into()),
            ));
        }
        let sentence = format!("the listener's publish list has no {:?}", topic.as_str());
        return Err(SendRefusal::new(None, "topic-not-listed", NOT_AUTHORIZED, sentence).into());
    }
    Ok((topic, context.rules.find(topic)))
}

/// Whether what a list allows depends on the name of this device: without one nobody can tell, so nothing is
/// refused for good.
pub(super) fn names_device(list: &[TopicFilter]) -> bool {
    list.iter()
        .any(|filter| filter.as_str().split('/').any(|level| level == "{device}"))
}

/// What is to be signed of a message or will.
pub(super) struct Statement<'a> {
    pub(super) kind: Kind,
    pub(super) qos: Qos,
    pub(super) topic: Topic<'a>,
    pub(super) payload: &'a [u8],
    pub(super) properties: &'a packet::Properties<'a>,
}

/// Signs as the rule says; properties are bound where receivers can see them.
pub(super) fn sign<'a>(
    statement: &Statement<'_>,
    rule: &'a Rule,
    context: &SendContext<'_>,
    notary: &mut dyn Notary,
) -> Result<Minted, NotSent<'a>> {
    let audience = rule.outgoing.audience.expand(statement.topic);
    let audience = audience.map_err(|why| {
        SendRefusal::new(Some(rule), "audience", TOPIC_NAME_INVALID, why.to_string())
    })?;
    let user: Vec<_> = match context.upstream {
        Version::V311 => Vec::new(),
        Version::V5 => statement.properties.user().collect(),
    };
    let properties = match context.upstream {
        Version::V311 => Properties::default(),
        Version::V5 => bound(statement.properties, &user),
    };
    let mut draft = SignDraft {
        topic: statement.topic.as_str(),
        payload: statement.payload,
        audience: audience.as_ref(),
        kind: statement.kind,
        lifetime: lifetime(&rule.outgoing, statement.kind),
        qos: Some(statement.qos),
        properties,
        captured_at: None,
        vouched: rule.outgoing.vouch,
        resend: context.resend,
    };
    let signed = match notary.sign(&draft) {
        Err(NotSigned::Refused(SignRefusal::ResendUnknown(_))) => {
            draft.resend = None;
            notary.sign(&draft)
        }
        signed => signed,
    };
    signed.map_err(|why| match why {
        NotSigned::Failed(failure) => NotSent::Failed(failure),
        NotSigned::Refused(refusal) => {
            let reason = reason_of(&refusal);
            SendRefusal::new(Some(rule), refusal.code(), reason, refusal.to_string()).into()
        }
    })
}

/// What is no statement that could be read long after is a message: what deletes one.
fn kind_of(rule: &OutgoingRule, payload: &[u8]) -> Kind {
    match rule.kind {
        Kind::Retained if payload.is_empty() => Kind::Message,
        kind => kind,
    }
}

/// The rule's lifetime is of the rule's kind: other kinds get their default.
fn lifetime(rule: &OutgoingRule, kind: Kind) -> Lifetime {
    match rule.lifetime_seconds {
        Some(seconds) if rule.kind == kind => Lifetime::AtMost(seconds),
        _ => Lifetime::Default,
    }
}

/// A message with the rule that decides about it.
struct Outgoing<'p, 'c, 'a> {
    publish: &'p Publish<'p>,
    context: &'c SendContext<'a>,
    rule: &'a Rule,
}

/// Which of the properties `edgeseal` and `edgeseal-*` stay.
#[derive(Clone, Copy)]
enum Keep {
    Nothing,
    Token,
}

impl<'a> Outgoing<'_, '_, 'a> {
    fn signed(
        &self,
        minted: &Minted,
        deletion: bool,
        out: &mut BytesMut,
    ) -> Result<Sent<'a>, NotSent<'a>> {
        let packets = self.with_token(&minted.token, deletion, out)?;
        Ok(Sent::Forwarded {
            rule: self.rule,
            id: Some(minted.id),
            unsigned: None,
            packets,
        })
    }

    /// As it is, but that a token that cannot travel as property is put into an envelope.
    fn relay(&self, token: Carried<'_>, out: &mut BytesMut) -> Result<Sent<'a>, NotSent<'a>> {
        match token {
            Carried::Property(token) if self.context.upstream == Version::V311 => {
                let deletion = self.publish.retain && self.publish.payload.is_empty();
                let packets = self.with_token(token, deletion, out)?;
                Ok(Sent::Forwarded {
                    rule: self.rule,
                    id: None,
                    unsigned: None,
                    packets,
                })
            }
            _ => self.forward(Keep::Token, None, out),
        }
    }

    fn with_token(
        &self,
        token: &str,
        deletion: bool,
        out: &mut BytesMut,
    ) -> Result<u8, NotSent<'a>> {
        let version = self.context.upstream;
        // A deletion is one only while its payload is empty.
        if version == Version::V5 && (deletion || self.rule.outgoing.form == Form::Property) {
            let added = [Property::UserProperty(TOKEN_PROPERTY, token)];
            let rewrite = Rewrite {
                added: &added,
                ..Rewrite::of(self.publish, sent)
            };
            self.write(&rewrite, out)?;
            return Ok(1);
        }
        let head = [ENVELOPE, token.as_bytes(), &[LINE_FEED]];
        let publish = Publish {
            retain: self.publish.retain && !deletion,
            ..*self.publish
        };
        let rewrite = Rewrite {
            payload_head: &head,
            ..Rewrite::of(&publish, sent)
        };
        self.write(&rewrite, out)?;
        if !deletion {
            return Ok(1);
        }
        let bare = Publish {
            dup: false,
            qos: Qos::AtMostOnce,
            packet_id: None,
            ..*self.publish
        };
        self.write(&Rewrite::of(&bare, sent), out)?; // shorter than the one before
        Ok(2)
    }

    /// What is not signed here.
    fn forward(
        &self,
        keep: Keep,
        unsigned: Option<&'static str>,
        out: &mut BytesMut,
    ) -> Result<Sent<'a>, NotSent<'a>> {
        let rewrite = match keep {
            Keep::Nothing => Rewrite::of(self.publish, sent),
            Keep::Token => Rewrite::of(self.publish, sent_with_token),
        };
        self.write(&rewrite, out)?;
        Ok(Sent::Forwarded {
            rule: self.rule,
            id: None,
            unsigned,
            packets: 1,
        })
    }

    /// Refuses what is too long without its token already, so that no id is used for it.
    fn expect_room(&self) -> Result<(), NotSent<'a>> {
        match u32::try_from(self.publish.payload.len()) {
            Ok(octets) if octets <= self.context.max_packet_octets => Ok(()),
            _ => Err(self.too_large()),
        }
    }

    fn write(&self, rewrite: &Rewrite<'_>, out: &mut BytesMut) -> Result<(), NotSent<'a>> {
        rewrite
            .write(self.context.upstream, self.context.max_packet_octets, out)
            .map_err(|_| self.too_large())
    }

    fn too_large(&self) -> NotSent<'a> {
        let limit = self.context.max_packet_octets;
        let sentence = format!(
            "with its token it is longer than the {limit} octets of a packet that the broker takes"
        );
        SendRefusal::new(Some(self.rule), "packet-size", PACKET_TOO_LARGE, sentence).into()
    }
}

/// What stays of a message that gets a token of ours or none.
fn sent(property: &Property<'_>) -> bool {
    match property {
        Property::TopicAlias(_) => false,
        Property::UserProperty(name, _) => !is_ours(name),
        _ => true,
    }
}

/// What stays of a message whose token is not ours to judge.
fn sent_with_token(property: &Property<'_>) -> bool {
    matches!(property, Property::UserProperty(TOKEN_PROPERTY, _)) || sent(property)
}

/// The token of a message that is relayed.
pub(super) fn expect_token(carried: Carried<'_>) -> Result<Carried<'_>, &'static str> {
    match carried {
        Carried::Nothing => Err(UNSIGNED),
        Carried::Twice => Err(TOKEN_TWICE),
        token => Ok(token),
    }
}

pub(super) fn relay_refused<'a>(rule: &'a Rule, code: &'static str) -> NotSent<'a> {
    let sentence = "what is relayed carries one token already, and this does not";
    SendRefusal::new(Some(rule), code, NOT_AUTHORIZED, sentence).into()
}

/// The reason code of MQTT 5 for what may not be signed.
fn reason_of(refusal: &SignRefusal) -> u8 {
    match refusal {
        SignRefusal::Mint(refusal) => match refusal {
            MintRefusal::Audience { .. } | MintRefusal::NotGranted(_) => NOT_AUTHORIZED,
            MintRefusal::TopicName(_) | MintRefusal::ResponseTopic(_) => TOPIC_NAME_INVALID,
            MintRefusal::PropertySize | MintRefusal::Size(_) => PACKET_TOO_LARGE,
            MintRefusal::CapturedLater { .. }
            | MintRefusal::Lifetime { .. }
            | MintRefusal::RetainedEmpty => IMPLEMENTATION_SPECIFIC,
        },
        SignRefusal::ResendUnknown(_) => IMPLEMENTATION_SPECIFIC,
    }
}

impl<'a> SendRefusal<'a> {
    pub(super) fn new(
        rule: Option<&'a Rule>,
        code: &'static str,
        reason: u8,
        sentence: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            rule: rule.map(|rule| &rule.name),
            code,
            reason,
            sentence: sentence.into(),
        }
    }
}

impl NotSent<'_> {
    /// The stable short code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.code(),
            Self::Refused(refusal) => refusal.code,
        }
    }
}

impl<'a> From<SendRefusal<'a>> for NotSent<'a> {
    fn from(refusal: SendRefusal<'a>) -> Self {
        Self::Refused(refusal)
    }
}

/// No token.
pub(super) const UNSIGNED: &str = "unsigned";
/// More than one token.
pub(super) const TOKEN_TWICE: &str = "token-twice";
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;
pub(super) const NOT_AUTHORIZED: u8 = 0x87;
const TOPIC_NAME_INVALID: u8 = 0x90;
pub(super) const PACKET_TOO_LARGE: u8 = 0x95;
