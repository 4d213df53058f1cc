//! What was accepted before: replay, windows, epochs, order, wills, clones, the start.

use super::{Named, Vector, message, with};
use crate::support::domain::NOW;
use crate::support::forge::{Forge, PAYLOAD, TOPIC, quoted};
use serde_json::{Value, json};

pub fn vectors() -> Vec<Named> {
    let mut all = messages();
    all.extend(statements());
    all.extend(order());
    all.extend(wills());
    all.extend(starts());
    all
}

fn messages() -> Vec<Named> {
    [repeated(), epochs()].concat()
}

fn repeated() -> Vec<Named> {
    let first = temperature("3.1.100", PAYLOAD);
    let resigned = {
        let forge = Forge::honest()
            .claim("iat", &(NOW - 4).to_string())
            .claim("exp", &(NOW + 56).to_string());
        message(forge.token(), TOPIC, PAYLOAD)
    };
    vec![
        after(
            "replay-same-token",
            "replay",
            "the same token again",
            std::slice::from_ref(&first),
            first.clone(),
        ),
        after(
            "replay-resigned",
            "replay",
            "the same message signed anew under its id",
            std::slice::from_ref(&first),
            resigned,
        ),
        after(
            "replay-late",
            "replay",
            "an older message again, after newer ones",
            &[
                first.clone(),
                temperature("3.1.101", PAYLOAD),
                temperature("3.1.150", PAYLOAD),
            ],
            first.clone(),
        ),
        after(
            "replay-new-consumer",
            "replay",
            "again, to a consumer not known before",
            std::slice::from_ref(&first),
            with(first.clone(), "consumer", "other"),
        ),
        after(
            "replay-previous-epoch",
            "replay",
            "a message of the epoch before, again",
            &[first.clone(), temperature("4.1.1", PAYLOAD)],
            first.clone(),
        ),
        after(
            "window-edge",
            "verified",
            "511 counters behind is still inside the window",
            &[temperature("3.1.1000", PAYLOAD)],
            temperature("3.1.489", PAYLOAD),
        ),
        after(
            "window-passed",
            "window-passed",
            "512 counters behind",
            &[temperature("3.1.1000", PAYLOAD)],
            temperature("3.1.488", PAYLOAD),
        ),
    ]
}

fn epochs() -> Vec<Named> {
    let first = temperature("3.1.100", PAYLOAD);
    let other_topic = {
        let topic = "site/sensor/log";
        message(
            Forge::message("sensor", topic, PAYLOAD).token(),
            topic,
            PAYLOAD,
        )
    };
    vec![
        after(
            "streams-apart",
            "verified",
            "the same counter in the other stream",
            std::slice::from_ref(&first),
            temperature("3.0.100", PAYLOAD),
        ),
        after(
            "epoch-before",
            "verified",
            "queued since before the sender rebooted",
            &[first.clone(), temperature("4.1.1", PAYLOAD)],
            temperature("3.1.101", PAYLOAD),
        ),
        after(
            "epoch-over",
            "old-epoch",
            "of an epoch before the previous one",
            &[
                first.clone(),
                temperature("4.1.1", PAYLOAD),
                temperature("5.1.1", PAYLOAD),
            ],
            temperature("3.1.101", PAYLOAD),
        ),
        after(
            "epoch-never-seen",
            "old-epoch",
            "of a lower epoch that was never seen",
            &[temperature("7.1.1", PAYLOAD), temperature("9.1.1", PAYLOAD)],
            temperature("8.1.1", PAYLOAD),
        ),
        after(
            "clone-other-payload",
            "clone-proven",
            "another payload under the same id",
            std::slice::from_ref(&first),
            temperature("3.1.100", b"{\"t\":99}"),
        ),
        after(
            "clone-other-topic",
            "clone-proven",
            "another topic under the same id",
            &[first],
            other_topic,
        ),
    ]
}

