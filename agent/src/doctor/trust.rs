//! Trust data and the store.

use super::agent::asked;
use super::{AgentFacts, Facts, Finding};
use edgeseal_trust::registry::Staleness;
use edgeseal_trust::store::{Look, Recovery};
use edgeseal_trust::time::UnixTime;

/// The trust data in force, from whoever knows it.
struct InForce {
    domain: String,
    root_version: u64,
    sequence: u64,
    exp: UnixTime,
    root_exp: UnixTime,
    age: Staleness,
}

pub(super) fn in_force(facts: &Facts) -> Vec<Finding> {
    with(facts, none, |trust| {
        Finding::ok(format!(
            "domain {}, root version {}, manifest {}",
            trust.domain, trust.root_version, trust.sequence
        ))
    })
}

pub(super) fn age(facts: &Facts) -> Vec<Finding> {
    with(facts, none_to_judge, |trust| match trust.age {
        Staleness::Fresh => Finding::ok(format!("good until {:#}", trust.exp.min(trust.root_exp))),
        Staleness::Stale { expired_seconds } => Finding::warning(
            format!(
                "expired {} ago; refused in {}",
                lasting(expired_seconds),
                lasting(facts.grace_seconds.saturating_sub(expired_seconds))
            ),
            REFRESH,
        ),
        Staleness::PastGrace { expired_seconds } => Finding::broken(
            format!(
                "expired {} ago, past its grace: everything is refused",
                lasting(expired_seconds)
            ),
            REFRESH,
        ),
    })
}

pub(super) fn root_age(facts: &Facts) -> Vec<Finding> {
    with(facts, none_to_judge, |trust| {
        let date = trust.root_exp.date();
        let left = trust.root_exp.since(facts.time.now);
        if trust.root_exp <= facts.time.now {
            Finding::broken(format!("the root expired on {date}"), ROTATE)
        } else if left < ROOT_WARNING_SECONDS {
            Finding::warning(
                format!("the root expires on {date}, in {}", lasting(left)),
                ROTATE,
            )
        } else {
            Finding::ok(format!("the root expires on {date}"))
        }
    })
}

pub(super) fn link(facts: &Facts) -> Vec<Finding> {
    asked(facts, |status| {
        let link = &status.trust_link;
        match (&link.broker, link.connected) {
            (Some(broker), true) => Finding::ok(format!("connected to {broker}")),
            (Some(broker), false) => Finding::broken(
                format!(
                    "not connected to {broker}: {}",
                    link.why.as_deref().unwrap_or("it has not tried yet")
                ),
                "edgeseal-agent status; journalctl -u edgeseal-agent -n 50",
            ),
            (None, _) => Finding::warning(
                "there is none: trust data must be brought by hand",
                "set upstream of [trust] in the configuration, or enroll by a join file",
            ),
        }
    })
}

pub(super) fn offered(facts: &Facts) -> Vec<Finding> {
    asked(facts, |status| match &status.trust_link.offered {
        None => Finding::ok("nothing that is offered is refused"),
        Some(offered) => {
            let number = |what: &str, number: Option<u64>| {
                number.map_or_else(String::new, |number| format!("{what} {number}, "))
            };
            let root = number("root version", offered.root_version);
            let sequence = number("manifest", offered.sequence);
            Finding::broken(
                format!(
                    "{root}{sequence}is refused: {} [{}]",
                    offered.reason, offered.code
                ),
                "the operator: edgeseal status, then edgeseal publish",
            )
        }
    })
}

pub(super) fn enrolled(facts: &Facts) -> Vec<Finding> {
    match &facts.agent {
        AgentFacts::Answered(status) if status.enrolled => {
            let device = status.engine.device.as_ref();
            let device = device.map_or_else(String::new, |id| format!(" as {id}"));
            Finding::ok(format!("this device's key is active{device}"))
        }
        AgentFacts::Answered(_) => Finding::broken(
            "this device's key is not active in the manifest in force",
            "sudo edgeseal-agent identity request -o device.request; the operator: edgeseal device add",
        ),
        _ => asked(facts, |_| Vec::new()),
    }
}

