//! `[gateway]`, `[[gateway.listener]]`, `[[gateway.upstream]]` and `[[rule]]`: the local MQTT
//! listeners, the brokers behind them, and what is done with a topic.
//!
//! Without a listener the gateway is off. Entries add up over all files, in the order of the files;
//! for rules the order matters.

mod drafts;
mod listener;
mod rule;
mod show;
#[cfg(test)]
mod tests;
mod upstream;
mod warnings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use edgeseal_trust::id::{Audience, DeviceId};

pub use warnings::{Warning, warnings};

pub(super) use drafts::{Drafts, read_listeners, read_rules, read_upstreams};
use drafts::{entry_name, filter, filters};

use super::SocketGroup;
use crate::gateway::password::PasswordHash;
use crate::gateway::rules::{Permissions, Rules};

/// `[gateway]` and all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayConfig {
    /// Where programs connect. Empty: the gateway is off.
    pub listeners: Vec<ListenerConfig>,
    /// Brokers; every listener's is among them.
    pub upstreams: Vec<UpstreamConfig>,
    /// What is done with a topic.
    pub rules: Arc<Rules>,
    /// Octets that all connections together may hold in their buffers, 1 MiB to 1 GiB. Default
    /// 16 MiB. At least twice `max_message_bytes`.
    pub max_buffered_bytes: u32,
    /// Octets of one packet's payload and properties, 1,024 to 256 MiB. Default 1 MiB.
    pub max_message_bytes: u32,
}

/// One `[[gateway.listener]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerConfig {
    /// Unique. Default: its number in the order of the configuration, from 1.
    pub name: String,
    /// Where it listens.
    pub address: ListenAddress,
    /// Name of its upstream. Default `main`.
    pub upstream: String,
    /// What whoever connects may do; local users may do what their own lists say beside.
    pub permissions: Permissions,
    /// The client identifier that the broker sees.
    pub client_id: ClientIdTemplate,
    /// Verified messages arrive below `verified/SENDER/`.
    pub sender_in_topic: bool,
    /// An address other than loopback is meant.
    pub allow_nonloopback: bool,
    /// Connections at one time, 1 to 1,024. Default 64.
    pub max_connections: u32,
    /// A program of version 3.1.1 is disconnected when a publish of its is refused.
    pub close_on_refused: bool,
    /// Local users. TCP: with a password; where there are any, everybody must be one of them. Unix
    /// socket: users and groups of the system, whose lists add to the listener's.
    pub users: Vec<LocalUser>,
}

/// Where a listener listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Absolute, at most 107 octets (unix(7)).
        path: PathBuf,
        /// Permission bits, 0 to 0777. Default 0660.
        mode: u32,
        /// Group that owns it, if not the agent's own.
        group: Option<SocketGroup>,
    },
}

/// One `[[gateway.listener.user]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalUser {
    /// Who it is.
    pub who: LocalIdentity,
    /// What it may do, beside what the listener's own lists grant.
    pub permissions: Permissions,
}

/// Who a local user is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LocalIdentity {
    /// Known by user name and password of its CONNECT; on TCP listeners.
    Password {
        /// The user name.
        name: String,
        /// Its password.
        hash: PasswordHash,
    },
    /// Known by the kernel (`SO_PEERCRED`, unix(7)); on Unix sockets. What is stated must hold
    /// together; never both `None`.
    System {
        /// User.
        uid: Option<u32>,
        /// Group, primary or not.
        gid: Option<u32>,
    },
}

/// The client identifier that the broker sees: text with `{client_id}` once, and `{device}`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientIdTemplate(String);

/// One `[[gateway.upstream]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamConfig {
    /// Unique. Default `main`.
    pub name: String,
    /// Where the broker is.
    pub url: UpstreamUrl,
    /// The version spoken to it.
    pub version: UpstreamVersion,
    /// How connections log in.
    pub credentials: Credentials,
    /// TLS; always with [`UpstreamUrl::Mqtts`] and only then.
    pub tls: Option<TlsConfig>,
    /// The longest keep-alive, in seconds, 5 to 65,535. Default 60.
    pub keep_alive_seconds: u16,
    /// The shortest Will Delay Interval, in seconds, 0 to 3,600. Default 10.
    pub will_delay_seconds: u32,
    /// Until a connection attempt is given up, in seconds, 1 to 300. Default 10.
    pub connect_timeout_seconds: u32,
    /// Connections are renewed before the login token ends, for brokers that end them with it. Default false.
    pub renewal: bool,
}

