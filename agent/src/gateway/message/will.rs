//! A program's will, signed before its CONNECT goes out.

use super::carried::{Carried, ENVELOPE, LINE_FEED};
use super::send::{
    self, NotSent, PACKET_TOO_LARGE, SendContext, SendRefusal, Statement, allowed, expect_token,
};
use super::{Notary, TOKEN_PROPERTY, is_ours};
use crate::gateway::packet::{Properties, PropertiesBuf, Property, TooLarge, Version, Will};
use crate::gateway::rules::{Form, Mode, Rule, RuleName};
use crate::wire::Qos;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Kind, TokenId};

/// A will as the broker gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedWill {
    topic: String,
    payload: Vec<u8>,
    qos: Qos,
    retain: bool,
    properties: PropertiesBuf,
    /// The rule that decided.
    pub rule: RuleName,
    /// The id under which it was signed here; nothing where it was not.
    pub id: Option<TokenId>,
    /// When its token expires: nobody believes it from then on.
    pub expires_at: Option<UnixTime>,
    /// Why it was not signed under a rule that observes.
    pub unsigned: Option<&'static str>,
}

impl SignedWill {
    /// The will for the broker's CONNECT.
    #[must_use]
    pub fn as_will(&self) -> Will<'_> {
        Will {
            topic: &self.topic,
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.as_properties(),
        }
    }
}

/// Signs a will, with the lifetime that is granted for wills (7 days unless said otherwise). It is delayed by
/// `will_delay_seconds` at least, where upstream is MQTT 5, so that a short absence of this agent fires none.
/// A will that would delete a retained message cannot do so in an envelope: there it is only told.
///
/// # Errors
/// [`NotSent`], as for [`send()`](super::send()).
pub fn will<'a>(
    will: &Will<'_>,
    will_delay_seconds: u32,
    context: &SendContext<'a>,
    notary: &mut dyn Notary,
) -> Result<SignedWill, NotSent<'a>> {
    let (topic, rule) = allowed(will.topic, context, notary)?;
    let plain = Outgoing {
        will,
        will_delay_seconds,
        version: context.upstream,
        rule,
    };
    if rule.mode == Mode::Pass {
        return plain.forward(token_stays, None);
    }
    if rule.outgoing.relay {
        return match expect_token(Carried::of(&will.properties, will.payload)) {
            Ok(Carried::Property(token)) if context.upstream == Version::V311 => {
                plain.with_token(token, None)
            }
            Ok(_) => plain.forward(token_stays, None),
            Err(code) if rule.mode == Mode::Observe => plain.forward(is_not_ours, Some(code)),
            Err(code) => Err(send::relay_refused(rule, code)),
        };
    }
    let statement = Statement {
        kind: Kind::Will,
        qos: will.qos,
        topic,
        payload: will.payload,
        properties: &will.properties,
    };
    match send::sign(&statement, rule, context, notary) {
        Ok(minted) => plain.with_token(&minted.token, Some((minted.id, minted.expires_at))),
        Err(why) if rule.mode == Mode::Observe => plain.forward(is_not_ours, Some(why.code())),
        Err(why) => Err(why),
    }
}

/// A will with the rule that decides about it.
struct Outgoing<'w, 'a> {
    will: &'w Will<'w>,
    will_delay_seconds: u32,
    version: Version,
    rule: &'a Rule,
}

impl<'a> Outgoing<'_, 'a> {
    fn with_token(
        &self,
        token: &str,
        minted: Option<(TokenId, UnixTime)>,
    ) -> Result<SignedWill, NotSent<'a>> {
        let mut signed = self.forward(is_not_ours, None)?;
        signed.id = minted.map(|(id, _)| id);
        signed.expires_at = minted.map(|(_, expires_at)| expires_at);
        let deletion = self.will.retain && self.will.payload.is_empty();
        let property = deletion || self.rule.outgoing.form == Form::Property;
        if self.version == Version::V5 && property {
            let property = Property::UserProperty(TOKEN_PROPERTY, token);
            signed
                .properties
                .push(property)
                .map_err(|_| self.too_large())?;
        } else {
            signed.payload = [ENVELOPE, token.as_bytes(), &[LINE_FEED], self.will.payload].concat();
            signed.retain &= !deletion;
            if u16::try_from(signed.payload.len()).is_err() {
                return Err(self.too_large());
            }
        }
        Ok(signed)
    }

    fn forward(
        &self,
        keep: impl Fn(&str) -> bool,
        unsigned: Option<&'static str>,
    ) -> Result<SignedWill, NotSent<'a>> {
        let properties = match self.version {
            Version::V311 => PropertiesBuf::default(),
            Version::V5 => self
                .properties(&self.will.properties, keep)
                .map_err(|TooLarge| self.too_large())?,
        };
        Ok(SignedWill {
            topic: self.will.topic.to_owned(),
            payload: self.will.payload.to_owned(),
            qos: self.will.qos,
            retain: self.will.retain,
            properties,
            rule: self.rule.name.clone(),
            id: None,
            expires_at: None,
            unsigned,
        })
    }

    fn properties(
        &self,
        theirs: &Properties<'_>,
        keep: impl Fn(&str) -> bool,
    ) -> Result<PropertiesBuf, TooLarge> {
        let delay = theirs.will_delay_interval().unwrap_or_default();
        let delay = delay.max(self.will_delay_seconds);
        let mut properties = PropertiesBuf::default();
        if delay > 0 {
            properties.push(Property::WillDelayInterval(delay))?;
        }
        properties.extend(theirs.iter().filter(|property| match property {
            Property::WillDelayInterval(_) => false,
            Property::UserProperty(name, _) => keep(name),
            _ => true,
        }))?;
        Ok(properties)
    }

    fn too_large(&self) -> NotSent<'a> {
        let sentence = "a will with its token is longer than the 65535 octets that MQTT carries";
        SendRefusal::new(Some(self.rule), "packet-size", PACKET_TOO_LARGE, sentence).into()
    }
}

fn is_not_ours(name: &str) -> bool {
    !is_ours(name)
}

fn token_stays(name: &str) -> bool {
    name == TOKEN_PROPERTY || is_not_ours(name)
}