pub(super) fn state_files(facts: &Facts) -> Vec<Finding> {
    look(facts, |look| match &look.recovery {
        Recovery::None => Finding::ok(format!("both are whole, epoch {}", look.epoch)),
        Recovery::Fresh => Finding::ok("none yet, the directory is fresh"),
        Recovery::OlderGeneration { what, .. } => Finding::warning(
            format!("{what}; the other one serves, the next start repairs it"),
            "sudo systemctl restart edgeseal-agent; if it comes back, replace the card",
        ),
        Recovery::Lost { what } => Finding::broken(
            what.clone(),
            "sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service && sudo edgeseal-agent identity reset --yes, enroll anew, and replace the card",
        ),
    })
}

pub(super) fn index(facts: &Facts) -> Vec<Finding> {
    match &facts.index_octets {
        Err(why) => Finding::unknown(
            format!("it cannot be seen: {why}"),
            "sudo edgeseal-agent doctor",
        ),
        Ok(octets) if *octets > LARGE_INDEX_OCTETS => Finding::warning(
            format!("{} MiB", octets >> 20),
            format!(
                "sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service && sudo rm -r {}/index && sudo systemctl start edgeseal-agent.socket edgeseal-agent.service; it is rebuilt",
                facts.state.file.path.display()
            ),
        ),
        Ok(octets) => Finding::ok(format!("{} KiB", octets >> 10)),
    }
}

fn with(
    facts: &Facts,
    none: fn() -> Vec<Finding>,
    judge: impl Fn(InForce) -> Vec<Finding>,
) -> Vec<Finding> {
    if let Some(status) = facts.agent.status() {
        return match &status.engine.trust {
            None => none(),
            Some(trust) => judge(InForce {
                domain: trust.domain.to_string(),
                root_version: trust.root_version,
                sequence: trust.sequence,
                exp: trust.exp,
                root_exp: trust.root_exp,
                age: age_at(facts, trust.exp.min(trust.root_exp)),
            }),
        };
    }
    look(facts, |look| match &look.trust {
        Ok(None) => none(),
        Ok(Some(view)) => judge(InForce {
            domain: view.domain.to_string(),
            root_version: view.root_version,
            sequence: view.sequence,
            exp: view.expires_at,
            root_exp: view.root_expires_at,
            age: age_at(facts, view.expires_at.min(view.root_expires_at)),
        }),
        Err(why) => Finding::broken(
            format!("the trust data on disk is not in force: {why}"),
            APPLY,
        ),
    })
}

fn age_at(facts: &Facts, exp: UnixTime) -> Staleness {
    let expired_seconds = facts.time.now.since(exp);
    if facts.time.now < exp {
        Staleness::Fresh
    } else if expired_seconds < facts.grace_seconds {
        Staleness::Stale { expired_seconds }
    } else {
        Staleness::PastGrace { expired_seconds }
    }
}

fn look(facts: &Facts, judge: impl Fn(&Look) -> Vec<Finding>) -> Vec<Finding> {
    match &facts.store {
        Ok(look) => judge(look),
        Err(why) => Finding::unknown(
            format!("the state directory cannot be seen: {why}"),
            "sudo edgeseal-agent doctor",
        ),
    }
}

fn none() -> Vec<Finding> {
    Finding::broken("there is none", APPLY)
}

fn none_to_judge() -> Vec<Finding> {
    Finding::unknown("there is none that could expire", APPLY)
}

fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

const APPLY: &str = "edgeseal-agent trust apply BUNDLE (the first time with --root WORDS); the operator: edgeseal publish -o BUNDLE";
const REFRESH: &str =
    "the operator: edgeseal publish; then here: edgeseal-agent trust apply BUNDLE";
const ROTATE: &str = "the operator: edgeseal root rotate, then edgeseal publish";
const ROOT_WARNING_SECONDS: u64 = 30 * 86_400;
const LARGE_INDEX_OCTETS: u64 = 256 << 20;