/// Where a broker is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UpstreamUrl {
    /// TCP without TLS.
    Mqtt {
        /// Name or address, without brackets.
        host: String,
        /// Default 1883.
        port: u16,
    },
    /// TLS.
    Mqtts {
        /// Name or address, without brackets.
        host: String,
        /// Default 8883.
        port: u16,
    },
    /// A Unix socket on this machine: absolute, at most 107 octets.
    Unix(PathBuf),
}

/// The version of MQTT spoken to a broker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum UpstreamVersion {
    /// 5, or 3.1.1 where the broker refuses 5.
    #[default]
    Auto,
    /// 3.1.1 and no other.
    V311,
}

/// How connections to a broker log in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Credentials {
    /// A login token as the password.
    Login {
        /// Begins `login:`.
        audience: Audience,
        /// User name; the device id unless stated.
        username: Option<String>,
    },
    /// Without user name and password.
    #[default]
    None,
    /// A fixed password.
    Password {
        /// User name.
        username: String,
        /// File whose first line is the password; absolute, readable by its owner alone.
        password_file: PathBuf,
    },
    /// What the program sent.
    Program,
}

/// TLS towards a broker. Files are absolute.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsConfig {
    /// Certificates (PEM) that the broker's must go back to; the system's unless stated.
    pub ca_file: Option<PathBuf>,
    /// Client certificate (PEM) and its key (PEM).
    pub client: Option<ClientCertificate>,
    /// Names of the application protocol (ALPN, RFC 7301), each of 1 to 255 octets. Default none.
    pub alpn: Vec<String>,
    /// Name that the broker's certificate must have, where it is not the host of the URL.
    pub server_name: Option<String>,
}

/// A client certificate and its key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    /// Certificate chain (PEM).
    pub certificate_file: PathBuf,
    /// Private key (PEM).
    pub key_file: PathBuf,
}

impl GatewayConfig {
    /// Whether there is a gateway at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.listeners.is_empty()
    }
}

impl ListenerConfig {
    /// Who connects with this user name and password; nothing where nobody does. Takes as long for
    /// a name that nobody has. Takes tens of milliseconds and more: not for the executor.
    #[must_use]
    pub fn authenticate(&self, name: &str, password: &[u8]) -> Option<&LocalUser> {
        let mut spare = None;
        for user in &self.users {
            if let LocalIdentity::Password { name: known, hash } = &user.who {
                if known == name {
                    return hash.verify(password).then_some(user);
                }
                spare = Some(hash);
            }
        }
        spare.and_then(|hash| {
            let _same_time = hash.verify(password);
            None
        })
    }

    /// What a process may do that the kernel says has this user and these groups.
    #[must_use]
    pub fn permissions_of(&self, uid: u32, gids: &[u32]) -> Permissions {
        self.users
            .iter()
            .filter(|user| match user.who {
                LocalIdentity::Password { .. }
                | LocalIdentity::System {
                    uid: None,
                    gid: None,
                } => false,
                LocalIdentity::System {
                    uid: wanted,
                    gid: group,
                } => {
                    wanted.is_none_or(|wanted| wanted == uid)
                        && group.is_none_or(|group| gids.contains(&group))
                }
            })
            .fold(self.permissions.clone(), |sum, user| {
                sum.added_to(&user.permissions)
            })
    }
}

impl ClientIdTemplate {
    /// Judges the text of a template.
    ///
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.matches(CLIENT_ID).count() != 1 {
            return Err("must have {client_id} in it, once");
        }
        if text
            .replace(CLIENT_ID, "")
            .replace(DEVICE, "")
            .contains(['{', '}'])
        {
            return Err("has braces around something else than {client_id} and {device}");
        }
        if text.chars().any(char::is_control) || text.len() > MAX_TEMPLATE_BYTES {
            return Err("must have at most 128 bytes without control characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The client identifier that the broker sees; nothing where the template names the device and
    /// there is none yet.
    #[must_use]
    pub fn expand(&self, client_id: &str, device: Option<&DeviceId>) -> Option<String> {
        let text = if self.0.contains(DEVICE) {
            self.0.replace(DEVICE, device?.as_str())
        } else {
            self.0.clone()
        };
        Some(text.replace(CLIENT_ID, client_id))
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ClientIdTemplate {
    fn default() -> Self {
        Self(CLIENT_ID.to_owned())
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            upstreams: Vec::new(),
            rules: Arc::default(),
            max_buffered_bytes: 16 << 20,
            max_message_bytes: 1 << 20,
        }
    }
}

/// The name that an upstream has, and that a listener means, where they do not say.
const DEFAULT_UPSTREAM: &str = "main";
const CLIENT_ID: &str = "{client_id}";
const DEVICE: &str = "{device}";
const MAX_TEMPLATE_BYTES: usize = 128;
