//! What the token binds: payload, topic, properties; and whether a grant covers it.

use super::{Named, line, message, with};
use crate::support::domain::NOW;
use crate::support::forge::{Forge, PAYLOAD, TOPIC, hash, quoted};
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = payloads();
    all.extend(topics());
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

fn topics() -> Vec<Named> {
    let token = Forge::honest().token();
    let on = |name: &str, expect: &str, title: &str, topic: &str| {
        line(name, expect, title, message(token.clone(), topic, PAYLOAD))
    };
    let signed = |name: &str, expect: &str, title: &str, topic: &str| {
        line(
            name,
            expect,
            title,
            message(
                Forge::message("sensor", topic, PAYLOAD).token(),
                topic,
                PAYLOAD,
            ),
        )
    };
    let from = |device: &str, name: &str, expect: &str, title: &str, topic: &str| {
        let forge = Forge::message(device, topic, PAYLOAD);
        let received = topic.replace("\\u0000", "\0");
        line(
            name,
            expect,
            title,
            message(forge.token(), &received, PAYLOAD),
        )
    };
    vec![
        from(
            "pump",
            "topic-granted-hash",
            "verified",
            "levels that # stands for",
            "site/pump/a/b",
        ),
        from(
            "pump",
            "topic-granted-hash-parent",
            "verified",
            "# stands for no level as well",
            "site/pump",
        ),
        from(
            "pump",
            "topic-signed-plus",
            "topic-name",
            "a filter with +, granted by its shape",
            "site/pump/+",
        ),
        from(
            "pump",
            "topic-signed-hash",
            "topic-name",
            "a filter with #, granted by its shape",
            "site/pump/#",
        ),
        from(
            "pump",
            "topic-signed-nul",
            "topic-name",
            "a NUL in a topic that would be granted",
            "site/pump/\\u0000",
        ),
        from(
            "pump",
            "topic-signed-long",
            "topic-name",
            "a topic of 1,025 octets that would be granted",
            &format!("site/pump/{}", "x".repeat(1_015)),
        ),
        from(
            "pump",
            "topic-longest",
            "verified",
            "a topic of 1,024 octets",
            &format!("site/pump/{}", "x".repeat(1_014)),
        ),
        from(
            "bridge",
            "topic-any",
            "verified",
            "a grant for every topic",
            "any/where",
        ),
        from(
            "bridge",
            "topic-any-reserved",
            "topic-not-granted",
            "not even # stands for topics of the agents",
            "edgeseal/farm/manifest",
        ),
        from(
            "bridge",
            "topic-any-reserved-level",
            "topic-not-granted",
            "nor for their first level alone",
            "edgeseal",
        ),
        from(
            "bridge",
            "topic-any-reserved-alike",
            "verified",
            "a first level that only begins alike",
            "edgesealed/x",
        ),
        from(
            "bridge",
            "topic-any-system",
            "topic-not-granted",
            "# in front does not stand for topics of the broker",
            "$SYS/broker/uptime",
        ),
        signed(
            "topic-level-more",
            "topic-not-granted",
            "a level behind the granted topic",
            "site/sensor/temp/x",
        ),
        signed(
            "topic-level-less",
            "topic-not-granted",
            "a level less than the granted topic",
            "site/sensor",
        ),
        signed(
            "topic-level-empty",
            "topic-not-granted",
            "an empty level behind the granted topic",
            "site/sensor/temp/",
        ),
        line(
            "topic-plus-two-levels",
            "topic-not-granted",
            "two levels where + stands for one",
            message(
                Forge::message("panel", "site/a/b/cmd", b"on")
                    .claim("aud", "\"device:pump\"")
                    .token(),
                "site/a/b/cmd",
                b"on",
            ),
        ),
        on(
            "topic-other",
            "topic",
            "moved to another topic",
            "site/sensor/door",
        ),
        on(
            "topic-other-device",
            "topic",
            "moved to another device's topic",
            "site/pump/temp",
        ),
        on(
            "topic-case",
            "topic",
            "the topic in another case",
            "site/sensor/Temp",
        ),
        on(
            "topic-slash-behind",
            "topic",
            "a level more",
            "site/sensor/temp/",
        ),
        on(
            "topic-slash-before",
            "topic",
            "a level in front",
            "/site/sensor/temp",
        ),
        on(
            "topic-double-slash",
            "topic",
            "an empty level inside",
            "site//sensor/temp",
        ),
        on(
            "topic-parent",
            "topic",
            "a path that would lead back",
            "site/sensor/x/../temp",
        ),
        on(
            "topic-prefix",
            "topic",
            "with a bridge's prefix that no rule removes",
            "remote/site/sensor/temp",
        ),
        on("topic-empty", "topic-name", "delivered on no topic", ""),
        on(
            "topic-wildcard-plus",
            "topic-name",
            "delivered on a filter with +",
            "site/+/temp",
        ),
        on(
            "topic-wildcard-hash",
            "topic-name",
            "delivered on a filter with #",
            "site/#",
        ),
        on(
            "topic-nul",
            "topic-name",
            "a NUL in the topic",
            "site/sensor/temp\0",
        ),
        on(
            "topic-long",
            "topic-name",
            "a topic of more than 1,024 octets",
            &"x".repeat(1_025),
        ),
        line(
            "topic-normalization",
            "topic",
            "another Unicode form of the same text",
            message(
                Forge::message("pump", "site/pump/e\\u0301", PAYLOAD).token(),
                "site/pump/é",
                PAYLOAD,
            ),
        ),
        signed(
            "topic-signed-wildcard",
            "topic-name",
            "a filter signed as a topic",
            "site/sensor/+",
        ),
        signed(
            "topic-not-granted",
            "topic-not-granted",
            "a topic that no role grants",
            "site/sensor/door",
        ),
        signed(
            "topic-of-other-device",
            "topic-not-granted",
            "another device's topic",
            "site/pump/temp",
        ),
        signed(
            "topic-reserved",
            "topic-not-granted",
            "a topic of the agents",
            "edgeseal/farm/manifest",
        ),
        signed(
            "topic-system",
            "topic-not-granted",
            "a topic of the broker",
            "$SYS/broker/uptime",
        ),
        signed(
            "topic-literal-device",
            "topic-not-granted",
            "the grant's own text as a topic",
            "site/{device}/temp",
        ),
    ]
}

fn properties() -> Vec<Named> {
    let mut all = Vec::new();
    for (claim, signed, property, altered) in [
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
    ] {
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

fn grants() -> Vec<Named> {
    let honest = Forge::honest();
    let command = |device: &str| {
        Forge::message(device, "site/pump/cmd", b"on").claim("aud", "\"device:pump\"")
    };
    let online = |typ: &str, exp: u64| {
        Forge::message("sensor", TOPIC, PAYLOAD)
            .typ(typ)
            .claim("exp", &(NOW + exp).to_string())
    };
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
                message(online("edgeseal-retained+jwt", 60).token(), TOPIC, PAYLOAD),
                "kind",
                "retained",
            ),
        ),
        line(
            "grant-will",
            "kind-not-granted",
            "a will where none is granted",
            with(
                message(online("edgeseal-will+jwt", 60).token(), TOPIC, PAYLOAD),
                "kind",
                "will",
            ),
        ),
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
