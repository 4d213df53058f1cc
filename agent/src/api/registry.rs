//! `GET /v1/peers` and `GET /v1/jwks`: what the registry says, in bounded memory.

use super::Shared;
use super::body::Reply;
use super::dispatch::{json, ok};
use super::problem::Problem;
use crate::wire::ErrorClass;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::key::{KeyId, public_jwk};
use edgeseal_trust::registry::{DeviceState, KeyState};
use edgeseal_trust::store::Peer;
use edgeseal_trust::time::UnixTime;
use hyper::Response;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::warn;

/// A page of the devices of the domain, in the order of their ids.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PeersBody {
    /// The devices.
    pub peers: Vec<PeerBody>,
    /// Ask again with `?after=` this id for those behind; null on the last page.
    pub next: Option<DeviceId>,
}

/// One device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PeerBody {
    /// Its id.
    pub device: DeviceId,
    /// Its state.
    pub state: DeviceState,
    /// Its roles.
    pub roles: Vec<RoleName>,
    /// Its groups.
    pub groups: Vec<GroupName>,
    /// Its keys.
    pub keys: Vec<PeerKeyBody>,
}

/// One key of a device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PeerKeyBody {
    /// Its thumbprint.
    pub kid: KeyId,
    /// Its state.
    pub state: KeyState,
    /// Tokens issued before this moment are refused.
    pub not_before: UnixTime,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<UnixTime>,
}

pub(super) async fn peers(
    shared: &Arc<Shared>,
    query: Option<&str>,
) -> Result<Response<Reply>, Problem> {
    let (after, limit) = page(query.unwrap_or_default())?;
    let page = shared.agent.peers(after, limit).await?;
    json(&PeersBody {
        peers: page.peers.iter().map(PeerBody::from).collect(),
        next: page.next,
    })
}

/// The keys that may sign now, as a JWK Set (RFC 7517 section 5). Written while it is read: a large
/// fleet does not fit into this process.
pub(super) fn jwks(shared: &Arc<Shared>) -> Response<Reply> {
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Err(problem) = write_jwks(&shared, &sender).await {
            // The status is sent already: an answer that breaks off is no JSON.
            warn!(code = %problem.body.code, "the JWK Set could not be finished");
        }
    });
    ok(JWK_SET, Reply::Chunks(chunks))
}

async fn write_jwks(shared: &Shared, sender: &mpsc::Sender<Bytes>) -> Result<(), Problem> {
    let mut text = String::from("{\"keys\":[");
    let mut after = None;
    let mut first = true;
    loop {
        let page = shared.agent.peers(after.take(), MAX_PEERS).await?;
        for key in page
            .peers
            .iter()
            .filter(|peer| is_active(peer))
            .flat_map(|peer| &peer.keys)
        {
            if !matches!(key.state, KeyState::Active | KeyState::Retiring) {
                continue;
            }
            if let Ok(jwk) = serde_json::to_string(&public_jwk(&key.key)) {
                if !std::mem::take(&mut first) {
                    text.push(',');
                }
                text.push_str(&jwk);
            }
        }
        after = page.next;
        if after.is_none() {
            text.push_str("]}");
        }
        if sender
            .send(Bytes::from(std::mem::take(&mut text)))
            .await
            .is_err()
            || after.is_none()
        {
            return Ok(()); // all of it sent, or nobody listens any more
        }
    }
}

fn is_active(peer: &Peer) -> bool {
    peer.device.state == DeviceState::Active
}

fn page(query: &str) -> Result<(Option<DeviceId>, usize), Problem> {
    let (mut after, mut limit) = (None, DEFAULT_PEERS);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("after", id)) => {
                after = Some(DeviceId::parse(id).map_err(|why| bad_query(&why))?);
            }
            Some(("limit", count)) => {
                let count: usize = count.parse().map_err(|why| bad_query(&why))?;
                if !(1..=MAX_PEERS).contains(&count) {
                    return Err(bad_query(&format_args!("limit is 1 to {MAX_PEERS}")));
                }
                limit = count;
            }
            _ => return Err(bad_query(&"only after and limit are known")),
        }
    }
    Ok((after, limit))
}

fn bad_query(why: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        ErrorClass::BadRequest,
        "query",
        why.to_string(),
        "for example: /v1/peers?after=pump-1&limit=100",
    )
}

impl From<&Peer> for PeerBody {
    fn from(peer: &Peer) -> Self {
        Self {
            device: peer.device.id.clone(),
            state: peer.device.state,
            roles: peer.device.roles.to_vec(),
            groups: peer.device.groups.to_vec(),
            keys: peer
                .keys
                .iter()
                .map(|key| PeerKeyBody {
                    kid: key.key.id(),
                    state: key.state,
                    not_before: key.not_before,
                    retired_at: key.retired_at,
                })
                .collect(),
        }
    }
}

const DEFAULT_PEERS: usize = 100;
const MAX_PEERS: usize = 1000;
const CHUNKS_AHEAD: usize = 2;
/// RFC 7517 section 8.5.2.
const JWK_SET: &str = "application/jwk-set+json";

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn pages_are_asked_for_within_their_limits() {
        assert_eq!(page("").unwrap(), (None, 100));
        let (after, limit) = page("after=pump-1&limit=7").unwrap();
        assert_eq!(after.unwrap().as_str(), "pump-1");
        assert_eq!(limit, 7);
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=x",
            "after=A",
            "after",
            "x=1",
        ] {
            assert_eq!(page(bad).unwrap_err().body.code, "query", "{bad}");
        }
    }
}
