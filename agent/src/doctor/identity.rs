//! This device's key, and whose board it is on.

use super::{Facts, Finding, IdentityFacts, State};
use edgeseal_trust::key::KeyId;

pub(super) fn present(facts: &Facts) -> Vec<Finding> {
    if let Some(kid) = by_credential(facts) {
        return Finding::ok(format!("key {kid}, which the service has by a credential"));
    }
    match &facts.identity {
        IdentityFacts::Loaded {
            kid,
            in_the_clear: true,
            ..
        } => Finding::warning(
            format!(
                "key {kid}, which lies in the clear although the service has a passphrase for it"
            ),
            "encrypt identity.pem or make a new key, as /usr/share/doc/edgeseal-agent/examples/credentials.conf says",
        ),
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
        IdentityFacts::Unusable { .. } if by_credential(facts).is_some() => Finding::unknown(
            "the service has the key by a credential and compares the board itself",
            "edgeseal-agent status",
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

/// The key of the running agent, where nobody else can read it.
fn by_credential(facts: &Facts) -> Option<KeyId> {
    let IdentityFacts::Unusable { code, .. } = &facts.identity else {
        return None;
    };
    let is_elsewhere = matches!(
        *code,
        "no-identity" | "identity-passphrase" | "identity-record"
    );
    facts.agent.status().filter(|_| is_elsewhere)?.engine.kid
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
