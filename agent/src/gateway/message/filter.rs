//! What a program subscribes to, as it is subscribed upstream: one filter becomes one filter, so that nothing
//! has to be remembered over resumed sessions.

use super::VERIFIED_LEVEL;
use super::send::NOT_AUTHORIZED;
use crate::gateway::rules::{Mode, Permissions, Rules, Subscription};
use edgeseal_trust::id::DeviceId;
use std::borrow::Cow;

/// What a program may subscribe to, and how.
#[derive(Clone, Copy, Debug)]
pub struct SubscribeContext<'a> {
    /// What happens on which topic.
    pub rules: &'a Rules,
    /// What the program may receive.
    pub permissions: &'a Permissions,
    /// The listener delivers as `verified/<sender>/<topic>`.
    pub sender_in_topic: bool,
    /// This device's name in the registry.
    pub device: Option<&'a DeviceId>,
}

/// Why a filter is not subscribed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterRefused {
    /// Stable short code.
    pub code: &'static str,
    /// Reason code of MQTT 5 for SUBACK (section 3.9.3).
    pub reason: u8,
    /// For people.
    pub sentence: Cow<'static, str>,
}

/// The filter that is subscribed upstream for a program's. Of an UNSUBSCRIBE too.
///
/// With `sender_in_topic` it begins `verified/+/` (behind `$share/group/`, where shared), is `verified/#`, or
/// matches only topics of one rule that passes.
///
/// # Errors
/// [`FilterRefused`].
pub fn filter_upstream<'f>(
    filter: &'f str,
    context: &SubscribeContext<'_>,
) -> Result<Cow<'f, str>, FilterRefused> {
    let subscription = Subscription::parse(filter).map_err(|why| {
        let sentence = format!("{filter:?} is no topic filter: {why}");
        refused("filter", FILTER_INVALID, sentence)
    })?;
    let upstream = upstream(filter, subscription, context)?;
    if context.permissions.may_subscribe(&upstream, context.device) {
        return Ok(upstream);
    }
    let sentence = format!("the listener's subscribe list does not cover {upstream:?}");
    Err(refused("filter-not-listed", NOT_AUTHORIZED, sentence))
}

fn upstream<'f>(
    text: &'f str,
    subscription: Subscription<'f>,
    context: &SubscribeContext<'_>,
) -> Result<Cow<'f, str>, FilterRefused> {
    let Subscription { group, filter } = subscription;
    let (first, rest) = match filter.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (filter, None),
    };
    let rest = rest.filter(|_| first == VERIFIED_LEVEL);
    if !context.sender_in_topic {
        return match rest {
            None => Ok(Cow::Borrowed(text)),
            Some(_) => {
                let sentence = "nothing is delivered below verified/ here: sender_in_topic = false";
                Err(refused("filter-verified", NOT_AUTHORIZED, sentence))
            }
        };
    }
    let wanted = match rest {
        Some("#") => "#",
        Some(rest) => match rest.split_once('/') {
            Some(("+", wanted)) if !wanted.is_empty() && !wanted.starts_with("$share/") => wanted,
            _ => {
                let sentence = format!(
                    "{text:?}: messages of all senders are subscribed, as verified/+/FILTER; the program picks"
                );
                return Err(refused("filter-sender", NOT_AUTHORIZED, sentence));
            }
        },
        None => return passing(text, filter, context),
    };
    Ok(Cow::Owned(match group {
        None => wanted.to_owned(),
        Some(group) => format!("$share/{group}/{wanted}"),
    }))
}

/// A filter without a sender is for what nobody verifies.
fn passing<'f>(
    text: &'f str,
    filter: &str,
    context: &SubscribeContext<'_>,
) -> Result<Cow<'f, str>, FilterRefused> {
    match context.rules.only_rule_for(filter) {
        Some(rule) if rule.mode == Mode::Pass => Ok(Cow::Borrowed(text)),
        _ => {
            let sentence = format!("{text:?} is not under a rule that passes: verified/+/{filter}");
            Err(refused("filter-sender", NOT_AUTHORIZED, sentence))
        }
    }
}

fn refused(
    code: &'static str,
    reason: u8,
    sentence: impl Into<Cow<'static, str>>,
) -> FilterRefused {
    FilterRefused {
        code,
        reason,
        sentence: sentence.into(),
    }
}

const FILTER_INVALID: u8 = 0x8F;
