//! From a request to its answer. Nothing is read of a body before the caller may ask at all.

use super::body::{self, Reply};
use super::problem::Problem;
use super::route::{self, Endpoint, JSON, Route};
use super::server::Seat;
use super::{Asker, Shared, Throttled, handlers, health, metrics, registry, trust};
use crate::log::Escaped;
use crate::wire::{ErrorClass, OneOrMany};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tracing::info;

/// Answers one request.
pub(super) async fn dispatch(
    shared: &Arc<Shared>,
    seat: &Seat,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let path =
        route::find(request.uri().path(), request.method()).map_or(OTHER, |route| route.path);
    let response = match answer(shared, seat, request).await {
        Ok(response) => response,
        Err(problem) => {
            note(shared, seat, path, &problem);
            problem.response()
        }
    };
    shared.metrics.answered(path, response.status().as_u16());
    Ok(response)
}

async fn answer(
    shared: &Arc<Shared>,
    seat: &Seat,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Problem> {
    let asker = seat.asker(shared);
    expect_patience(shared, &asker)?;
    let route = expect_route(&asker, &request)?;
    expect_type(route, request.headers())?;
    let (head, body) = request.into_parts();
    let query = head.uri.query();
    if query.is_some() && route.endpoint != Endpoint::Peers {
        return Err(Problem::new(
            ErrorClass::BadRequest,
            "query",
            "this path takes no query",
            "leave out what follows the question mark",
        ));
    }
    let api = &asker.settings.api;
    let patience = Duration::from_secs(u64::from(api.request_timeout_seconds));
    if route.endpoint == Endpoint::Trust {
        return trust::apply(shared, body, patience).await;
    }
    let limit = match route.accepts {
        Some(_) => usize::try_from(api.max_body_bytes).unwrap_or(usize::MAX),
        None => 0,
    };
    let octets = body::read(body, limit, patience).await?;
    match route.endpoint {
        Endpoint::Sign => handlers::sign(shared, &asker, &octets).await,
        Endpoint::Verify => handlers::verify(shared, &asker, &octets).await,
        Endpoint::Explain => handlers::explain(shared, &asker, &octets).await,
        Endpoint::Login => handlers::login(shared, &asker, &octets),
        Endpoint::Peers => registry::peers(shared, query).await,
        Endpoint::Export => trust::export(shared).await,
        Endpoint::Jwks => Ok(registry::jwks(shared)),
        Endpoint::Status => json(&shared.status()),
        Endpoint::Health => Ok(health::answer(shared, &asker)),
        Endpoint::Metrics => Ok(metrics::answer(shared)),
        Endpoint::Trust => Err(unserved()),
    }
}

/// An answer of 200 with a body of this media type.
pub(super) fn ok(media_type: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An answer of 200 with `value` as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Response<Reply>, Problem> {
    let mut text = Vec::with_capacity(ANSWER_CAPACITY);
    serde_json::to_writer(&mut text, value).map_err(|error| {
        Problem::new(
            ErrorClass::Failure,
            "answer",
            format!("the answer cannot be written: {error}"),
            "see the agent's log",
        )
    })?;
    Ok(ok(JSON, Reply::whole(text)))
}

fn expect_patience(shared: &Shared, asker: &Asker) -> Result<(), Problem> {
    let Some(rate) = asker.access.rate else {
        return Ok(());
    };
    let taken = shared.throttle(asker.uid, rate);
    taken.map_err(|throttled| too_often(shared, throttled))
}

/// Every element of an array counts as a request; the first has been counted.
pub(super) fn expect_patience_for<T>(
    shared: &Shared,
    asker: &Asker,
    requests: &OneOrMany<T>,
) -> Result<(), Problem> {
    let others = requests.as_slice().len().saturating_sub(1);
    let (Some(rate), Ok(others @ 1..)) = (asker.access.rate, u32::try_from(others)) else {
        return Ok(());
    };
    let taken = shared.throttle_others(asker.uid, rate, others);
    taken.map_err(|throttled| too_often(shared, throttled))
}

fn too_often(shared: &Shared, throttled: Throttled) -> Problem {
    shared.metrics.throttled();
    let problem = Problem::new(
        ErrorClass::Throttled,
        "throttled",
        "this user asks more often than it may; every element of an array counts",
        "wait as Retry-After says, or raise requests_per_second and burst in [[api.caller]]",
    );
    problem.retry_after(throttled.retry_after_seconds)
}

/// Whoever may do nothing learns nothing, not even which paths there are.
fn expect_route(asker: &Asker, request: &Request<Incoming>) -> Result<&'static Route, Problem> {
    let route = route::find(request.uri().path(), request.method());
    let open_to_all = route.is_some_and(|route| route.verb.is_none());
    if !asker.access.is_known() && !open_to_all {
        return Err(Problem::new(
            ErrorClass::Forbidden,
            "caller-unknown",
            format!("the configuration grants uid {} nothing", asker.uid),
            "the operator of this device adds an [[api.caller]] with user and verbs",
        ));
    }
    let route = route.ok_or_else(unserved)?;
    if request.method() != route.method {
        return Err(Problem::new(
            ErrorClass::MethodNotAllowed,
            "method",
            format!("{} takes {}", route.path, route.method),
            "see docs/openapi.json",
        )
        .allow(route.method.clone()));
    }
    match route.verb {
        Some(verb) if !asker.access.may(verb) => Err(Problem::new(
            ErrorClass::Forbidden,
            "verb-not-granted",
            format!("uid {} may not {}", asker.uid, verb.as_str()),
            "the operator of this device adds the verb to an [[api.caller]]",
        )),
        _ => Ok(route),
    }
}

fn expect_type(route: &Route, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(accepts) = route.accepts else {
        return Ok(());
    };
    let stated = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = stated.and_then(|text| text.split(';').next());
    let right = essence.is_some_and(|text| text.trim().eq_ignore_ascii_case(accepts));
    if right && !headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    Err(Problem::new(
        ErrorClass::UnsupportedType,
        "content-type",
        format!("{} takes {accepts}, not encoded", route.path),
        format!("send the header content-type: {accepts}"),
    ))
}

fn unserved() -> Problem {
    Problem::new(
        ErrorClass::NotFound,
        "path",
        "nothing is served on this path",
        "see docs/openapi.json",
    )
}

/// Refusals go to the log, but a flood of them does not.
fn note(shared: &Shared, seat: &Seat, path: &str, problem: &Problem) {
    let code = match problem.body.code {
        Cow::Borrowed(code) => code,
        Cow::Owned(_) => OTHER, // only a client reads codes that it does not know
    };
    if shared.is_worth_a_line(code) {
        // A sentence about a bad request may quote the request, and payloads stay out of the log.
        let reason = match problem.body.error {
            ErrorClass::BadRequest => "",
            _ => problem.body.reason.as_str(),
        };
        let (uid, pid, reason) = (seat.peer.uid, seat.peer.pid, Escaped::new(reason));
        info!(uid, pid, path, code, %reason, "request refused");
    }
}

/// Room for a token and what is said of it.
const ANSWER_CAPACITY: usize = 1024;
/// The path of everything that is not served, in counters and logs.
const OTHER: &str = "other";
