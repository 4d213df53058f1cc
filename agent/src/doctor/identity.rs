//! This device's key, and whose board it is on.

use super::State;
use super::{Facts, Finding, IdentityFacts};

pub(super) fn present(facts: &Facts) -> Vec<Finding> {
    match &facts.identity {
        IdentityFacts::Loaded { kid, .. } => Finding::ok(format!("key {kid}")),
        IdentityFacts::Unusable { reason, hint, .. } => {
            Finding::broken(reason.clone(), format!("sudo {}", command_of(hint)))
        }
        IdentityFacts::Unseen(why) => unseen(why),
    }
}

pub(super) fn board(facts: &Facts) -> Vec<Finding> {
    match &facts.identity {
        IdentityFacts::Loaded { mismatch: None, .. } => {
            Finding::ok("the one that the key was made on")
        }
        IdentityFacts::Loaded {
            mismatch: Some(what),
            ..
        } => Finding::broken(
            format!("{what}: this card was copied, or moved to another board"),
            "sudo systemctl stop edgeseal-agent.socket edgeseal-agent.service && sudo edgeseal-agent identity reset --yes && sudo systemctl start edgeseal-agent.socket edgeseal-agent.service; then enroll this device anew",
        ),
        IdentityFacts::Unusable { .. } => Finding::unknown(
            "there is no key that could belong to a board",
            "sudo edgeseal-agent init",
        ),
        IdentityFacts::Unseen(why) => unseen(why),
    }
}

pub(super) fn join_file(facts: &Facts) -> Vec<Finding> {
    let enrolled = facts.agent.status().is_some_and(|status| status.enrolled);
    if facts.join_files.is_empty() {
        return Finding::ok("none lies on the boot partition");
    }
    let all = facts.join_files.iter().map(|path| {
        let path = path.display();
        if enrolled {
            let what = format!("{path} still lies there, although this device is enrolled");
            return Finding::new(State::Warning, what, format!("sudo shred -u {path}"));
        }
        Finding::new(
            State::Unknown,
            format!("{path} waits to be used"),
            "journalctl -u edgeseal-agent; it is used when the agent reaches the broker",
        )
    });
    all.collect()
}

fn unseen(why: &str) -> Vec<Finding> {
    Finding::unknown(
        format!("the identity cannot be seen: {why}"),
        "sudo edgeseal-agent doctor",
    )
}

/// Hints say "make one: COMMAND" or the command alone.
fn command_of(hint: &str) -> &str {
    hint.split_once(": ").map_or(hint, |(_, command)| command)
}
