//! Login tokens, as a broker or service judges them that is addressed by one audience.

use super::{Named, line};
use crate::support::domain::NOW;
use crate::support::forge::{Forge, quoted};
use serde_json::{Value, json};

/// What the service is addressed by.
const SERVICE: &str = "login:mqtts://broker.farm:8883";

pub fn vectors() -> Vec<Named> {
    let mut all = honest();
    all.extend(audiences());
    all.extend(senders());
    all.extend(times());
    all.extend(claims());
    all
}

fn honest() -> Vec<Named> {
    vec![
        judged(
            "login-honest",
            "verified",
            "a login as it should be",
            &login("sensor"),
        ),
        judged(
            "login-longest",
            "verified",
            "the longest lifetime",
            &login("sensor").claim("exp", &(NOW + 295).to_string()),
        ),
        judged(
            "login-undefined-claims",
            "verified",
            "claims that a login does not define are ignored, whatever their type",
            &login("sensor").claim("phs", "[]").claim("vch", "0"),
        ),
    ]
}

fn audiences() -> Vec<Named> {
    let to = |audience: &str| login("sensor").claim("aud", &quoted(audience));
    let mut other = addressed(&to("domain:farm"), "domain:farm");
    other["audience"] = json!("domain:farm");
    vec![
        judged(
            "login-other-service",
            "audience",
            "a login at another service",
            &to("login:mqtts://other.farm:8883"),
        ),
        judged(
            "login-service-prefix",
            "audience",
            "an audience that begins alike",
            &to(&format!("{SERVICE}1")),
        ),
        judged(
            "login-to-domain",
            "audience",
            "a login to the domain",
            &to("domain:farm"),
        ),
        judged(
            "login-audience-list",
            "claim-type",
            "a list of audiences",
            &login("sensor").claim("aud", &format!("[{}]", quoted(SERVICE))),
        ),
        line(
            "login-service-without-login",
            "audience",
            "a service that calls itself by a domain is no audience of logins",
            other,
        ),
        judged(
            "login-is-message",
            "header-typ",
            "a message token as a login",
            &login("sensor").typ("edgeseal-msg+jwt"),
        ),
    ]
}

fn senders() -> Vec<Named> {
    let from = |device: &str, code: &str| {
        judged(
            &format!("login-{device}"),
            code,
            "a device that may not",
            &login(device),
        )
    };
    let mut forged = login("sensor");
    forged.seed = 13;
    vec![
        from("newcomer", "device-pending"),
        from("suspended", "device-suspended"),
        from("stolen", "device-revoked"),
        from("burned", "key-revoked"),
        from("rotated", "key-retired"),
        judged(
            "login-unknown-key",
            "unknown-key",
            "a key that the registry does not know",
            &login("sensor").signed_by(99),
        ),
        judged(
            "login-forged",
            "signature",
            "signed by another key",
            &forged,
        ),
        judged(
            "login-other-subject",
            "subject",
            "another device's name over one's own signature",
            &login("sensor").claim("sub", "\"panel\""),
        ),
        judged(
            "login-other-domain",
            "domain",
            "issued in another domain",
            &login("sensor").claim("iss", "\"ranch\""),
        ),
        judged(
            "login-retired-earlier",
            "key-retired",
            "made before its key was retired: only retained statements outlive that",
            &login("rotated")
                .claim("iat", &(NOW - 3_605).to_string())
                .claim("exp", &(NOW - 3_305).to_string()),
        ),
    ]
}

fn times() -> Vec<Named> {
    let times = |iat: u64, exp: u64| {
        login("sensor")
            .claim("iat", &iat.to_string())
            .claim("exp", &exp.to_string())
    };
    let mut stale = addressed(&times(LATE - 5, LATE + 55), SERVICE);
    stale["now"] = json!(LATE);
    let hour = NOW + 3_601;
    let of_meter = login("meter")
        .claim("iat", &hour.to_string())
        .claim("exp", &(hour + 60).to_string());
    let mut too_old = addressed(&of_meter, SERVICE);
    too_old["now"] = json!(hour);
    vec![
        judged(
            "login-expired",
            "expired",
            "expired",
            &times(NOW - 70, NOW - 10),
        ),
        judged(
            "login-in-future",
            "issued-in-future",
            "issued beyond the leeway",
            &times(NOW + 11, NOW + 60),
        ),
        judged(
            "login-lifetime",
            "lifetime",
            "one second longer than a login may live",
            &times(NOW - 5, NOW + 296),
        ),
        line(
            "login-manifest-too-old",
            "manifest-too-old",
            "a role of the device asks for a younger manifest",
            too_old,
        ),
        line(
            "login-trust-stale",
            "trust-stale",
            "trust data past its grace period",
            stale,
        ),
    ]
}

fn claims() -> Vec<Named> {
    let mut all = Vec::new();
    for name in ["iss", "sub", "aud", "iat", "exp", "jti"] {
        let title = format!("the claim {name} is missing");
        all.push(judged(
            &format!("login-without-{name}"),
            "claim-missing",
            &title,
            &login("sensor").without_claim(name),
        ));
    }
    all.push(judged(
        "login-duplicate",
        "duplicate-member",
        "the audience twice",
        &login("sensor").claim_again("aud", &quoted(SERVICE)),
    ));
    all
}

fn login(device: &str) -> Forge {
    let mut forge = Forge::message(device, "", b"")
        .typ("edgeseal-login+jwt")
        .claim("aud", &quoted(SERVICE));
    for name in ["top", "phs", "tsq"] {
        forge = forge.without_claim(name);
    }
    forge
}

fn judged(name: &str, expect: &str, title: &str, forge: &Forge) -> Named {
    line(name, expect, title, addressed(forge, SERVICE))
}

fn addressed(forge: &Forge, service: &str) -> Value {
    json!({ "kind": "login", "token": forge.token(), "audience": service })
}

/// When the trust data is past its grace period.
const LATE: u64 = NOW + 1_000_000 + 604_800;
