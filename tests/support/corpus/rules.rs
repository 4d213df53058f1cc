//! What depends on the receiver: its rule for the topic, its leeway, its clock. Honest tokens all,
//! each judged under a rule that its file names.

use super::{Named, line, message, ruled, with};
use crate::support::domain::NOW;
use crate::support::forge::{Forge, PAYLOAD, TOPIC, hash, quoted};
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = ages();
    all.extend(observers());
    all.extend(bridges());
    all.extend(commands());
    all.extend(clocks());
    all
}

fn ages() -> Vec<Named> {
    let honest = message(Forge::honest().token(), TOPIC, PAYLOAD);
    let age = |seconds: u64| json!({ "max_age_seconds": seconds });
    vec![
        ruled(
            "overage",
            "overage",
            "one second older than the receiver's rule allows",
            honest.clone(),
            age(4),
        ),
        ruled(
            "rule-age-at-limit",
            "verified",
            "as old as the receiver's rule allows",
            honest,
            age(5),
        ),
        ruled(
            "rule-age-retained",
            "verified",
            "an old retained statement is a state, not an event: the age does not refuse it",
            super::honest::retained("sensor", 3_600),
            age(4),
        ),
    ]
}

fn observers() -> Vec<Named> {
    let any = json!({ "audience": "any" });
    let addressed = |topic: &str, audience: &str| {
        let forge = Forge::message("panel", topic, b"on").claim("aud", &quoted(audience));
        message(forge.token(), topic, b"on")
    };
    let broadcast = |audience: &str| {
        let forge = Forge::honest().claim("aud", &quoted(audience));
        message(forge.token(), TOPIC, PAYLOAD)
    };
    let observed = |name: &str, expect: &str, title: &str, judged| {
        ruled(name, expect, title, judged, any.clone())
    };
    vec![
        observed(
            "observer-other-device",
            "verified",
            "an observer reads a command to another device",
            addressed("site/valve/cmd", "device:valve"),
        ),
        observed(
            "observer-other-group",
            "audience-not-granted",
            "an observer reads a command to a group that the sender may not address",
            addressed("site/valve/cmd", "group:valves"),
        ),
        observed(
            "observer-device-not-granted",
            "audience-not-granted",
            "an observer reads a note to a device that the sender may not address",
            addressed("site/panel/note", "device:valve"),
        ),
        observed(
            "observer-any-group",
            "verified",
            "an observer reads a note to any group",
            addressed("site/panel/note", "group:valves"),
        ),
        observed(
            "observer-other-domain",
            "audience",
            "another domain is nobody's audience here, not even an observer's",
            broadcast("domain:ranch"),
        ),
        observed(
            "observer-login",
            "audience",
            "nor is a login",
            broadcast("login:mqtts://broker"),
        ),
        observed(
            "observer-unknown-type",
            "claim-value",
            "nor an audience of an unknown type",
            broadcast("role:pump"),
        ),
    ]
}

fn bridges() -> Vec<Named> {
    let mapped =
        |remove: &str, add: &str| json!({ "as_published": { "remove": remove, "add": add } });
    let from_pump = |signed: &str, received: &str| {
        message(
            Forge::message("pump", signed, PAYLOAD).token(),
            received,
            PAYLOAD,
        )
    };
    vec![
        ruled(
            "bridge-prefix-removed",
            "verified",
            "a bridge put a prefix in front, the rule removes it",
            from_pump("site/pump/x", "remote/site/pump/x"),
            mapped("remote/", ""),
        ),
        ruled(
            "bridge-prefix-added",
            "verified",
            "a bridge took a prefix away, the rule adds it",
            from_pump("site/pump/x", "pump/x"),
            mapped("", "site/"),
        ),
        ruled(
            "bridge-prefix-missing",
            "topic",
            "the prefix that the bridge adds is not there",
            from_pump("site/pump/x", "site/pump/x"),
            mapped("remote/", ""),
        ),
        ruled(
            "bridge-other-topic",
            "topic",
            "moved to another topic behind the bridge",
            from_pump("site/pump/x", "remote/site/pump/y"),
            mapped("remote/", ""),
        ),
        ruled(
            "bridge-prefix-not-signed",
            "topic",
            "signed without the prefix that the rule adds",
            from_pump("site/pump/x", "site/pump/x"),
            mapped("", "far/"),
        ),
        ruled(
            "bridge-grant-on-signed",
            "topic-not-granted",
            "the grant is judged on the topic that was signed",
            from_pump("site/valve/x", "site/pump/x"),
            mapped("site/pump/", "site/valve/"),
        ),
        ruled(
            "bridge-signed-too-long",
            "topic-name",
            "a topic that is too long as it was signed",
            from_pump(
                &format!("site/pump/{}", "x".repeat(1_020)),
                &"x".repeat(1_020),
            ),
            mapped("", "site/pump/"),
        ),
    ]
}

