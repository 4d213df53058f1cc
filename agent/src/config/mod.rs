//! Configuration: one TOML file, drop-ins beside it, then the environment.
//!
//! Later sources win, value by value: the main file, `config.d/*.toml` beside it in lexical order,
//! then variables `EDGESEAL_SECTION__KEY` (for example `EDGESEAL_API__MAX_CONNECTIONS=32`).
//! Entries (`[[api.caller]]`, `[[gateway.listener]]`, `[[gateway.upstream]]`, `[[rule]]`) are the
//! exception: they add up over all files, so that each program's package can ship a drop-in of its
//! own.
//!
//! Unknown keys, wrong types and values out of range are refused with file, line and column, and
//! all problems of a load are reported together. A configuration is complete or it is not used:
//! [`load`] returns no half-read one.

mod callers;
mod document;
mod entry;
mod environment;
mod error;
mod files;
mod gateway;
mod names;
mod schema;
mod suggest;
#[cfg(test)]
mod tests;
mod who;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

pub use callers::{Audiences, Caller, Peer, Permissions, Rate, Verb};
pub use error::{ConfigError, MAX_PROBLEMS, Place, Problem, ProblemCode};
pub use files::{Location, SourceFile, Sources, read_sources};
pub use gateway::{
    ClientCertificate, ClientIdTemplate, Credentials, GatewayConfig, ListenAddress, ListenerConfig,
    LocalIdentity, LocalUser, TlsConfig, UpstreamConfig, UpstreamUrl, UpstreamVersion, Warning,
    warnings,
};
pub use names::{NameDatabase, Names, Resolved, resolve};

use document::Draft;

/// Reads, checks and completes the configuration from its files and the environment of this
/// process.
///
/// # Errors
/// Everything that is wrong, in one [`ConfigError`]; nothing is applied then.
pub fn load(location: &Location) -> Result<Loaded, ConfigError> {
    load_from(&read_sources(location), &NameDatabase::of_system())
}

/// Like [`load`], from sources already read: same input, same result.
///
/// # Errors
/// Everything that is wrong with the sources, in one [`ConfigError`].
pub fn load_from(sources: &Sources, names: &NameDatabase) -> Result<Loaded, ConfigError> {
    let mut draft = Draft::new(sources.problems.clone());
    for file in &sources.files {
        document::read(&mut draft, file);
    }
    environment::read(&mut draft, &sources.environment);
    draft.finish(names, sources)
}

/// Every setting of a loaded configuration with its value and where it comes from, in the order of
/// the documentation.
#[must_use]
pub fn describe(loaded: &Loaded) -> Vec<Setting> {
    let mut settings: Vec<Setting> = schema::KEYS
        .iter()
        .map(|key| Setting {
            key: key.dotted(),
            value: (key.show)(&loaded.config),
            origin: loaded.origin_of(&key.dotted()),
        })
        .collect();
    for (index, caller) in loaded.config.api.callers.iter().enumerate() {
        settings.push(Setting {
            key: format!("api.caller[{index}]"),
            value: caller.to_string(),
            origin: caller.origin.clone(),
        });
    }
    for (key, value, stated) in loaded.config.gateway.entries() {
        settings.push(Setting {
            key,
            value,
            origin: loaded.origin_of(&stated),
        });
    }
    settings
}

/// A configuration that passed every check, and where each of its values comes from. The default is
/// what holds when no file and no variable says otherwise.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The files that were read, in order. Empty when there is none and defaults hold.
    pub files: Vec<PathBuf>,
    origins: BTreeMap<String, Origin>,
}

/// One line of `config show`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Setting {
    /// Section and key, joined by a dot.
    pub key: String,
    /// The value in force, as one would write it.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a value comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// An environment variable of this name.
    Environment(String),
    /// A file, and the line (from 1) of its key.
    File {
        /// The file's path as it was opened.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::Environment(name) => write!(out, "environment {name}"),
            Self::File { path, line } => write!(out, "{}:{line}", path.display()),
        }
    }
}