fn statements() -> Vec<Named> {
    let first = statement("3.1.100", b"on");
    let newer = statement("3.1.101", b"off");
    let deletion = deletion("site/sensor/log", "3.1.102");
    vec![
        after(
            "retained-again",
            "verified",
            "the same retained statement, as every SUBSCRIBE sends it",
            std::slice::from_ref(&first),
            first.clone(),
        ),
        after(
            "retained-superseded",
            "superseded",
            "a retained statement older than one seen",
            std::slice::from_ref(&newer),
            first.clone(),
        ),
        after(
            "retained-old-epoch",
            "superseded",
            "a retained statement of an epoch before",
            &[statement("4.1.1", b"off")],
            newer,
        ),
        after(
            "deletion-again",
            "replay",
            "a deletion is a message: it does not repeat",
            std::slice::from_ref(&deletion),
            deletion.clone(),
        ),
        after(
            "will-again",
            "will-spent",
            "a will that was accepted before",
            &[will("3.1.90")],
            will("3.1.90"),
        ),
        after(
            "will-other-connection",
            "verified",
            "the will of another connection in the same epoch",
            &[will("3.1.90")],
            will("3.1.80"),
        ),
        after(
            "will-after-reboot",
            "will-spent",
            "a will from before the sender rebooted",
            &[temperature("4.1.1", PAYLOAD)],
            will("3.1.90"),
        ),
    ]
}

fn order() -> Vec<Named> {
    [other_contents(), later_and_earlier()].concat()
}

fn other_contents() -> Vec<Named> {
    vec![
        after(
            "clone-statement-other-payload",
            "clone-proven",
            "another retained statement under the same id",
            &[statement("3.1.100", b"on")],
            statement("3.1.100", b"off"),
        ),
        after(
            "clone-other-kind",
            "clone-proven",
            "a will under the id of a retained statement",
            &[statement("3.1.100", b"0")],
            will("3.1.100"),
        ),
    ]
}

fn later_and_earlier() -> Vec<Named> {
    let at = |id: &str, iat: u64| statement_by("sensor", 18, id, iat, b"on");
    let key = |seed: u8, id: &str, iat: u64| statement_by("rotated", seed, id, iat, b"on");
    let deletion = |id: &str| deletion("site/sensor/state", id);
    vec![
        after(
            "order-other-stream-earlier",
            "superseded",
            "a statement of the other stream, issued earlier",
            &[at("3.1.100", NOW - 5)],
            at("3.0.200", NOW - 6),
        ),
        after(
            "order-other-stream-later",
            "verified",
            "a statement of the other stream, issued later, whatever its counter",
            &[at("3.1.100", NOW - 5)],
            at("3.0.5", NOW - 4),
        ),
        after(
            "order-stream-resumed",
            "superseded",
            "a counter below one of its own stream, with a statement of the other between",
            &[at("3.1.100", NOW - 5), at("3.0.5", NOW - 4)],
            at("3.1.99", NOW - 3),
        ),
        after(
            "order-other-key-earlier",
            "superseded",
            "a statement under another key, issued earlier, with a higher counter",
            &[key(17, "3.1.100", NOW - 5)],
            key(16, "3.1.200", NOW - 6),
        ),
        after(
            "order-other-key-later",
            "verified",
            "a statement under another key, issued later, with a lower counter",
            &[key(16, "3.1.100", NOW - 6)],
            key(17, "1.1.1", NOW - 5),
        ),
        after(
            "order-other-consumer",
            "verified",
            "an older statement, to a consumer that has not seen the newer one",
            &[statement("3.1.101", b"off")],
            with(statement("3.1.100", b"on"), "consumer", "other"),
        ),
        after(
            "deletion-superseded",
            "superseded",
            "a deletion older than the newest statement",
            &[statement("3.1.101", b"on")],
            deletion("3.1.100"),
        ),
        after(
            "deletion-supersedes",
            "superseded",
            "a statement older than its deletion",
            &[deletion("3.1.101")],
            statement("3.1.100", b"on"),
        ),
        after(
            "deletion-then-newer",
            "verified",
            "a statement newer than the deletion",
            &[deletion("3.1.101")],
            statement("3.1.102", b"on"),
        ),
    ]
}

