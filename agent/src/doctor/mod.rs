//! `edgeseal-agent doctor`: what is wrong with this device, why it matters, and the command that
//! repairs it.
//!
//! [`gather`] looks at files, the kernel, the service manager, the running agent and the brokers, and
//! changes nothing. [`examine`] judges what was seen: pure, the same facts give the same report. What
//! may not be seen by this user is *unknown*, never *ok*.

mod agent;
mod broker;
mod bundle;
mod clock;
mod configuration;
mod disk;
mod facts;
mod gather;
mod identity;
mod image;
mod machine;
mod service;
#[cfg(test)]
mod tests;
mod trust;

pub use bundle::bundle;
pub use edgeseal_doctor::{Entry, MachineFacts, Redactor, Report, Space, State};
pub use facts::{
    AgentFacts, BrokerFacts, ConfigurationFacts, DirectoryFacts, Facts, FileFacts, IdentityFacts,
    ImageFacts, ListenerFacts, LoginFacts, ProcessFacts, RoundTrip, Seen, TimeFacts,
};
pub use gather::{gather, gather_image};

use edgeseal_doctor::{Check, Finding};

/// Judges what was seen of a device.
#[must_use]
pub fn examine(facts: &Facts) -> Report {
    edgeseal_doctor::examine(CHECKS, facts)
}

/// Judges whether a card may be copied to many devices.
#[must_use]
pub fn examine_image(facts: &ImageFacts) -> Report {
    edgeseal_doctor::examine(image::CHECKS, facts)
}

/// Every check, in the order in which things are best repaired.
const CHECKS: &[Check<Facts>] = &[
    Check {
        name: "configuration",
        why: "a configuration with a mistake is not used at all: the agent does not start, or keeps the old one",
        judge: configuration::loads,
    },
    Check {
        name: "configuration-meaning",
        why: "it is right, but may not mean what was meant",
        judge: configuration::meaning,
    },
    Check {
        name: "configuration-files",
        why: "who can write the configuration decides who may sign as this device",
        judge: configuration::files,
    },
    Check {
        name: "secret-files",
        why: "who can read a key or a password can use it",
        judge: configuration::secrets,
    },
    Check {
        name: "state-directory",
        why: "identity, trust data and counters lie there; nobody but the agent may touch them",
        judge: disk::state_directory,
    },
    Check {
        name: "state-durable",
        why: "counters that a power cut takes back are used twice: such a device must not sign",
        judge: disk::durable,
    },
    Check {
        name: "state-writable",
        why: "a boot epoch must be written before the first signature",
        judge: disk::writable,
    },
    Check {
        name: "disk-space",
        why: "trust data that cannot be stored cannot be applied: revocations would not arrive",
        judge: disk::space,
    },
    Check {
        name: "runtime-directory",
        why: "the memory against replays lies there and is written with every message: on flash it would wear the card",
        judge: disk::runtime_directory,
    },
    Check {
        name: "identity",
        why: "without its own key this device can sign nothing",
        judge: identity::present,
    },
    Check {
        name: "board",
        why: "a copied card must not sign in the name of the device that it was copied from",
        judge: identity::board,
    },
    Check {
        name: "join-file",
        why: "a join file holds a secret that can enroll one device",
        judge: identity::join_file,
    },
    Check {
        name: "clock",
        why: "a device that does not know the time cannot tell an old message from a new one",
        judge: clock::synchronized,
    },
    Check {
        name: "clock-floor",
        why: "no right clock shows less than the time at which the trust data was signed",
        judge: clock::floor,
    },
    Check {
        name: "time-service",
        why: "most boards have no clock battery: somebody must tell them the time after each start",
        judge: clock::service,
    },
    Check {
        name: "trust",
        why: "without trust data there is nobody to believe",
        judge: trust::in_force,
    },
    Check {
        name: "trust-age",
        why: "old trust data does not know who was revoked since; past its grace period everything is refused",
        judge: trust::age,
    },
    Check {
        name: "root-age",
        why: "when the root expires the whole trust data counts as expired",
        judge: trust::root_age,
    },
    Check {
        name: "trust-link",
        why: "new trust data, revocations among it, comes over it",
        judge: trust::link,
    },
    Check {
        name: "trust-offered",
        why: "trust data that is offered and refused never comes into force, so that this device falls behind",
        judge: trust::offered,
    },
    Check {
        name: "enrolled",
        why: "peers believe only keys that the registry lists as active",
        judge: trust::enrolled,
    },
    Check {
        name: "state-files",
        why: "they keep counters from going back; if both are lost this device may not sign",
        judge: trust::state_files,
    },
    Check {
        name: "index",
        why: "it finds a peer's key; when it is damaged it is rebuilt, and one that grows without end fills the card",
        judge: trust::index,
    },
    Check {
        name: "agent",
        why: "programs sign and verify through it",
        judge: agent::answers,
    },
    Check {
        name: "agent-version",
        why: "an agent that was not restarted since an upgrade runs the old program",
        judge: agent::version,
    },
    Check {
        name: "signing",
        why: "what this device sends is refused by its peers unless it is signed",
        judge: agent::signing,
    },
    Check {
        name: "verifying",
        why: "what its peers send reaches no program here unless it can be judged",
        judge: agent::verifying,
    },
    Check {
        name: "round-trip",
        why: "a message that this device signs must be one that it would believe itself",
        judge: agent::round_trip,
    },
    Check {
        name: "broker",
        why: "messages and trust data travel through it",
        judge: broker::reached,
    },
    Check {
        name: "broker-tls",
        why: "a broker whose certificate cannot be judged is not spoken to",
        judge: broker::tls,
    },
    Check {
        name: "broker-login",
        why: "a broker that does not let this device in carries nothing for it",
        judge: broker::login,
    },
    Check {
        name: "listener",
        why: "programs of this device connect there",
        judge: broker::listeners,
    },
    Check {
        name: "service",
        why: "the agent must start by itself after a power cut",
        judge: service::unit,
    },
    Check {
        name: "service-restarts",
        why: "an agent that ends again and again loses time and may hide a fault",
        judge: service::restarts,
    },
    Check {
        name: "service-sandbox",
        why: "a fault in the agent must not become a fault of the whole machine",
        judge: service::sandbox,
    },
    Check {
        name: "memory",
        why: "when memory runs out the kernel ends programs",
        judge: machine::memory,
    },
    Check {
        name: "architecture",
        why: "a program for another processor is slow, or dies with \"Illegal instruction\"",
        judge: machine::architecture,
    },
    Check {
        name: "flash-writes",
        why: "each write wears the card",
        judge: machine::flash_writes,
    },
];
