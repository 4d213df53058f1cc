//! `POST /v1/trust`: a bundle file, applied as a whole or not at all.

use super::Shared;
use super::body::{self, Reply};
use super::dispatch::json;
use super::problem::Problem;
use crate::wire::ErrorClass;
use edgeseal_trust::limits;
use hyper::Response;
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;

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
