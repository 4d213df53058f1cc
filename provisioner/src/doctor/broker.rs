//! The broker, and what it has of the registry.

use super::facts::{BrokerFacts, Facts};
use super::{broken, repair};
use crate::distribution::Standing;
use crate::error::CommandError;
use crate::mqtt::Stage;
use edgeseal_doctor::Finding;

pub(super) fn settings(facts: &Facts) -> Vec<Finding> {
    match &facts.broker {
        BrokerFacts::Asked { url, .. } => Finding::ok(url),
        BrokerFacts::NotSet => Finding::ok("none is set: what is published goes into bundle files"),
        BrokerFacts::Unseen => Finding::unknown("the registry cannot be opened", "edgeseal status"),
        BrokerFacts::Unusable(why) => broken(why),
    }
}

pub(super) fn reached(facts: &Facts) -> Vec<Finding> {
    at_stage(facts, Stage::Address, |url| format!("{url} answers"))
}

pub(super) fn tls(facts: &Facts) -> Vec<Finding> {
    match &facts.broker {
        BrokerFacts::Asked { url, .. } if is_here(url) => {
            Finding::ok("none is needed on this machine")
        }
        BrokerFacts::Asked { url, .. } if url.starts_with("mqtt:") => Finding::warning(
            format!("{url} speaks no TLS"),
            "edgeseal domain broker mqtts://HOST:8883 --ca FILE",
        ),
        _ => at_stage(facts, Stage::Tls, |url| {
            format!("the certificate of {url} is believed")
        }),
    }
}

pub(super) fn login(facts: &Facts) -> Vec<Finding> {
    at_stage(facts, Stage::Login, |url| format!("{url} let us in"))
}

pub(super) fn link(facts: &Facts) -> Vec<Finding> {
    at_stage(facts, Stage::Link, |_| "it lasted to the end".to_owned())
}

pub(super) fn sequence(facts: &Facts) -> Vec<Finding> {
    on_standing(facts, |standing| match standing {
        Standing::Same { .. } => Finding::ok("it has what was published last"),
        Standing::Behind(sequence) => Finding::broken(
            format!("it has sequence {sequence}, which is older than what was published last"),
            AGAIN,
        ),
        Standing::Differs(why) => {
            Finding::broken(format!("{} [{}]", why.reason, why.code), repair(why))
        }
        Standing::Empty if is_published(facts) => {
            Finding::broken("it has no manifest of this domain", AGAIN)
        }
        Standing::Empty => Finding::ok("it has none, and none was published"),
        Standing::Foreign => Finding::broken(
            "it has a manifest that no key of this domain has signed",
            "edgeseal publish --again; who else may write below edgeseal/ there?",
        ),
    })
}

pub(super) fn shards(facts: &Facts) -> Vec<Finding> {
    on_standing(facts, |standing| match standing {
        Standing::Same {
            shards,
            looked_at,
            missing: 0,
        } if looked_at < shards => Finding::ok(format!(
            "the first {looked_at} of {shards} are there; there was no time for more"
        )),
        Standing::Same {
            shards, missing: 0, ..
        } => Finding::ok(format!("all {shards} are there")),
        Standing::Same {
            looked_at, missing, ..
        } => Finding::broken(
            format!("{missing} of {looked_at} are missing there, or are something else"),
            "edgeseal publish --again --all-shards",
        ),
        Standing::Empty if !is_published(facts) => Finding::ok("none was published"),
        _ => Finding::unknown("the broker has another manifest, or none", AGAIN),
    })
}

/// Judges a stage of a connection: well where it came further, broken where it failed at it.
fn at_stage(facts: &Facts, stage: Stage, well: impl FnOnce(&str) -> String) -> Vec<Finding> {
    let BrokerFacts::Asked { url, standing } = &facts.broker else {
        return unasked(facts);
    };
    match standing {
        Err((failed, why)) if *failed == stage => Finding::broken(&why.reason, how(stage, why)),
        Err((failed, _)) if rank(*failed) < rank(stage) => {
            Finding::unknown("the connection did not come so far", "edgeseal doctor")
        }
        _ => Finding::ok(well(url)),
    }
}

fn on_standing(facts: &Facts, judge: impl FnOnce(&Standing) -> Vec<Finding>) -> Vec<Finding> {
    match &facts.broker {
        BrokerFacts::Asked {
            standing: Ok(standing),
            ..
        } => judge(standing),
        BrokerFacts::Asked { .. } => {
            Finding::unknown("the broker could not be asked", "edgeseal doctor")
        }
        _ => unasked(facts),
    }
}

fn unasked(facts: &Facts) -> Vec<Finding> {
    match &facts.broker {
        BrokerFacts::NotSet => Finding::ok("none is set"),
        _ => Finding::unknown("the broker could not be asked", "edgeseal domain broker"),
    }
}

fn how(stage: Stage, why: &CommandError) -> String {
    match stage {
        Stage::Address => "check address and network: ip -br address; edgeseal domain broker".to_owned(),
        Stage::Login => format!("{}; give --username NAME --password-file FILE", repair(why)),
        Stage::Link => "edgeseal doctor, once more; where it ends each time, the log of the broker says why".to_owned(),
        Stage::Tls => "edgeseal domain broker URL --ca FILE; see the chain: openssl s_client -connect HOST:PORT -showcerts".to_owned(),
    }
}

const fn rank(stage: Stage) -> u8 {
    match stage {
        Stage::Address => 0,
        Stage::Tls => 1,
        Stage::Login => 2,
        Stage::Link => 3,
    }
}

fn is_published(facts: &Facts) -> bool {
    let registry = facts.registry.as_ref().ok();
    registry.is_some_and(|registry| matches!(registry.last, Ok(Some(_))))
}

fn is_here(url: &str) -> bool {
    ["mqtt://127.", "mqtt://localhost:"]
        .iter()
        .any(|here| url.starts_with(here))
}

const AGAIN: &str = "edgeseal publish --again";
