//! What must be accepted: a verifier that refuses all is of no use.

use super::{Named, forged, line, message, with};
use crate::support::domain::{NOW, RETIRED};
use crate::support::forge::{Forge, PAYLOAD, TOPIC, hash, quoted};
use serde_json::json;

pub fn vectors() -> Vec<Named> {
    [tokens(), claims(), contents(), kinds(), properties()].concat()
}

fn tokens() -> Vec<Named> {
    let honest = Forge::honest();
    let mut reordered = honest.clone();
    reordered.header.reverse();
    reordered.claims.reverse();
    let spaced = crate::support::forge::sign(
        format!(
            " {{ \"alg\" : \"EdDSA\",\n\t\"typ\":\"edgeseal-msg+jwt\",\"kid\":{} }} ",
            honest.header[2].1
        )
        .as_bytes(),
        &crate::support::forge::object(&honest.claims),
        &crate::support::domain::key_of("sensor"),
    );
    vec![
        forged(
            "honest-message",
            "verified",
            "a message as it should be",
            &honest,
        ),
        forged(
            "honest-reordered",
            "verified",
            "members in another order",
            &reordered,
        ),
        super::token(
            "honest-whitespace",
            "verified",
            "JSON white space inside header",
            spaced,
        ),
        forged(
            "honest-undefined-claim",
            "verified",
            "a claim that the profile does not define is ignored",
            &honest.clone().claim("role", "{\"admin\":[true,null,1.5]}"),
        ),
    ]
}

fn claims() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "honest-iat-at-leeway",
            "verified",
            "issued as far in the future as the leeway allows",
            &honest.clone().claim("iat", &(NOW + 10).to_string()),
        ),
        forged(
            "honest-exp-at-leeway",
            "verified",
            "one second before the leeway behind exp ends",
            &honest
                .clone()
                .claim("iat", &(NOW - 69).to_string())
                .claim("exp", &(NOW - 9).to_string()),
        ),
        forged(
            "honest-lifetime-300",
            "verified",
            "the longest lifetime without a grant",
            &honest.clone().claim("exp", &(NOW + 295).to_string()),
        ),
        forged(
            "honest-clock-unsynchronized",
            "verified",
            "the sender says that its clock is not synchronized",
            &honest.clone().claim("clk", &quoted("unsynchronized")),
        ),
        forged(
            "honest-captured-earlier",
            "verified",
            "data older than the signature",
            &honest.clone().claim("cap", "1700000000"),
        ),
        forged(
            "honest-captured-when-signed",
            "verified",
            "data captured in the second of the signature",
            &honest.clone().claim("cap", &(NOW - 5).to_string()),
        ),
        forged(
            "honest-stream-0",
            "verified",
            "published at QoS 0",
            &honest.clone().claim("jti", &quoted("3.0.7")),
        ),
    ]
}

fn contents() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "honest-largest-id",
            "verified",
            "the largest id",
            &honest.claim(
                "jti",
                &quoted("18446744073709551615.1.18446744073709551615"),
            ),
        ),
        line(
            "honest-empty-payload",
            "verified",
            "an empty payload",
            message(Forge::message("sensor", TOPIC, b"").token(), TOPIC, b""),
        ),
        line(
            "honest-payload-is-envelope",
            "verified",
            "a payload that begins like an envelope is opaque",
            message(
                Forge::message("sensor", TOPIC, b"ES1 x\ny").token(),
                TOPIC,
                b"ES1 x\ny",
            ),
        ),
        line(
            "honest-long-lifetime",
            "verified",
            "a lifetime that the grant for this topic states",
            message(
                Forge::message("sensor", "site/sensor/log", PAYLOAD)
                    .claim("exp", &(NOW + 3_595).to_string())
                    .token(),
                "site/sensor/log",
                PAYLOAD,
            ),
        ),
        line(
            "honest-escaped-topic",
            "verified",
            "a topic written with JSON escapes",
            message(
                Forge::message("pump", "site\\/pump\\/\\u00e9\\\"", PAYLOAD).token(),
                "site/pump/é\"",
                PAYLOAD,
            ),
        ),
        line(
            "honest-command-device",
            "verified",
            "a command to this device",
            command("device:pump"),
        ),
        line(
            "honest-command-group",
            "verified",
            "a command to a group of this device",
            command("group:pumps"),
        ),
    ]
}

