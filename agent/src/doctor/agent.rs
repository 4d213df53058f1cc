//! The running agent.

use super::{AgentFacts, Facts, Finding, RoundTrip};
use crate::daemon::AgentStatus;
use crate::wire::ErrorBody;

impl AgentFacts {
    /// What it says of itself, if it does.
    #[must_use]
    pub fn status(&self) -> Option<&AgentStatus> {
        match self {
            Self::Answered(status) => Some(status),
            _ => None,
        }
    }
}

pub(super) fn answers(facts: &Facts) -> Vec<Finding> {
    match &facts.agent {
        AgentFacts::Answered(status) => {
            Finding::ok(format!("it runs, for {} s", status.uptime_seconds))
        }
        AgentFacts::Forbidden(why) => Finding::unknown(
            format!("it runs, but tells this user nothing: {why}"),
            "sudo edgeseal-agent doctor; or grant this user the verb \"status\" in [[api.caller]]",
        ),
        AgentFacts::Mute(why) => Finding::broken(why.clone(), "journalctl -u edgeseal-agent -n 50"),
        AgentFacts::NotRunning(why) => Finding::broken(
            why.clone(),
            "sudo systemctl enable --now edgeseal-agent; if it ends: journalctl -u edgeseal-agent -n 50",
        ),
    }
}

pub(super) fn version(facts: &Facts) -> Vec<Finding> {
    asked(facts, |status| {
        let own = env!("CARGO_PKG_VERSION");
        if status.version == own {
            Finding::ok(own)
        } else {
            Finding::warning(
                format!("{} runs, {own} is installed", status.version),
                "sudo systemctl restart edgeseal-agent",
            )
        }
    })
}

pub(super) fn signing(facts: &Facts) -> Vec<Finding> {
    asked(facts, |status| {
        able("it signs", status.engine.signing.as_ref())
    })
}

pub(super) fn verifying(facts: &Facts) -> Vec<Finding> {
    asked(facts, |status| {
        able("it verifies", status.engine.verifying.as_ref())
    })
}

pub(super) fn round_trip(facts: &Facts) -> Vec<Finding> {
    match &facts.round_trip {
        RoundTrip::Done(topic) => Finding::ok(format!("signed and verified on {topic}")),
        RoundTrip::Failed(why) => Finding::broken(
            why.clone(),
            "edgeseal-agent status; journalctl -u edgeseal-agent -n 50",
        ),
        RoundTrip::NotTried(why) => Finding::unknown(
            format!("not tried: {why}"),
            "repair what is said above, then sudo edgeseal-agent doctor",
        ),
    }
}

/// What only the running agent can tell.
pub(super) fn asked(facts: &Facts, judge: impl Fn(&AgentStatus) -> Vec<Finding>) -> Vec<Finding> {
    match facts.agent.status() {
        Some(status) => judge(status),
        None => Finding::unknown(
            "only the running agent can tell",
            "sudo systemctl start edgeseal-agent, then sudo edgeseal-agent doctor",
        ),
    }
}

fn able(yes: &str, why_not: Option<&ErrorBody>) -> Vec<Finding> {
    let Some(body) = why_not else {
        return Finding::ok(yes);
    };
    let what = format!("{} [{}]", body.reason, body.code);
    let hint = body.hint.as_deref();
    Finding::broken(what, hint.unwrap_or("edgeseal-agent status").to_owned())
}
