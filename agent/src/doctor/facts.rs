//! What was seen of a device.

use crate::clock::Synchronization;
use crate::config::Warning;
use crate::daemon::AgentStatus;
use edgeseal_doctor::{MachineFacts, Space};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::store::Look;
use edgeseal_trust::time::UnixTime;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Something that was seen, or why it was not, as the end of the sentence "cannot be seen: ...".
pub type Seen<T> = Result<T, String>;

/// Everything that [`super::examine`] judges.
#[derive(Debug)]
pub struct Facts {
    /// Whether this process is root, who sees everything.
    pub is_root: bool,
    /// How the configuration was read. Where it is wrong the defaults were looked at.
    pub configuration: ConfigurationFacts,
    /// The state directory.
    pub state: DirectoryFacts,
    /// The runtime directory.
    pub runtime: DirectoryFacts,
    /// Uid of the service's user, where there is one of that name.
    pub service_uid: Option<u32>,
    /// The identity.
    pub identity: IdentityFacts,
    /// Join files that lie on the boot partition.
    pub join_files: Vec<PathBuf>,
    /// The clock.
    pub time: TimeFacts,
    /// Seconds of grace for expired trust data.
    pub grace_seconds: u64,
    /// Whether the configuration lets this device work on an unsynchronized clock.
    pub unsynchronized_allowed: bool,
    /// The store, looked at from outside.
    pub store: Seen<Look>,
    /// Octets of the index on disk.
    pub index_octets: Seen<u64>,
    /// What the running agent says.
    pub agent: AgentFacts,
    /// A message that was signed and verified.
    pub round_trip: RoundTrip,
    /// Each broker of the configuration.
    pub brokers: Vec<BrokerFacts>,
    /// Each listener of the configuration.
    pub listeners: Vec<ListenerFacts>,
    /// What systemd says of the unit; nothing where there is no systemd.
    pub service: Option<BTreeMap<String, String>>,
    /// The agent's process.
    pub process: Option<ProcessFacts>,
    /// The machine.
    pub machine: MachineFacts,
}

/// How the configuration was read.
#[derive(Debug, Default)]
pub struct ConfigurationFacts {
    /// Path of the main file.
    pub path: PathBuf,
    /// What is wrong: place and sentence.
    pub problems: Vec<String>,
    /// Whether it could not be read because this user may not.
    pub forbidden: bool,
    /// What may not be meant.
    pub warnings: Vec<Warning>,
    /// The files that it was read from.
    pub files: Vec<FileFacts>,
    /// Files that hold a key or a password.
    pub secrets: Vec<FileFacts>,
}

/// A file or a directory.
#[derive(Clone, Debug)]
pub struct FileFacts {
    /// Its path.
    pub path: PathBuf,
    /// Owner, group, permission bits, type; nothing where there is none.
    pub found: Seen<Option<Ownership>>,
}

/// Whose something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ownership {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits, type left out.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// A directory and the file system that it lies on.
#[derive(Clone, Debug)]
pub struct DirectoryFacts {
    /// The directory.
    pub file: FileFacts,
    /// Its file system, where it is there.
    pub space: Option<Space>,
}

/// The identity.
#[derive(Clone, Debug)]
pub enum IdentityFacts {
    /// It was loaded.
    Loaded {
        /// The key's name.
        kid: KeyId,
        /// How this board differs from the one that it was made on.
        mismatch: Option<String>,
        /// Whether its file is not encrypted although a passphrase for it is given.
        in_the_clear: bool,
    },
    /// It cannot be used.
    Unusable {
        /// Stable short code.
        code: &'static str,
        /// In a sentence.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// It may not be seen.
    Unseen(String),
}

/// The clock.
#[derive(Clone, Debug)]
pub struct TimeFacts {
    /// Now.
    pub now: UnixTime,
    /// What the kernel says of it.
    pub synchronization: Result<Synchronization, String>,
    /// When this version was released.
    pub released: UnixTime,
    /// The time service that runs, by name.
    pub service: Option<&'static str>,
}

/// What the running agent says.
#[derive(Debug)]
pub enum AgentFacts {
    /// Its status.
    Answered(Box<AgentStatus>),
    /// It runs, but this user may not ask it for that.
    Forbidden(String),
    /// It runs, or something else does, but gives no answer to work with.
    Mute(String),
    /// It does not run.
    NotRunning(String),
}

/// A message that was signed and verified.
#[derive(Clone, Debug)]
pub enum RoundTrip {
    /// Signed and verified, on this topic.
    Done(String),
    /// One of the two was refused.
    Failed(String),
    /// It was not tried.
    NotTried(String),
}

/// A broker.
#[derive(Clone, Debug)]
pub struct BrokerFacts {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether a connection was made.
    pub reached: Result<(), String>,
    /// Whether its certificate was believed; nothing without TLS or connection.
    pub tls: Option<Result<(), String>>,
    /// Whether it let this device in.
    pub login: LoginFacts,
}

/// Whether a broker let this device in.
#[derive(Clone, Debug)]
pub enum LoginFacts {
    /// It did.
    Accepted,
    /// It did not.
    Refused(String),
    /// It was not tried.
    NotTried(String),
}

/// A listener of the gateway.
#[derive(Clone, Debug)]
pub struct ListenerFacts {
    /// Its name in the configuration.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Whether a connection was made.
    pub reached: Result<(), String>,
}

/// The agent's process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFacts {
    /// Octets that it caused to be written to disks since it started.
    pub written_octets: Option<u64>,
    /// Octets of its memory that are resident.
    pub resident_octets: Option<u64>,
}

/// What was seen of a card that is to be copied.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// Files of the state directory that belong to one device.
    pub own: Seen<Vec<PathBuf>>,
    /// Text of `/etc/machine-id`; nothing where there is no such file.
    pub machine_id: Seen<Option<String>>,
    /// Join files and results on the boot partition.
    pub join_files: Vec<PathBuf>,
    /// Whether the agent runs: it would make state anew.
    pub agent_runs: bool,
    /// Whether the service starts at boot.
    pub enabled: Option<bool>,
}