fn kinds() -> Vec<Named> {
    vec![
        line(
            "honest-retained",
            "verified",
            "a retained statement",
            retained("sensor", 86_000),
        ),
        line(
            "honest-retained-old-key",
            "verified",
            "a retained statement made before its key was retired",
            with(
                message(
                    Forge::message("rotated", "site/rotated/state", PAYLOAD)
                        .typ("edgeseal-retained+jwt")
                        .claim("iat", &(RETIRED - 1).to_string())
                        .claim("exp", &(NOW + 60).to_string())
                        .token(),
                    "site/rotated/state",
                    PAYLOAD,
                ),
                "kind",
                "retained",
            ),
        ),
        line(
            "honest-retiring-key",
            "verified",
            "a key that is being replaced still signs",
            message(
                Forge::message("rotated", "site/rotated/temp", PAYLOAD)
                    .signed_by(16)
                    .token(),
                "site/rotated/temp",
                PAYLOAD,
            ),
        ),
        line(
            "honest-will",
            "verified",
            "a will",
            with(
                message(
                    Forge::message("sensor", "site/sensor/online", b"0")
                        .typ("edgeseal-will+jwt")
                        .claim("exp", &(NOW + 600_000).to_string())
                        .token(),
                    "site/sensor/online",
                    b"0",
                ),
                "kind",
                "will",
            ),
        ),
        line(
            "honest-vouched",
            "verified",
            "a device that may relays for another",
            message(
                Forge::message("gateway", "legacy/meter", PAYLOAD)
                    .claim("vch", "true")
                    .token(),
                "legacy/meter",
                PAYLOAD,
            ),
        ),
    ]
}

fn properties() -> Vec<Named> {
    vec![
        line(
            "honest-bound-properties",
            "verified",
            "all bound properties",
            bound_properties(),
        ),
        line(
            "honest-own-properties",
            "verified",
            "user properties of the agents are not bound",
            with(
                message(Forge::honest().token(), TOPIC, PAYLOAD),
                "properties",
                json!({ "user": [["edgeseal", "x"], ["edgeseal-sender", "y"]] }),
            ),
        ),
        line(
            "honest-claims-on-3.1.1",
            "verified",
            "bound properties on a path where no program can see them",
            message(
                Forge::honest().claim("cty", &hash(b"text/plain")).token(),
                TOPIC,
                PAYLOAD,
            ),
        ),
    ]
}

fn command(audience: &str) -> serde_json::Value {
    let topic = "site/pump/cmd";
    message(
        Forge::message("panel", topic, b"on")
            .claim("aud", &quoted(audience))
            .token(),
        topic,
        b"on",
    )
}

pub(super) fn retained(device: &str, lifetime: u64) -> serde_json::Value {
    let topic = format!("site/{device}/state");
    let forge = Forge::message(device, &topic, PAYLOAD)
        .typ("edgeseal-retained+jwt")
        .claim("exp", &(NOW - 5 + lifetime).to_string());
    with(message(forge.token(), &topic, PAYLOAD), "kind", "retained")
}

fn bound_properties() -> serde_json::Value {
    let topic = "site/pump/cmd";
    let forge = Forge::message("panel", topic, b"on")
        .claim("aud", "\"device:pump\"")
        .claim("rsp", &hash(b"site/panel/reply"))
        .claim("cor", &hash(&[0, 1, 255]))
        .claim("cty", &hash(b"text/plain"))
        .claim("upr", &hash(b"\0\x01a\0\x011\0\x01b\0\0"));
    let properties = json!({
        "response_topic": "site/panel/reply",
        "correlation_data_b64": "AAH/",
        "content_type": "text/plain",
        "user": [["a", "1"], ["edgeseal-x", "left out"], ["b", ""]],
    });
    with(
        message(forge.token(), topic, b"on"),
        "properties",
        properties,
    )
}