fn commands() -> Vec<Named> {
    let command = json!({ "command": true });
    let will = with(
        message(
            Forge::message("sensor", "site/sensor/online", b"0")
                .typ("edgeseal-will+jwt")
                .token(),
            "site/sensor/online",
            b"0",
        ),
        "kind",
        "will",
    );
    let user = with(
        message(Forge::honest().token(), TOPIC, PAYLOAD),
        "properties",
        json!({ "user": [["a", "1"]] }),
    );
    let typed = with(
        message(
            Forge::honest().claim("cty", &hash(b"a")).token(),
            TOPIC,
            PAYLOAD,
        ),
        "properties",
        json!({ "content_type": "b", "user": [["a", "1"]] }),
    );
    vec![
        ruled(
            "command-retained",
            "not-a-command",
            "a retained statement on a topic that carries commands",
            super::honest::retained("sensor", 3_600),
            command.clone(),
        ),
        ruled(
            "command-will",
            "not-a-command",
            "a will on a topic that carries commands",
            will,
            command,
        ),
        ruled(
            "rule-user-properties-removed",
            "verified",
            "unsigned user properties where the rule removes them",
            user,
            json!({ "user_properties": "ignore" }),
        ),
        ruled(
            "rule-other-properties-stay",
            "property-altered",
            "the other properties stay bound where user properties are removed",
            typed,
            json!({ "user_properties": "ignore" }),
        ),
    ]
}

fn clocks() -> Vec<Named> {
    let honest = message(Forge::honest().token(), TOPIC, PAYLOAD);
    let expired = |seconds: u64| {
        let forge = Forge::honest()
            .claim("iat", &(NOW - seconds - 60).to_string())
            .claim("exp", &(NOW - seconds).to_string());
        message(forge.token(), TOPIC, PAYLOAD)
    };
    let meter = |now: u64| {
        let topic = "site/meter/temp";
        let forge = Forge::message("meter", topic, PAYLOAD)
            .claim("iat", &now.to_string())
            .claim("exp", &(now + 60).to_string());
        with(message(forge.token(), topic, PAYLOAD), "now", now)
    };
    let leeway = |seconds: u64| json!({ "leeway_seconds": seconds });
    let unsynchronized: Value = json!({ "synchronized": false });
    vec![
        ruled(
            "leeway-none",
            "expired",
            "expired one second ago, and no leeway",
            expired(1),
            leeway(0),
        ),
        ruled(
            "leeway-largest",
            "verified",
            "expired 59 seconds ago under the largest leeway",
            expired(59),
            leeway(60),
        ),
        ruled(
            "leeway-over-ceiling",
            "expired",
            "a leeway of an hour counts as the largest",
            expired(60),
            leeway(3_600),
        ),
        ruled(
            "clock-unsynchronized",
            "clock-unsynchronized",
            "a receiver that does not believe its own clock",
            honest.clone(),
            unsynchronized,
        ),
        ruled(
            "clock-unsynchronized-allowed",
            "verified",
            "a receiver that is told to believe it",
            honest,
            json!({ "synchronized": false, "unsynchronized": "allow" }),
        ),
        line(
            "manifest-age-at-limit",
            "verified",
            "a manifest as old as the sender's role allows",
            meter(NOW + 3_600),
        ),
        line(
            "manifest-too-old",
            "manifest-too-old",
            "a manifest one second older than the sender's role allows",
            meter(NOW + 3_601),
        ),
    ]
}
