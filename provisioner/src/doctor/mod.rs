//! `edgeseal doctor`: what is wrong with the registry, the keys, the broker and this machine, why it matters, and the command
//! that repairs it.
//!
//! [`gather`] looks and changes nothing; [`examine`] judges what was seen, and is pure.

mod broker;
mod bundle;
mod facts;
mod gather;
mod keys;
mod machine;
mod published;
mod registry;
#[cfg(test)]
mod tests;
mod waiting;

pub(crate) use bundle::bundle;
pub(crate) use facts::Facts;
pub(crate) use gather::gather;

use crate::error::CommandError;
use edgeseal_doctor::{Check, Finding, Report};
use facts::RegistryFacts;

/// Judges what was seen.
pub(crate) fn examine(facts: &Facts) -> Report {
    edgeseal_doctor::examine(CHECKS, facts)
}

/// What an error says that a command would end with, as a finding.
fn broken(why: &CommandError) -> Vec<Finding> {
    Finding::broken(&why.reason, repair(why))
}

/// The hint of an error: most of them begin with the command.
fn repair(why: &CommandError) -> String {
    let hint = why.hint.clone();
    hint.unwrap_or_else(|| "edgeseal doctor, when it is repaired".to_owned())
}

/// Judges something of an open registry.
fn in_registry(facts: &Facts, judge: impl FnOnce(&RegistryFacts) -> Vec<Finding>) -> Vec<Finding> {
    match &facts.registry {
        Ok(registry) => judge(registry),
        Err(_) => Finding::unknown("the registry cannot be opened", "edgeseal status"),
    }
}

/// Judges something that could be read, or says why it could not.
fn readable<T>(
    found: &crate::error::Result<T>,
    judge: impl FnOnce(&T) -> Vec<Finding>,
) -> Vec<Finding> {
    match found {
        Ok(found) => judge(found),
        Err(why) => broken(why),
    }
}

/// Every check, in the order in which things are best repaired.
const CHECKS: &[Check<Facts>] = &[
    Check {
        name: "registry",
        why: "it says who belongs to the domain; without it nothing can be changed or published",
        judge: registry::opens,
    },
    Check {
        name: "registry-files",
        why: "who can write the registry decides whom the next manifest makes the fleet believe",
        judge: registry::files,
    },
    Check {
        name: "keys-in-registry",
        why: "the registry is made to be copied and shared, a private key is not",
        judge: registry::keys_inside,
    },
    Check {
        name: "registry-writable",
        why: "what cannot be written cannot be changed: nobody could be revoked",
        judge: registry::writable,
    },
    Check {
        name: "disk-space",
        why: "a publish needs room for its shards, and for a copy of what it replaces",
        judge: registry::space,
    },
    Check {
        name: "root-chain",
        why: "a device accepts a root only where the one before it has signed it",
        judge: registry::chain,
    },
    Check {
        name: "root-threshold",
        why: "when so many root keys are lost that the rest cannot sign, the domain cannot be repaired",
        judge: registry::threshold,
    },
    Check {
        name: "root-age",
        why: "when the root expires the whole trust data counts as expired",
        judge: registry::root_age,
    },
    Check {
        name: "history",
        why: "journal and signed manifests prove each other; where they disagree somebody changed one",
        judge: registry::history,
    },
    Check {
        name: "clock",
        why: "a manifest with a wrong time expires too early, or not when it should",
        judge: machine::clock,
    },
    Check {
        name: "clock-floor",
        why: "no right clock shows less than the time at which the last manifest was signed",
        judge: machine::floor,
    },
    Check {
        name: "registrar-keys",
        why: "without a registrar key nothing can be published, and nobody revoked",
        judge: keys::present,
    },
    Check {
        name: "keys-place",
        why: "a private key in a registry or a git work tree is copied sooner or later",
        judge: keys::place,
    },
    Check {
        name: "key-passphrase",
        why: "who copies a key file that has no passphrase can publish as you",
        judge: keys::passphrase,
    },
    Check {
        name: "key-named",
        why: "devices believe only the registrar keys that the root names",
        judge: keys::named,
    },
    Check {
        name: "root-keys",
        why: "root keys repair everything else; on a machine that is online they are stolen with it",
        judge: keys::root,
    },
    Check {
        name: "published",
        why: "what was published last is handed out again and again, and must be whole",
        judge: published::whole,
    },
    Check {
        name: "manifest-age",
        why: "when the manifest expires devices call it stale, and past their grace period refuse everything",
        judge: published::age,
    },
    Check {
        name: "unpublished",
        why: "a change that is not published does not exist for any device: a revocation neither",
        judge: published::changes,
    },
    Check {
        name: "prepared",
        why: "a manifest that lacks signatures is believed by nobody",
        judge: published::prepared,
    },
    Check {
        name: "pending",
        why: "a device that waits for you belongs to nobody yet",
        judge: waiting::requests,
    },
    Check {
        name: "approvals",
        why: "what several persons must approve is not published before they have",
        judge: waiting::approvals,
    },
    Check {
        name: "join-tokens",
        why: "a card whose join token has ended enrolls no more; one that others try is worth a look",
        judge: waiting::tokens,
    },
    Check {
        name: "broker-settings",
        why: "a broker carries what is published to the devices",
        judge: broker::settings,
    },
    Check {
        name: "broker",
        why: "what does not reach the broker reaches no device",
        judge: broker::reached,
    },
    Check {
        name: "broker-tls",
        why: "a broker whose certificate cannot be judged is not spoken to; without TLS everybody on the way reads the password",
        judge: broker::tls,
    },
    Check {
        name: "broker-login",
        why: "a broker that does not let you in carries nothing for you",
        judge: broker::login,
    },
    Check {
        name: "broker-link",
        why: "a link that ends on the way carries only a part of what is published",
        judge: broker::link,
    },
    Check {
        name: "broker-sequence",
        why: "devices apply what the broker has: behind it, they miss what you decided; ahead of it, somebody else publishes",
        judge: broker::sequence,
    },
    Check {
        name: "broker-shards",
        why: "a manifest without its shards cannot be applied",
        judge: broker::shards,
    },
    Check {
        name: "fleet",
        why: "a device that has not applied a revocation still believes who was revoked",
        judge: waiting::fleet,
    },
    Check {
        name: "backup",
        why: "a registry that is lost is a fleet that must be enrolled anew",
        judge: waiting::backup,
    },
    Check {
        name: "units",
        why: "what runs unattended fails unattended",
        judge: machine::units,
    },
    Check {
        name: "architecture",
        why: "a program for another processor is slow, or dies with \"Illegal instruction\"",
        judge: machine::architecture,
    },
];
