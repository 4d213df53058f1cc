//! What a right configuration may still not mean as it was meant.

use std::fmt;
use std::net::IpAddr;

use edgeseal_trust::limits;

use super::super::{Loaded, Origin};
use super::{Credentials, ListenerConfig, UpstreamConfig, UpstreamUrl};
use crate::gateway::rules::{Mode, Rule, covers};

/// Something that `config check` points out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Stable short code.
    pub code: &'static str,
    /// Where it is stated.
    pub origin: Origin,
    /// A sentence for people.
    pub message: String,
}

/// Everything that is worth pointing out, in the order of the documentation.
#[must_use]
pub fn warnings(loaded: &Loaded) -> Vec<Warning> {
    let gateway = &loaded.config.gateway;
    let mut found = Vec::new();
    let mut note = |key: String, problem: Option<(&'static str, String)>| {
        found.extend(problem.map(|(code, message)| Warning {
            code,
            origin: loaded.origin_of(&key),
            message,
        }));
    };
    for (index, upstream) in gateway.upstreams.iter().enumerate() {
        let key = format!("gateway.upstream[{index}]");
        note(key.clone(), in_clear(upstream));
        let used = gateway
            .listeners
            .iter()
            .any(|one| one.upstream == upstream.name);
        note(key, (!used).then(|| unused(upstream)));
    }
    for (index, listener) in gateway.listeners.iter().enumerate() {
        note(
            format!("gateway.listener[{index}]"),
            grants_nothing(listener),
        );
    }
    let rules = gateway.rules.stated();
    for (index, rule) in rules.iter().enumerate() {
        let before = rules.get(..index).unwrap_or_default();
        let key = || format!("rule[{index}]");
        note(key(), never_reached(rule, before));
        note(key(), lost_at_power_cut(rule));
        note(key(), command_for_others(rule));
    }
    found
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} [{}]", self.origin, self.message, self.code)
    }
}

type Noted = Option<(&'static str, String)>;

/// A password or login token that whoever is on the way can read.
fn in_clear(upstream: &UpstreamConfig) -> Noted {
    let UpstreamUrl::Mqtt { host, .. } = &upstream.url else {
        return None;
    };
    let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    (!local && upstream.credentials != Credentials::None).then(|| {
        let message = format!(
            "upstream \"{}\" sends its credentials without TLS: use mqtts://",
            upstream.name
        );
        ("upstream-in-clear", message)
    })
}

fn unused(upstream: &UpstreamConfig) -> (&'static str, String) {
    let message = format!("no listener uses upstream \"{}\"", upstream.name);
    ("upstream-unused", message)
}

fn grants_nothing(listener: &ListenerConfig) -> Noted {
    let users = listener.users.iter().map(|user| &user.permissions);
    let mut lists = users.chain([&listener.permissions]);
    lists
        .all(|lists| lists.publish.is_empty() && lists.subscribe.is_empty())
        .then(|| {
            let message = format!(
                "listener \"{}\" lets nobody publish or subscribe: give it lists `publish` and `subscribe`",
                listener.name
            );
            ("listener-grants-nothing", message)
        })
}

fn never_reached(rule: &Rule, before: &[Rule]) -> Noted {
    let covering = before
        .iter()
        .find(|earlier| covers(earlier.filter.as_str(), rule.filter.as_str()))?;
    let message = format!(
        "{} is never reached: {} comes first and has all of its topics",
        rule.name, covering.name
    );
    Some(("rule-unreached", message))
}

/// What waits at the broker while this device has no power is older than its memory of repeats.
fn lost_at_power_cut(rule: &Rule) -> Noted {
    let seconds = rule.outgoing.lifetime_seconds?;
    let received = rule.incoming.first();
    let long = seconds > limits::MESSAGE_LIFETIME_SECONDS;
    if rule.mode == Mode::Pass
        || !long
        || !rule.incoming.accept.message
        || received.after_power_loss
    {
        return None;
    }
    let remedy = if received.command {
        "commands are refused then whatever else is set"
    } else {
        "where a repeat does no harm, set after_power_loss = \"accept\""
    };
    let message = format!(
        "{}: messages live {seconds} s, but what waits at the broker while this device has no power is refused afterwards; {remedy}",
        rule.name
    );
    Some(("rule-after-power-loss", message))
}

fn command_for_others(rule: &Rule) -> Noted {
    let received = rule.incoming.first();
    (rule.mode != Mode::Pass && received.command && received.any_audience).then(|| {
        let message = format!(
            "{}: commands to other devices are delivered as well (receive_audience = \"any\")",
            rule.name
        );
        ("rule-command-any-audience", message)
    })
}
