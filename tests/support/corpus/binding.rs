//! What the token binds: payload and properties (topics are beside); and whether a grant covers it.

use super::{Named, line, message, with};
use crate::support::domain::NOW;
use crate::support::forge::{Forge, PAYLOAD, TOPIC, hash, quoted};
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = payloads();
    all.extend(properties());
    all.extend(grants());
    all
}

fn payloads() -> Vec<Named> {
    let token = Forge::honest().token();
    let payload = |name: &str, title: &str, octets: &[u8]| {
        line(
            name,
            "payload",
            title,
            message(token.clone(), TOPIC, octets),
        )
    };
    vec![
        payload(
            "payload-altered",
            "one digit of the payload altered",
            br#"{"t":99.4}"#,
        ),
        payload(
            "payload-truncated",
            "the payload ends early",
            &PAYLOAD[..PAYLOAD.len() - 1],
        ),
        payload(
            "payload-extended",
            "a line end behind the payload",
            b"{\"t\":21.4}\n",
        ),
        payload(
            "payload-emptied",
            "the payload emptied: a forged deletion",
            b"",
        ),
        payload(
            "payload-reencoded",
            "the same JSON written otherwise",
            br#"{ "t": 21.4 }"#,
        ),
        line(
            "payload-of-empty",
            "payload",
            "a payload where an empty one was signed",
            message(Forge::message("sensor", TOPIC, b"").token(), TOPIC, b"x"),
        ),
    ]
}

fn properties() -> Vec<Named> {
    let mut all = Vec::new();
    for (claim, signed, property, altered) in bound_properties() {
        let topic = "site/pump/cmd";
        let command = Forge::message("panel", topic, b"on").claim("aud", "\"device:pump\"");
        let bound = command.clone().claim(claim, &hash(signed));
        let judged = |forge: &Forge, properties: Value| {
            with(
                message(forge.token(), topic, b"on"),
                "properties",
                properties,
            )
        };
        all.push(line(
            &format!("property-{claim}-altered"),
            "property-altered",
            &format!("the property of {claim} altered"),
            judged(&bound, altered),
        ));
        all.push(line(
            &format!("property-{claim}-removed"),
            "property-missing",
            &format!("the property of {claim} removed"),
            judged(&bound, json!({})),
        ));
        all.push(line(
            &format!("property-{claim}-added"),
            "property-unsigned",
            &format!("a property that {claim} does not bind"),
            judged(&command, property),
        ));
    }
    all.extend(user_properties());
    all
}

fn user_properties() -> Vec<Named> {
    let honest = Forge::honest();
    let user = |name: &str, signed: &[u8], received: Value| {
        let line_ = with(
            message(
                honest.clone().claim("upr", &hash(signed)).token(),
                TOPIC,
                PAYLOAD,
            ),
            "properties",
            json!({ "user": received }),
        );
        line(
            name,
            "property-altered",
            "user properties in another order or with other borders",
            line_,
        )
    };
    let mut all = Vec::new();
    all.push(line(
        "property-upr-alike",
        "property-unsigned",
        "an unsigned user property whose name only begins like the agents' own",
        with(
            message(honest.token(), TOPIC, PAYLOAD),
            "properties",
            json!({ "user": [["edgesealed", "1"]] }),
        ),
    ));
    all.push(user(
        "property-upr-swapped",
        b"\0\x01a\0\x011\0\x01b\0\x012",
        json!([["b", "2"], ["a", "1"]]),
    ));
    all.push(user(
        "property-upr-borders",
        b"\0\x02ab\0\x01c",
        json!([["a", "bc"]]),
    ));
    all.push(user(
        "property-upr-doubled",
        b"\0\x01a\0\x011",
        json!([["a", "1"], ["a", "1"]]),
    ));
    all.push(user(
        "property-upr-case",
        b"\0\x01a\0\x011",
        json!([["A", "1"]]),
    ));
    all
}

