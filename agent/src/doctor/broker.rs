//! Brokers and the gateway's listeners.

use super::State;
use super::{BrokerFacts, Facts, Finding, LoginFacts};

pub(super) fn reached(facts: &Facts) -> Vec<Finding> {
    each(facts, |broker| match &broker.reached {
        Ok(()) => Some(Finding::good(format!("{} answers", named(broker)))),
        Err(why) => Some(Finding::new(
            State::Broken,
            format!("{} cannot be reached: {why}", named(broker)),
            "check address and network: ip -br address; ping the host; then edgeseal-agent config show",
        )),
    })
}

pub(super) fn tls(facts: &Facts) -> Vec<Finding> {
    each(facts, |broker| match broker.tls.as_ref()? {
        Ok(()) => Some(Finding::good(format!(
            "the certificate of {} is believed",
            named(broker)
        ))),
        Err(why) => Some(Finding::new(
            State::Broken,
            format!("{}: {why}", named(broker)),
            "set ca_file and server_name of the upstream; see the chain: openssl s_client -connect HOST:PORT -showcerts",
        )),
    })
}

pub(super) fn login(facts: &Facts) -> Vec<Finding> {
    each(facts, |broker| match &broker.login {
        LoginFacts::Accepted => Some(Finding::good(format!(
            "{} let this device in",
            named(broker)
        ))),
        LoginFacts::Refused(why) => Some(Finding::new(
            State::Broken,
            format!("{} refused: {why}", named(broker)),
            "correct credentials, username and password_file of the upstream, or the broker's own list",
        )),
        LoginFacts::NotTried(why) => Some(Finding::new(
            State::Unknown,
            format!("not tried with {}: {why}", named(broker)),
            "repair what is said above, then sudo edgeseal-agent doctor",
        )),
    })
}

pub(super) fn listeners(facts: &Facts) -> Vec<Finding> {
    if facts.listeners.is_empty() {
        return Finding::ok("the gateway is off: no [[gateway.listener]]");
    }
    let all = facts.listeners.iter().map(|listener| {
        let named = format!("listener {} on {}", listener.name, listener.address);
        match &listener.reached {
            Ok(()) => Finding::good(format!("{named} answers")),
            Err(why) => Finding::new(
                State::Broken,
                format!("{named} does not answer: {why}"),
                "sudo systemctl restart edgeseal-agent; who else is there: sudo ss -lptn",
            ),
        }
    });
    all.collect()
}

fn each(facts: &Facts, judge: impl Fn(&BrokerFacts) -> Option<Finding>) -> Vec<Finding> {
    let found: Vec<Finding> = facts.brokers.iter().filter_map(judge).collect();
    match (found.is_empty(), facts.brokers.is_empty()) {
        (false, _) => found,
        (true, true) => Finding::ok("the configuration names no broker"),
        (true, false) => {
            Finding::ok("no broker of the configuration could be asked, or none uses it")
        }
    }
}

fn named(broker: &BrokerFacts) -> String {
    format!("broker {} at {}", broker.name, broker.url)
}
