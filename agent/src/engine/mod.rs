//! The heart of the daemon, without sockets, files and clock: what signs, verifies and explains.
//!
//! Everything is synchronous and takes `now`. One thing may be slow, a key that is not in memory:
//! then a verification answers [`Step::NeedsKey`], the edge loads the key where blocking does no
//! harm and asks again with it.

mod counts;
mod draft;
mod explain;
mod keys;
mod outcome;
mod report;
mod resend;
mod sign;
mod signer;
mod status;
#[cfg(test)]
mod tests;
mod verify;

pub use counts::Counts;
pub use draft::{Lifetime, Minted, SignDraft};
pub use keys::{KeyLookup, KeySource, KeyTable, KeyTicket, LoadedKey, Step, complete};
pub use outcome::{NotSigned, SignBlock, SignFailure, SignRefusal};
pub use report::{Report, SignedStatus};
pub use signer::Signing;
pub use status::{SigningStatus, Status, StatusCounts, TrustStatus};

use edgeseal_trust::clock::{ClockReading, ClockState, Floor, Now};
use edgeseal_trust::id::DeviceId;
use edgeseal_trust::limits;
use edgeseal_trust::registry::{Device, KeyState, PeerKey, TrustView};
use edgeseal_trust::replay::{ConsumerId, ReplayMemory};
use edgeseal_trust::status::Refused;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Failure, Receiver, Unsynchronized};
use report::Alarms;
use signer::Signer;
use std::sync::Arc;
use std::time::Duration;

/// What configuration says of signing and judging.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// When this program was released: the clock's lowest floor.
    pub release: UnixTime,
    /// Tolerance for clock error, in seconds; at most 60 count.
    pub leeway_seconds: u64,
    /// How long expired trust data still counts, in seconds.
    pub grace_seconds: u64,
    /// Whether an unsynchronized clock counts.
    pub unsynchronized: Unsynchronized,
    /// Lifetime of a message token when its caller asks for none, in seconds.
    pub message_lifetime_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            release: UnixTime::from_seconds(0),
            leeway_seconds: limits::LEEWAY_DEFAULT_SECONDS,
            grace_seconds: GRACE_DEFAULT_SECONDS,
            unsynchronized: Unsynchronized::Refuse,
            message_lifetime_seconds: limits::MESSAGE_LIFETIME_DEFAULT_SECONDS,
        }
    }
}

/// The trust data in force as one whole: view and keys are always of the same manifest.
pub struct InForce {
    /// What the manifest says.
    pub view: Arc<TrustView>,
    /// This device's own entry, where its key is in the registry.
    pub own: Option<Own>,
    /// The keys in the registry.
    pub keys: Box<dyn KeySource + Send>,
}

/// What the registry says of this device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Own {
    /// The device.
    pub device: Arc<Device>,
    /// The state of its key.
    pub key_state: KeyState,
}

impl From<&PeerKey> for Own {
    fn from(key: &PeerKey) -> Self {
        Self {
            device: Arc::clone(&key.device),
            key_state: key.state,
        }
    }
}

/// What signs, verifies and explains.
pub struct Engine {
    settings: Settings,
    in_force: Option<InForce>,
    noted: Option<UnixTime>,
    signer: Signer,
    memory: Option<ReplayMemory>,
    counts: Counts,
    last_refusal: Option<Refused>,
    alarms: Alarms,
}

impl Engine {
    /// An engine without trust data. Without `memory` replays go unnoticed: for one-off checks.
    #[must_use]
    pub fn new(settings: Settings, signing: Signing, memory: Option<ReplayMemory>) -> Self {
        Self {
            settings,
            in_force: None,
            noted: None,
            signer: Signer::new(signing),
            memory,
            counts: Counts::default(),
            last_refusal: None,
            alarms: Alarms::default(),
        }
    }