/// A claim, the octets that its hash is of, the properties that it binds, and others.
fn bound_properties() -> [(&'static str, &'static [u8], Value, Value); 4] {
    [
        (
            "rsp",
            &b"site/panel/reply"[..],
            json!({ "response_topic": "site/panel/reply" }),
            json!({ "response_topic": "site/evil/reply" }),
        ),
        (
            "cor",
            b"\x01",
            json!({ "correlation_data_b64": "AQ==" }),
            json!({ "correlation_data_b64": "Ag==" }),
        ),
        (
            "cty",
            b"text/plain",
            json!({ "content_type": "text/plain" }),
            json!({ "content_type": "text/html" }),
        ),
        (
            "upr",
            b"\0\x01a\0\x011",
            json!({ "user": [["a", "1"]] }),
            json!({ "user": [["a", "2"]] }),
        ),
    ]
}

fn grants() -> Vec<Named> {
    [granted_messages(), granted_responses()].concat()
}

fn granted_messages() -> Vec<Named> {
    let honest = Forge::honest();
    let filter = with(
        message(
            command("panel")
                .claim("rsp", &hash(b"site/panel/+"))
                .token(),
            "site/pump/cmd",
            b"on",
        ),
        "properties",
        json!({ "response_topic": "site/panel/+" }),
    );
    vec![
        line(
            "grant-response-filter",
            "topic-name",
            "a response topic that is a filter",
            filter,
        ),
        line(
            "grant-command-by-sensor",
            "topic-not-granted",
            "a sensor sends a command",
            message(command("sensor").token(), "site/pump/cmd", b"on"),
        ),
        line(
            "grant-audience",
            "audience-not-granted",
            "a broadcast where only commands are granted",
            message(
                Forge::message("panel", "site/pump/cmd", b"on").token(),
                "site/pump/cmd",
                b"on",
            ),
        ),
        line(
            "grant-audience-device",
            "audience-not-granted",
            "a command where only the domain is granted",
            message(
                honest.clone().claim("aud", &quoted("device:pump")).token(),
                TOPIC,
                PAYLOAD,
            ),
        ),
        line(
            "grant-retained",
            "kind-not-granted",
            "a retained statement where none is granted",
            with(
                message(of_type("edgeseal-retained+jwt", 60).token(), TOPIC, PAYLOAD),
                "kind",
                "retained",
            ),
        ),
        line(
            "grant-will",
            "kind-not-granted",
            "a will where none is granted",
            with(
                message(of_type("edgeseal-will+jwt", 60).token(), TOPIC, PAYLOAD),
                "kind",
                "will",
            ),
        ),
    ]
}

fn granted_responses() -> Vec<Named> {
    let honest = Forge::honest();
    let response = with(
        message(
            command("panel")
                .claim("rsp", &hash(b"site/pump/reply"))
                .token(),
            "site/pump/cmd",
            b"on",
        ),
        "properties",
        json!({ "response_topic": "site/pump/reply" }),
    );
    let reserved = with(
        message(
            command("panel")
                .claim("rsp", &hash(b"edgeseal/farm/manifest"))
                .token(),
            "site/pump/cmd",
            b"on",
        ),
        "properties",
        json!({ "response_topic": "edgeseal/farm/manifest" }),
    );
    vec![
        line(
            "grant-response",
            "response-not-granted",
            "a response topic of another device",
            response,
        ),
        line(
            "grant-response-reserved",
            "response-not-granted",
            "a response topic of the agents",
            reserved,
        ),
        line(
            "grant-vouch",
            "vouch-not-granted",
            "a device that may not relays for another",
            message(honest.clone().claim("vch", "true").token(), TOPIC, PAYLOAD),
        ),
        line(
            "kind-retained-for-message",
            "header-typ",
            "a message where the rule wants a retained statement",
            with(message(honest.token(), TOPIC, PAYLOAD), "kind", "retained"),
        ),
        line(
            "kind-will-for-message",
            "header-typ",
            "a message where the rule wants a will",
            with(message(honest.token(), TOPIC, PAYLOAD), "kind", "will"),
        ),
    ]
}

fn command(device: &str) -> Forge {
    Forge::message(device, "site/pump/cmd", b"on").claim("aud", "\"device:pump\"")
}

fn of_type(typ: &str, exp: u64) -> Forge {
    Forge::message("sensor", TOPIC, PAYLOAD)
        .typ(typ)
        .claim("exp", &(NOW + exp).to_string())
}
