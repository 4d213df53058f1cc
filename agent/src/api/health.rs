//! `GET /healthz`: whether this agent can do its work.

use super::body::Reply;
use super::dispatch::ok;
use super::problem::Problem;
use super::route::JSON;
use super::{Asker, Shared};
use crate::config::Verb;
use crate::wire::{ErrorBody, ErrorClass};
use hyper::Response;

/// 200, or 503 with the reason for whoever may ask for the status, and without for everybody else.
pub(super) fn answer(shared: &Shared, asker: &Asker) -> Response<Reply> {
    match shared.agent.health() {
        None => {
            let staleness = shared.agent.staleness();
            let text = format!(r#"{{"status":"ok","staleness":"{staleness}"}}"#);
            ok(JSON, Reply::whole(text))
        }
        Some(reason) if asker.access.may(Verb::Status) => Problem::from(reason).response(),
        Some(_) => {
            let body = ErrorBody::new(ErrorClass::Failure, "unhealthy", "the agent cannot work");
            Problem::from(body).response()
        }
    }
}
