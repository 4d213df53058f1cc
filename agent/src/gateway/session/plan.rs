//! What a listener does with whoever connects: its configuration, made ready.

use crate::config::{ListenerConfig, LocalIdentity, UpstreamConfig};
use crate::gateway::rules::Permissions;
use std::fmt;
use std::net::SocketAddr;
use zeroize::Zeroizing;

/// One listener and where it leads.
#[derive(Debug)]
pub struct ListenerPlan {
    /// The listener.
    pub listener: ListenerConfig,
    /// Its upstream.
    pub upstream: UpstreamConfig,
    /// The password for upstream, from its file, where the configuration names one.
    pub upstream_password: Option<Zeroizing<Vec<u8>>>,
    /// Largest message of a program, in octets of its packet.
    pub max_message_octets: u32,
}

/// Who opened a local connection, as the kernel says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LocalPeer {
    /// Whoever can open the TCP listener.
    Tcp(SocketAddr),
    /// A process of this user on a Unix socket.
    Unix {
        /// Its user.
        uid: u32,
        /// Its groups.
        gids: Vec<u32>,
    },
}

impl ListenerPlan {
    /// Largest packet that a program may send, in octets.
    pub(super) const fn local_packet_octets(&self) -> u32 {
        self.max_message_octets
    }

    /// Largest packet that the broker may send and gets, in octets: what a signature adds has room.
    pub(super) const fn upstream_packet_octets(&self) -> u32 {
        self.max_message_octets.saturating_add(OVERHEAD_OCTETS)
    }

    /// What a local user of this name may do; nothing where there is none.
    pub(super) fn permissions_of_user(&self, name: &str) -> Option<Permissions> {
        let user = self.listener.users.iter().find(
            |user| matches!(&user.who, LocalIdentity::Password { name: known, .. } if known == name),
        )?;
        Some(
            self.listener
                .permissions
                .clone()
                .added_to(&user.permissions),
        )
    }
}

impl fmt::Display for LocalPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix { uid, .. } => write!(f, "uid {uid}"),
        }
    }
}

/// What token, envelope or annotations add to a packet at most, in octets.
pub(super) const OVERHEAD_OCTETS: u32 = 4096;
