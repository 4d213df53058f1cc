//! What is known of the program once it has sent CONNECT.

use super::aliases::TopicAliases;
use super::timers::Silence;
use crate::gateway::clients::{LocalIdentity, Who};
use crate::gateway::packet::{Connect, Frame, Version};
use crate::gateway::rules::Permissions;
use edgeseal_trust::replay::ConsumerId;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// The program at the local end.
pub(super) struct Program {
    pub(super) version: Version,
    pub(super) identity: LocalIdentity,
    pub(super) permissions: Arc<Permissions>,
    /// As the program says.
    pub(super) client_id: Arc<str>,
    pub(super) consumer: ConsumerId,
    /// A bridge of mosquitto, by its protocol level (0x84).
    pub(super) is_bridge: bool,
    /// Its CONNECT: read again when upstream is connected anew.
    pub(super) connect: Frame,
    /// The session at the broker ends with the connection, as far as the program is concerned.
    pub(super) session_ends: bool,
    /// What the program takes at most, in octets of a packet.
    pub(super) max_packet_octets: u32,
    pub(super) aliases: TopicAliases,
    pub(super) silence: Silence,
}

impl Program {
    pub(super) fn new(
        connect: &Connect<'_>,
        frame: &Frame,
        identity: LocalIdentity,
        permissions: Arc<Permissions>,
        now: Duration,
    ) -> Self {
        let session_ends = match connect.version {
            Version::V311 => connect.clean_start,
            Version::V5 => connect.properties.session_expiry_interval().unwrap_or(0) == 0,
        };
        Self {
            version: connect.version,
            consumer: consumer(&identity, connect.client_id),
            identity,
            permissions,
            client_id: connect.client_id.into(),
            is_bridge: connect.bridge,
            connect: frame.clone(),
            session_ends,
            max_packet_octets: connect
                .properties
                .maximum_packet_size()
                .map_or(u32::MAX, NonZeroU32::get),
            aliases: TopicAliases::default(),
            silence: Silence::new(connect.keep_alive_seconds, now),
        }
    }
}

/// DESIGN: a consumer is (listener, local identity, client identifier). A colon in the last is
/// written otherwise, so that nobody names itself into another's.
fn consumer(identity: &LocalIdentity, client_id: &str) -> ConsumerId {
    let (listener, who) = (&identity.listener, &identity.who);
    let client_id = client_id.replace('%', "%25").replace(':', "%3a");
    match who {
        Who::Anyone => format!("gateway:{listener}:anyone:{client_id}").into(),
        Who::User(name) => format!("gateway:{listener}:user={name}:{client_id}").into(),
        Who::Uid(uid) => format!("gateway:{listener}:uid={uid}:{client_id}").into(),
    }
}