fn wills() -> Vec<Named> {
    let kept = |id: &str| with(will(id), "retain", true);
    vec![
        after(
            "will-kept",
            "verified",
            "a will that the broker keeps, as every SUBSCRIBE sends it",
            &[kept("3.1.90")],
            kept("3.1.90"),
        ),
        after(
            "will-kept-superseded",
            "superseded",
            "a will that the broker keeps, after a newer statement",
            &[kept("3.1.90"), deletion("site/sensor/online", "3.1.95")],
            kept("3.1.90"),
        ),
        after(
            "will-after-reboot-elsewhere",
            "will-spent",
            "a will from before the sender rebooted, which another consumer has seen",
            &[with(temperature("4.1.1", PAYLOAD), "consumer", "other")],
            will("3.1.90"),
        ),
    ]
}

fn starts() -> Vec<Named> {
    let since = |name: &str, expect: &str, title: &str, since: u64, rule: Option<Value>| {
        let (name, mut vector) = after(name, expect, title, &[], temperature("3.1.100", PAYLOAD));
        vector.since = Some(since);
        vector.rule = rule;
        (name, vector)
    };
    let restored = |name: &str, expect: &str, title: &str, rule: Value| {
        let (name, mut vector) = after(name, expect, title, &[], temperature("3.1.100", PAYLOAD));
        vector.rule = Some(rule);
        (name, vector)
    };
    let issued = NOW - 5;
    vec![
        since(
            "start-after",
            "verified",
            "issued after the receiver began to remember, beyond the leeway",
            issued - 11,
            None,
        ),
        since(
            "start-at-leeway",
            "before-start",
            "issued within the leeway after the start",
            issued - 10,
            None,
        ),
        since(
            "start-before",
            "before-start",
            "issued before the start",
            NOW,
            None,
        ),
        since(
            "start-harmless",
            "verified",
            "issued before the start, where a repeat does no harm",
            NOW,
            Some(json!({ "after_power_loss": true })),
        ),
        since(
            "start-command",
            "before-start",
            "a command is never taken from before the start",
            NOW,
            Some(json!({ "after_power_loss": true, "command": true })),
        ),
        restored(
            "start-restored",
            "verified",
            "issued before the start, by a receiver that kept its memory",
            json!({ "start": NOW }),
        ),
        restored(
            "start-restored-command",
            "before-start",
            "a command is not taken from before the start even then",
            json!({ "start": NOW, "command": true }),
        ),
    ]
}

fn temperature(id: &str, payload: &[u8]) -> Value {
    message(
        Forge::message("sensor", TOPIC, payload)
            .claim("jti", &quoted(id))
            .token(),
        TOPIC,
        payload,
    )
}

fn statement(id: &str, payload: &[u8]) -> Value {
    statement_by("sensor", 18, id, NOW - 5, payload)
}

fn statement_by(device: &str, seed: u8, id: &str, iat: u64, payload: &[u8]) -> Value {
    let topic = format!("site/{device}/state");
    let forge = Forge::message(device, &topic, payload)
        .signed_by(seed)
        .typ("edgeseal-retained+jwt")
        .claim("jti", &quoted(id))
        .claim("iat", &iat.to_string())
        .claim("exp", &(NOW + 3_600).to_string());
    with(message(forge.token(), &topic, payload), "kind", "retained")
}

fn deletion(topic: &str, id: &str) -> Value {
    let forge = Forge::message("sensor", topic, b"").claim("jti", &quoted(id));
    with(message(forge.token(), topic, b""), "retain", true)
}

fn will(id: &str) -> Value {
    let topic = "site/sensor/online";
    let forge = Forge::message("sensor", topic, b"0")
        .typ("edgeseal-will+jwt")
        .claim("jti", &quoted(id))
        .claim("exp", &(NOW + 86_400).to_string());
    with(message(forge.token(), topic, b"0"), "kind", "will")
}

fn after(name: &str, expect: &str, title: &str, before: &[Value], line: Value) -> Named {
    let vector = Vector {
        title: title.to_owned(),
        expect: expect.to_owned(),
        before: before.to_vec(),
        line,
        rule: None,
        since: None,
    };
    (name.to_owned(), vector)
}