    /// Other settings, from the next call on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Another manifest in force, or none any more, from the next call on.
    pub fn set_in_force(&mut self, in_force: Option<InForce>) {
        self.signer.follow(in_force.as_ref());
        self.in_force = in_force;
    }

    /// Whether and with what this device signs, after a change of its identity. Counters begin
    /// anew, so the epoch must be one that no token has carried.
    pub fn set_signing(&mut self, signing: Signing) {
        self.signer = Signer::new(signing);
        self.signer.follow(self.in_force.as_ref());
    }

    /// The time that this device noted last.
    pub fn set_noted_time(&mut self, noted: Option<UnixTime>) {
        self.noted = noted;
    }

    /// The floor of the clock: release, manifest in force, noted time.
    #[must_use]
    pub fn floor(&self) -> Floor {
        Floor {
            release: self.settings.release,
            manifest: self.view().map(|view| view.issued_at),
            noted: self.noted,
        }
    }

    /// What a reading of the clock is worth.
    #[must_use]
    pub fn now(&self, reading: ClockReading) -> Now {
        self.floor().judge(reading)
    }

    /// The trust data in force.
    #[must_use]
    pub fn view(&self) -> Option<&TrustView> {
        self.in_force.as_ref().map(|in_force| &*in_force.view)
    }

    /// This device's name in the registry, where its key is there.
    #[must_use]
    pub fn device(&self) -> Option<&DeviceId> {
        let own = self.in_force.as_ref()?.own.as_ref()?;
        Some(&own.device.id)
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Lets the replay memory know since when it remembers, by the time since the start of this
    /// process on a clock that nobody can set. Only a clock that [`Engine::vouches`] for tells.
    pub fn remember_since(&mut self, now: &Now, since_start: Duration) {
        let vouches = self.vouches(now.clock);
        if let Some(memory) = self.memory.as_mut().filter(|_| vouches) {
            memory.set_start(now.time.minus(since_start.as_secs()));
        }
    }

    /// Whether a clock in this state is believed to say when something was: a synchronized one, and one that
    /// nobody synchronizes where the owner of this device says so.
    #[must_use]
    pub fn vouches(&self, clock: ClockState) -> bool {
        match clock {
            ClockState::Synchronized => true,
            ClockState::Unsynchronized => self.settings.unsynchronized == Unsynchronized::Allow,
            ClockState::BehindFloor => false,
        }
    }

    /// Makes a consumer known to the replay memory before its first message.
    ///
    /// # Errors
    /// [`Failure::MemoryFull`] where there is no room for one more, or its user has its share.
    pub fn introduce(&mut self, consumer: &ConsumerId, now: &Now) -> Result<(), Failure> {
        if self.crowds_others(consumer) {
            return Err(verify::CROWDED);
        }
        match &mut self.memory {
            Some(memory) => memory.introduce(consumer, now.time),
            None => Ok(()),
        }
    }

    /// The replay memory, for the edge that keeps it in a file: a verdict may be used only when
    /// its changes are stored.
    pub fn memory(&mut self) -> Option<&mut ReplayMemory> {
        self.memory.as_mut()
    }
}

/// The consumer of a program with this user id that calls the local API, by the name that it gave.
#[must_use]
pub fn api_consumer(uid: u32, name: Option<&str>) -> ConsumerId {
    match name {
        Some(name) => format!("api:{uid}:{name}").into(),
        None => format!("api:{uid}").into(),
    }
}

fn receiver<'a>(settings: &Settings, in_force: &'a InForce) -> Receiver<'a> {
    let device = in_force.own.as_ref().map(|own| &own.device);
    Receiver {
        trust: &in_force.view,
        device: device.map(|device| &device.id),
        groups: device.map_or(&[], |device| &device.groups),
        leeway_seconds: settings.leeway_seconds,
        grace_seconds: settings.grace_seconds,
        unsynchronized: settings.unsynchronized,
    }
}

/// One week, as in the configuration.
const GRACE_DEFAULT_SECONDS: u64 = 604_800;
