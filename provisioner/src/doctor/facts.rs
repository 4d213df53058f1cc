//! What was seen of the operator's machine, registry, keys and broker.

use crate::command::fleet::Glance;
use crate::command::publish::Prepared;
use crate::distribution::Standing;
use crate::error::{CommandError, Result};
use crate::mqtt::Stage;
use crate::registry::{BackedUp, TokenRecord};
use edgeseal_doctor::{MachineFacts, Space};
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::document::{Manifest, Root};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use std::path::PathBuf;

/// Everything that [`super::examine`] judges.
pub(crate) struct Facts {
    /// The clock.
    pub(super) clock: ClockReading,
    /// Whether the operator signs although the clock is not synchronized.
    pub(super) unsynchronized_clock: bool,
    /// The directory of the registry.
    pub(super) place: PlaceFacts,
    /// What is in it.
    pub(super) registry: Result<RegistryFacts>,
    /// The registrar keys; nothing where no directory was named.
    pub(super) keys: Option<KeysFacts>,
    /// The broker.
    pub(super) broker: BrokerFacts,
    /// What the agents say of themselves; nothing where no broker could be asked.
    pub(super) fleet: Option<Result<Glance>>,
    /// Units of the operator's package that the service manager knows; nothing where there is none.
    pub(super) units: Option<Vec<UnitFacts>>,
    /// The machine.
    pub(super) machine: MachineFacts,
}

/// The directory of the registry.
#[derive(Clone, Debug)]
pub(super) struct PlaceFacts {
    /// Its path.
    pub(super) dir: PathBuf,
    /// Files and directories that others than the owner may write.
    pub(super) open: Vec<PathBuf>,
    /// Private keys that lie in it.
    pub(super) keys: Vec<PathBuf>,
    /// Its file system, where it is there.
    pub(super) space: Option<Space>,
    /// Whether it lies in a git work tree.
    pub(super) is_in_git: bool,
}

/// An open registry.
pub(super) struct RegistryFacts {
    /// The trust domain.
    pub(super) domain: TrustDomain,
    /// How many devices it has.
    pub(super) devices: usize,
    /// Whether every root is signed as it and the one before it ask.
    pub(super) chain: Result<()>,
    /// The newest root.
    pub(super) root: Result<Root>,
    /// The last publish.
    pub(super) last: Result<Option<Manifest>>,
    /// Whether the last publish is signed as its root asks, and whole.
    pub(super) whole: Result<()>,
    /// Where journal and signed manifests disagree.
    pub(super) history: Result<Vec<String>>,
    /// What devices do not know yet.
    pub(super) unpublished: Result<Unpublished>,
    /// A manifest that waits for signatures.
    pub(super) prepared: Result<Option<PreparedFacts>>,
    /// Who waits for the operator.
    pub(super) waiting: Result<WaitingFacts>,
    /// What waits for approvals by several persons.
    pub(super) approvals: ApprovalsFacts,
    /// Join tokens.
    pub(super) tokens: Result<Vec<TokenRecord>>,
    /// The last backup.
    pub(super) backed_up: Result<Option<BackedUp>>,
}

/// What devices do not know yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Unpublished {
    /// Devices that changed.
    pub(super) devices: Vec<DeviceId>,
    /// Devices that were published, and are not in the registry any more.
    pub(super) lost: Vec<DeviceId>,
    /// Devices whose approvals, by which they were published, are not in the registry any more.
    pub(super) unapproved: Vec<DeviceId>,
    /// Whether roles, groups or the root changed.
    pub(super) tables: bool,
}

/// A manifest that waits for signatures.
pub(super) struct PreparedFacts {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its sequence.
    pub(super) sequence: u64,
    /// How far it has come; nothing where it can no more be published.
    pub(super) next: Option<Prepared>,
}

/// Who waits for the operator.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WaitingFacts {
    /// Requests.
    pub(super) requests: usize,
    /// How many may wait.
    pub(super) most: usize,
    /// Since when the oldest waits.
    pub(super) since: Option<UnixTime>,
}

/// What waits for approvals by several persons.
#[derive(Clone, Debug, Default)]
pub(super) struct ApprovalsFacts {
    /// Devices and changes of rules.
    pub(super) waiting: usize,
    /// The role whose rule asks for the most approvals, and for how many.
    pub(super) strictest: Option<(RoleName, u32)>,
}

/// The directories that were named for keys.
pub(super) struct KeysFacts {
    /// They.
    pub(super) dirs: Vec<PathBuf>,
    /// Whether they are a place for keys.
    pub(super) place: Result<()>,
    /// The registrar keys in them.
    pub(super) registrar: Result<Vec<KeyFacts>>,
    /// Root keys beside them.
    pub(super) root: Vec<PathBuf>,
}

/// A key file.
pub(super) struct KeyFacts {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Whether it is under a passphrase, or why it is no key.
    pub(super) is_encrypted: Result<bool>,
    /// Which key it is; nothing where no passphrase was given.
    pub(super) kid: Option<Result<KeyId>>,
}

/// The broker.
#[derive(Clone, Debug)]
pub(super) enum BrokerFacts {
    /// It was asked.
    Asked {
        /// Its address.
        url: String,
        /// How it stands to the registry, or what failed.
        standing: std::result::Result<Standing, (Stage, CommandError)>,
    },
    /// None is named, and none is set.
    NotSet,
    /// The registry must be opened first.
    Unseen,
    /// What is named or set makes no sense.
    Unusable(CommandError),
}

/// A unit of the operator's package.
#[derive(Clone, Debug)]
pub(super) struct UnitFacts {
    /// Its name.
    pub(super) name: &'static str,
    /// `active`, `inactive`, `failed` and so on.
    pub(super) state: String,
}
