//! What `edgeseal-agent status` shows of the gateway.

use super::upstream::UpstreamStatus;
use crate::gateway::packet::Version;
use crate::gateway::session::{LocalPeer, Phase, SessionStatus};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// The gateway: listeners, brokers, connections.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct GatewayStatus {
    /// Where programs connect.
    pub listeners: Vec<ListenerStatus>,
    /// Brokers.
    pub upstreams: Vec<UpstreamStatus>,
    /// Programs that are connected.
    pub connections: Vec<ConnectionStatus>,
    /// Octets that all connections together hold in buffers.
    pub buffered_octets: u64,
    /// How many they may hold.
    pub max_buffered_octets: u64,
}

/// One listener.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListenerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// Name of its broker.
    pub upstream: String,
    /// Connections now.
    pub connections: u32,
    /// Connections that are let in at one time.
    pub max_connections: u32,
}

/// One connection of a program.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ConnectionStatus {
    /// Name of the listener.
    pub listener: String,
    /// Where the program is: an address, or a user's number.
    pub peer: String,
    /// Its client identifier; nothing before its CONNECT.
    pub client_id: Option<String>,
    /// Its local identity; nothing before its CONNECT.
    pub identity: Option<String>,
    /// How far it has come: `awaits-connect`, `checks-password`, `connects`,
    /// `awaits-connack`, `runs`, `renews`, `stops`, `closed`.
    pub state: String,
    /// The version of MQTT that the program speaks: `3.1.1` or `5`.
    pub version: Option<String>,
    /// The version that is spoken to the broker.
    pub upstream_version: String,
    /// Seconds since it was accepted.
    pub age_seconds: u64,
    /// Messages of the program that the broker has not acknowledged.
    pub outgoing: u64,
    /// Messages of the program that wait for the broker's Receive Maximum.
    pub parked: u64,
    /// Messages that the program has not acknowledged.
    pub incoming: u64,
    /// Octets in its buffers.
    pub buffered_octets: u64,
}

/// What is known of a connection, kept while it lives.
pub(super) struct Card {
    pub(super) listener: Arc<str>,
    pub(super) peer: LocalPeer,
    pub(super) since: Duration,
    pub(super) session: SessionStatus,
    pub(super) buffered_octets: usize,
}

impl Card {
    pub(super) fn shown(&self, now: Duration) -> ConnectionStatus {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let session = &self.session;
        ConnectionStatus {
            listener: self.listener.to_string(),
            peer: self.peer.to_string(),
            client_id: session.client_id.as_deref().map(str::to_owned),
            identity: session.identity.as_ref().map(ToString::to_string),
            state: state(session.phase).to_owned(),
            version: session.program.map(|spoken| version(spoken).to_owned()),
            upstream_version: version(session.upstream).to_owned(),
            age_seconds: now.saturating_sub(self.since).as_secs(),
            outgoing: count(session.outgoing),
            parked: count(session.parked),
            incoming: count(session.incoming),
            buffered_octets: count(self.buffered_octets),
        }
    }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::V311 => "3.1.1",
        Version::V5 => "5",
    }
}

const fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::AwaitsConnect => "awaits-connect",
        Phase::ChecksPassword => "checks-password",
        Phase::Connects => "connects",
        Phase::AwaitsConnAck => "awaits-connack",
        Phase::Runs => "runs",
        Phase::Settles | Phase::Renews => "renews",
        Phase::Stops => "stops",
        Phase::Closed => "closed",
    }
}