/// The agent's configuration. [`Config::default`] is what holds when no file and no variable says
/// otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// `[agent]`
    pub agent: Agent,
    /// `[api]`
    pub api: Api,
    /// `[clock]`
    pub clock: Clock,
    /// `[trust]`
    pub trust: Trust,
    /// `[token]`
    pub token: Token,
    /// `[peers]`
    pub peers: Peers,
    /// `[replay]`
    pub replay: Replay,
    /// `[enroll]`
    pub enroll: Enroll,
    /// `[log]`
    pub log: Log,
    /// `[gateway]` and `[[rule]]`
    pub gateway: GatewayConfig,
}

/// `[agent]`: where the agent keeps things.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Durable state: identity, trust documents, counters. Absolute. Default `/var/lib/edgeseal`.
    pub state_directory: PathBuf,
    /// Sockets and replay windows, on tmpfs. Absolute. Default `/run/edgeseal`.
    pub runtime_directory: PathBuf,
    /// Accept a state directory that is lost at power-off. For tests and the demo alone: a device
    /// whose counters are lost signs the same `jti` twice.
    pub dangerous_volatile_state: bool,
}

/// `[api]`: the local HTTP interface on a Unix socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    /// Path of the socket; `None` means `api.sock` in the runtime directory, see
    /// [`Config::api_socket`].
    pub socket: Option<PathBuf>,
    /// Permission bits of the socket, 0 to 0777. Default 0660.
    pub socket_mode: u32,
    /// Group that owns the socket, if not the agent's own.
    pub socket_group: Option<SocketGroup>,
    /// Connections at one time, 1 to 1,024. Default 64.
    pub max_connections: u32,
    /// Octets of one request body, 4,096 to 16 MiB. Default 1,500,000.
    pub max_body_bytes: u32,
    /// Octets of one request's head, 8,192 to 65,536. Default 16,384.
    pub max_header_bytes: u32,
    /// Seconds until an unfinished request is given up, 1 to 300. Default 10.
    pub request_timeout_seconds: u32,
    /// Who may do what, beside root and the agent's own user, who may do everything. Default:
    /// nobody.
    pub callers: Vec<Caller>,
}

/// The group that owns the API socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SocketGroup {
    /// As the configuration names it.
    pub name: String,
    /// Its number. Always present in a loaded configuration.
    pub gid: Option<u32>,
}

/// `[clock]`: how far clocks are believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Clock {
    /// Seconds of tolerance between clocks, 0 to 60. Default 10.
    pub leeway_seconds: u64,
    /// What to do while the clock is not synchronized. Default: refuse.
    pub unsynchronized: Unsynchronized,
}

/// What the agent does while its clock is not synchronized.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsynchronized {
    /// Sign and verify on whatever the clock says, as long as it is not behind the floor: for
    /// isolated networks.
    Allow,
    /// Neither sign nor verify.
    Refuse,
}

/// `[trust]`: age of trust documents, and the link over which they come.
#[derive(Clone, Debug, PartialEq)]
pub struct Trust {
    /// Seconds that an expired manifest is still used, 0 to 31,536,000 (one year). Default 604,800
    /// (one week).
    pub grace_seconds: u64,
    /// Whether trust data is fetched from a broker. Default true: where there is a broker to ask.
    pub link: bool,
    /// The `[[gateway.upstream]]` that is asked; see [`Config::trust_upstream`].
    pub upstream: Option<String>,
    /// Seconds between two reports of this device's status where nothing has changed, 60 to 86,400.
    /// Default 300.
    pub status_seconds: u32,
}

/// `[token]`: tokens this device makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// Seconds from `iat` to `exp` of a message token, 1 to 300. Default 60.
    pub lifetime_seconds: u64,
}

