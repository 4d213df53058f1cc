//! What the gateway does with a topic: `[[rule]]` of the configuration, judged without clock, file or
//! network.
//!
//! The first rule whose filter matches decides. Two rules are built in behind those of the
//! configuration: `$SYS/#` passes, and everything else is enforced, so that a topic that nobody
//! thought of is never delivered unverified.

mod audience;
mod filter;
mod incoming;
mod permissions;
#[cfg(test)]
mod tests;
mod words;

pub use audience::{AudienceRefused, AudienceTemplate, InvalidTemplate};
pub use filter::{InvalidSubscription, Subscription, covers, overlaps};
pub use incoming::{AcceptedKinds, IncomingRule, IncomingSettings};
pub use permissions::Permissions;

use edgeseal_trust::token::Kind;
use edgeseal_trust::topic::{Topic, TopicFilter};
use std::fmt;
use std::sync::Arc;

/// Every rule, in order; the built-in ones are last. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    /// For what no filter matches: topics that begin with `$` and are not named.
    last: Rule,
}

/// What happens to the messages on the topics of one filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name for people and metrics.
    pub name: RuleName,
    /// Its topics.
    pub filter: TopicFilter,
    /// Whether it signs and judges.
    pub mode: Mode,
    /// What programs publish.
    pub outgoing: OutgoingRule,
    /// What programs receive.
    pub incoming: IncomingRule,
}

/// Name of a rule: its number in the order of the configuration, from 1, and its filter, as in
/// `rule 3 (site/+/cmd)`; `built-in (#)` and `built-in ($SYS/#)` for those that nobody wrote.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleName(Arc<str>);

/// Whether a rule signs and judges.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// Signed; only what is verified is delivered.
    #[default]
    Enforce,
    /// Signed; everything is delivered, marked unverified where it is, and counted as what would
    /// have been refused.
    Observe,
    /// Neither signed nor judged.
    Pass,
}

/// What a rule says of messages that programs publish.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct OutgoingRule {
    /// What we sign: [`Kind::Message`] or [`Kind::Retained`]. Wills are signed as wills whatever
    /// this says.
    pub kind: Kind,
    /// For whom.
    pub audience: AudienceTemplate,
    /// `exp - iat` in seconds, from 1 to the kind's ceiling; otherwise the default of the kind,
    /// clipped to what is granted.
    pub lifetime_seconds: Option<u64>,
    /// How the token travels.
    pub form: Form,
    /// The program relays for others that cannot sign (`vch`).
    pub vouch: bool,
    /// The message already carries a token and is passed as it is; without one it is refused.
    pub relay: bool,
}

/// How a token travels with its message.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Form {
    /// `ES1 `, token, line feed, payload: for paths that lose properties.
    Envelope,
    /// The MQTT 5 user property `edgeseal`, where upstream is MQTT 5; else an envelope.
    #[default]
    Property,
}

impl Rules {
    /// The rules of a configuration with the built-in ones behind them.
    #[must_use]
    pub fn new(stated: Vec<Rule>) -> Self {
        let mut rules = stated;
        rules.push(built_in("$SYS/#", Mode::Pass));
        Self {
            rules,
            last: built_in("#", Mode::Enforce),
        }
    }

    /// The rule that decides about a topic: the first one that matches; `built-in (#)` where none
    /// does. Topics below `edgeseal/` match none: they are the agents' own, and no program gets
    /// through to them.
    #[must_use]
    pub fn find(&self, topic: Topic<'_>) -> &Rule {
        self.rules
            .iter()
            .find(|rule| rule.filter.matches(topic, None))
            .unwrap_or(&self.last)
    }

    /// The rules of the configuration, without the built-in ones.
    #[must_use]
    pub fn stated(&self) -> &[Rule] {
        self.rules.split_last().map_or(&[], |(_, stated)| stated)
    }

    /// Every rule in the order in which they are asked, the built-in ones last.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().chain(std::iter::once(&self.last))
    }

    /// The one rule that decides about every topic that a subscription's filter (without
    /// `$share/group/`) can match; nothing where several may.
    #[must_use]
    pub fn only_rule_for(&self, filter: &str) -> Option<&Rule> {
        let first = self
            .rules
            .iter()
            .find(|rule| overlaps(rule.filter.as_str(), filter));
        match first {
            Some(rule) => covers(rule.filter.as_str(), filter).then_some(rule),
            None => Some(&self.last),
        }
    }

    /// Whether a topic of these filters, `{device}` being any, may come under [`Mode::Enforce`]: where
    /// none does, a failure of the agent holds up nothing.
    #[must_use]
    pub fn may_enforce(&self, filters: &[TopicFilter]) -> bool {
        filters
            .iter()
            .any(|filter| self.may_enforce_filter(&permissions::for_any_device(filter)))
    }

    fn may_enforce_filter(&self, filter: &str) -> bool {
        for rule in self.iter() {
            if rule.mode == Mode::Enforce && overlaps(rule.filter.as_str(), filter) {
                return true;
            }
            if covers(rule.filter.as_str(), filter) {
                return false;
            }
        }
        true
    }
}

impl Default for Rules {
    /// The built-in rules alone.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl RuleName {
    /// The name of the rule with this number, from 1.
    #[must_use]
    pub fn numbered(number: usize, filter: &TopicFilter) -> Self {
        Self(format!("rule {number} ({filter})").into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Mode {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
            Self::Pass => "pass",
        }
    }
}

impl Form {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Property => "property",
        }
    }
}

fn built_in(filter: &str, mode: Mode) -> Rule {
    Rule {
        name: RuleName(format!("built-in ({filter})").into()),
        filter: TopicFilter::parse(filter)
            .unwrap_or_else(|why| unreachable!("a built-in filter is valid: {why}")),
        mode,
        outgoing: OutgoingRule::default(),
        incoming: IncomingRule::default(),
    }
}
