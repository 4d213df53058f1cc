//! The configuration of a listener, made ready: files read, groups looked up.

use super::upstream::Upstream;
use crate::config::{Credentials, GatewayConfig, ListenerConfig, LocalIdentity, NameDatabase};
use crate::gateway::session::{ListenerPlan, LocalPeer};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;
use zeroize::Zeroizing;

/// A listener and where it leads, under one state of the configuration.
pub(super) struct Plan {
    /// Never the same twice: tells connections apart that another state of it let in.
    pub(super) number: u64,
    pub(super) listener: Arc<ListenerPlan>,
    pub(super) upstream: Arc<Upstream>,
    /// Members by group, of the groups that local users are known by.
    members: BTreeMap<u32, BTreeSet<u32>>,
}

/// Why a listener cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The configuration names no such upstream.
    #[error("listener {0} leads to an upstream that is not there")]
    NoUpstream(String),
    /// The password for upstream cannot be read.
    #[error("password_file {}: {error}", path.display())]
    Password {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl Plan {
    /// Makes a listener ready. Blocks.
    ///
    /// # Errors
    /// [`PlanError`].
    pub(super) fn new(
        number: u64,
        config: &GatewayConfig,
        listener: &ListenerConfig,
        upstream: &Arc<Upstream>,
        names: &NameDatabase,
    ) -> Result<Self, PlanError> {
        let upstream_password = match &upstream.config().credentials {
            Credentials::Password { password_file, .. } => Some(password(password_file)?),
            _ => None,
        };
        let groups = listener.users.iter().filter_map(|user| match user.who {
            LocalIdentity::System { gid, .. } => gid,
            LocalIdentity::Password { .. } => None,
        });
        Ok(Self {
            number,
            members: groups.map(|gid| (gid, names.members(gid))).collect(),
            listener: Arc::new(ListenerPlan {
                listener: listener.clone(),
                upstream: upstream.config().clone(),
                upstream_password,
                max_message_octets: config.max_message_bytes,
            }),
            upstream: Arc::clone(upstream),
        })
    }

    /// The process at the other end, by the kernel's word (`SO_PEERCRED`, unix(7)).
    pub(super) fn peer(&self, stream: &UnixStream) -> io::Result<LocalPeer> {
        let credentials = stream.peer_cred()?;
        let uid = credentials.uid();
        let listed = self.members.iter().filter(|(_, uids)| uids.contains(&uid));
        let mut gids: Vec<u32> = listed.map(|(gid, _)| *gid).collect();
        gids.push(credentials.gid());
        Ok(LocalPeer::Unix { uid, gids })
    }

    /// Whether whoever connected under the other plan may stay: nobody keeps what was taken away.
    pub(super) fn says_the_same_as(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.listener, &other.listener);
        ours.listener == theirs.listener
            && ours.upstream == theirs.upstream
            && self.members == other.members
            && ours.upstream_password == theirs.upstream_password
            && ours.max_message_octets == theirs.max_message_octets
    }
}

impl PlanError {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoUpstream(_) => "no-upstream",
            Self::Password { .. } => "password-file",
        }
    }
}

/// The first line of the file.
fn password(path: &Path) -> Result<Zeroizing<Vec<u8>>, PlanError> {
    let failed = |error| PlanError::Password {
        path: path.to_owned(),
        error,
    };
    let mut text = Zeroizing::new(Vec::with_capacity(PASSWORD_OCTETS));
    let limit = u64::try_from(PASSWORD_OCTETS).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(failed)?;
    file.take(limit).read_to_end(&mut text).map_err(failed)?;
    let mut lines = text.split(|octet| matches!(octet, b'\n' | b'\r'));
    let line = lines.next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_vec()))
}

const PASSWORD_OCTETS: usize = 4096;