/// `[peers]`: memory for other devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Peers {
    /// Parsed keys kept in memory, 16 to 65,536. Default 1,024.
    pub cached_keys: u32,
}

/// `[replay]`: memory against replays.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Windows (one for each consumer and sender key), 64 to 262,144. Default 16,384.
    pub max_windows: u32,
    /// Consumers, 1 to 4,096. Default 256.
    pub max_consumers: u32,
}

/// `[enroll]`: how this device comes into its domain, and to its next key.
#[derive(Clone, Debug, PartialEq)]
pub struct Enroll {
    /// The join file; none there is normal. Absolute. Default `/boot/firmware/edgeseal/join.json`.
    pub join_file: PathBuf,
    /// Where `card-sync` hands a join file over that only root can reach; none there is normal.
    /// Absolute. Default `/run/edgeseal-card`.
    pub card_directory: PathBuf,
    /// Days after which a key is replaced, 0 (never) to 3,650. Default 0.
    pub rotate_after_days: u64,
    /// Seconds between the appearance of a new key in the manifest and its first use, 0 to 604,800:
    /// peers must have heard of it. Default 3,600.
    pub rotate_delay_seconds: u64,
}

/// `[log]`: where and how much to log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log {
    /// Default `auto`.
    pub format: LogFormat,
    /// Default `info`.
    pub level: LogLevel,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// The journal when standard error is connected to it, text otherwise.
    Auto,
    /// Structured fields for systemd's journal.
    Journald,
    /// Lines on standard error.
    Text,
}

/// The least important event that is still logged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogLevel {
    /// Steps inside operations.
    Debug,
    /// Only what stops the agent from working.
    Error,
    /// What an operator wants to know of a healthy agent.
    Info,
    /// Everything.
    Trace,
    /// What may need an operator.
    Warn,
}

impl Loaded {
    /// Where a key or an entry is stated, as `token.lifetime_seconds` or `rule[0]`.
    #[must_use]
    pub fn origin_of(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }
}

impl Config {
    /// Path of the API socket.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.api
            .socket
            .clone()
            .unwrap_or_else(|| self.agent.runtime_directory.join("api.sock"))
    }

    /// The upstream of the gateway that the trust link uses: the one that `[trust]` names, else the only
    /// one, else the one named `main`. Nothing where the broker of the join file is to be used.
    #[must_use]
    pub fn trust_upstream(&self) -> Option<&UpstreamConfig> {
        let upstreams = &self.gateway.upstreams;
        let named = |name: &str| upstreams.iter().find(|one| one.name == name);
        match (&self.trust.upstream, upstreams.as_slice()) {
            (Some(name), _) => named(name),
            (None, [only]) => Some(only),
            (None, _) => named("main"),
        }
    }
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            state_directory: PathBuf::from("/var/lib/edgeseal"),
            runtime_directory: PathBuf::from("/run/edgeseal"),
            dangerous_volatile_state: false,
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            socket: None,
            socket_mode: 0o660,
            socket_group: None,
            max_connections: 64,
            max_body_bytes: 1_500_000,
            max_header_bytes: 16_384,
            request_timeout_seconds: 10,
            callers: Vec::new(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            leeway_seconds: 10,
            unsynchronized: Unsynchronized::Refuse,
        }
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self {
            grace_seconds: 604_800,
            link: true,
            upstream: None,
            status_seconds: 300,
        }
    }
}

impl Default for Token {
    fn default() -> Self {
        Self {
            lifetime_seconds: 60,
        }
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self { cached_keys: 1024 }
    }
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            max_windows: 16_384,
            max_consumers: 256,
        }
    }
}

impl Default for Enroll {
    fn default() -> Self {
        Self {
            join_file: PathBuf::from("/boot/firmware/edgeseal/join.json"),
            card_directory: PathBuf::from("/run/edgeseal-card"),
            rotate_after_days: 0,
            rotate_delay_seconds: 3600,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Auto,
            level: LogLevel::Info,
        }
    }
}
