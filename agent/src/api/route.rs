//! What is served: one table that dispatch, authorisation, metrics and the test of `docs/openapi.json` read.

use crate::config::Verb;
use hyper::Method;

/// One endpoint of the local API.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Endpoint {
    /// `POST /v1/explain`: as verify, check by check.
    Explain,
    /// `GET /healthz`: 200 or 503.
    Health,
    /// `GET /v1/trust`: the bundle in force.
    Export,
    /// `GET /v1/jwks`: the keys that may verify now (RFC 7517).
    Jwks,
    /// `POST /v1/login`: a login token.
    Login,
    /// `GET /metrics`: Prometheus text.
    Metrics,
    /// `GET /v1/peers`: the devices of the domain.
    Peers,
    /// `POST /v1/sign`: one message or an array.
    Sign,
    /// `GET /v1/status`: this agent.
    Status,
    /// `POST /v1/trust`: applies a bundle file.
    Trust,
    /// `POST /v1/verify`: one message or an array.
    Verify,
}

/// One row of the table.
#[derive(Debug)]
pub struct Route {
    /// The path, octet for octet.
    pub path: &'static str,
    /// The one method.
    pub method: Method,
    /// What it leads to.
    pub endpoint: Endpoint,
    /// What a caller must be allowed to ask for; nothing where everybody may who can open the socket.
    pub verb: Option<Verb>,
    /// Media type of the request body, where there is one.
    pub accepts: Option<&'static str>,
}

/// Every path that is served.
pub static ROUTES: [Route; 11] = [
    post("/v1/sign", Endpoint::Sign, Verb::Sign, JSON),
    post("/v1/verify", Endpoint::Verify, Verb::Verify, JSON),
    post("/v1/explain", Endpoint::Explain, Verb::Explain, JSON),
    post("/v1/login", Endpoint::Login, Verb::Login, JSON),
    post("/v1/trust", Endpoint::Trust, Verb::Trust, OCTETS),
    get("/v1/trust", Endpoint::Export, Some(Verb::Export)),
    get("/v1/peers", Endpoint::Peers, Some(Verb::Peers)),
    get("/v1/jwks", Endpoint::Jwks, Some(Verb::Jwks)),
    get("/v1/status", Endpoint::Status, Some(Verb::Status)),
    get("/healthz", Endpoint::Health, None),
    get("/metrics", Endpoint::Metrics, Some(Verb::Metrics)),
];

/// The row of a path, for this method where the path has several.
pub fn find(path: &str, method: &Method) -> Option<&'static Route> {
    let mut of_path = ROUTES.iter().filter(|route| route.path == path);
    let exact = of_path.clone().find(|route| route.method == method);
    exact.or_else(|| of_path.next())
}

const fn get(path: &'static str, endpoint: Endpoint, verb: Option<Verb>) -> Route {
    Route {
        path,
        method: Method::GET,
        endpoint,
        verb,
        accepts: None,
    }
}

const fn post(path: &'static str, endpoint: Endpoint, verb: Verb, accepts: &'static str) -> Route {
    Route {
        path,
        method: Method::POST,
        endpoint,
        verb: Some(verb),
        accepts: Some(accepts),
    }
}

/// Media type of JSON (RFC 8259 section 11).
pub(super) const JSON: &str = "application/json";
/// Media type of octets without a meaning of their own (RFC 2046 section 4.5.1).
pub(super) const OCTETS: &str = "application/octet-stream";
