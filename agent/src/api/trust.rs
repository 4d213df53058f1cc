//! `/v1/trust`: a bundle file, applied as a whole or not at all, and handed on.

use super::Shared;
use super::body::{self, Reply};
use super::dispatch::{json, ok};
use super::problem::Problem;
use super::route::OCTETS;
use crate::wire::ErrorClass;
use edgeseal_trust::limits;
use hyper::Response;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::warn;

/// Writes the body to a file without a name, then lets the agent judge it. One at a time: each may
/// be as large as a fleet.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    body: Incoming,
    patience: Duration,
) -> Result<Response<Reply>, Problem> {
    let Ok(alone) = Arc::clone(&shared.updates).try_lock_owned() else {
        return Err(Problem::new(
            ErrorClass::Failure,
            "update-running",
            "another bundle is being applied",
            "wait for its end, then send this one again if it is still needed",
        ));
    };
    let file = shared.agent.scratch_file()?;
    let file = body::spool(body, limits::BUNDLE_OCTETS, patience, file).await?;
    // Whoever hangs up now ends this request, but not what it began: what is committed must come into
    // force.
    let agent = Arc::clone(&shared.agent);
    let applying = tokio::spawn(async move {
        let _alone = alone;
        agent.apply(file).await
    });
    let applied = applying.await.map_err(|error| {
        Problem::new(
            ErrorClass::Failure,
            "update",
            error.to_string(),
            "see the agent's log",
        )
    })?;
    json(&applied?)
}

/// The bundle in force. Written while it is read: a large fleet does not fit into this process.
pub(super) async fn export(shared: &Arc<Shared>) -> Result<Response<Reply>, Problem> {
    let mut bundle = shared.agent.bundle().await?;
    let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(async move {
        loop {
            match bundle.next().await {
                Ok(Some(octets)) => {
                    if sender.send(octets.into()).await.is_err() {
                        return; // nobody listens any more
                    }
                }
                Ok(None) => return,
                // The status is sent already: a bundle that breaks off is refused by whoever reads it.
                Err(error) => {
                    return warn!(code = %error.code, "the bundle could not be finished: {}", error.reason);
                }
            }
        }
    });
    Ok(ok(OCTETS, Reply::Chunks(chunks)))
}

const CHUNKS_AHEAD: usize = 2;
