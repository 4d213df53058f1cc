//! The topic that the token binds, and that a grant covers.

use super::{Named, line, message};
use crate::support::forge::{Forge, PAYLOAD};

pub fn vectors() -> Vec<Named> {
    [
        granted_topics(),
        any_topics(),
        moved_topics(),
        spelt_topics(),
        signed_topics(),
    ]
    .concat()
}

fn granted_topics() -> Vec<Named> {
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
    ]
}

fn any_topics() -> Vec<Named> {
    vec![
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
    ]
}

fn moved_topics() -> Vec<Named> {
    vec![
        signed_on(
            "topic-level-more",
            "topic-not-granted",
            "a level behind the granted topic",
            "site/sensor/temp/x",
        ),
        signed_on(
            "topic-level-less",
            "topic-not-granted",
            "a level less than the granted topic",
            "site/sensor",
        ),
        signed_on(
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
    ]
}

fn spelt_topics() -> Vec<Named> {
    vec![
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
    ]
}

fn signed_topics() -> Vec<Named> {
    vec![
        signed_on(
            "topic-signed-wildcard",
            "topic-name",
            "a filter signed as a topic",
            "site/sensor/+",
        ),
        signed_on(
            "topic-not-granted",
            "topic-not-granted",
            "a topic that no role grants",
            "site/sensor/door",
        ),
        signed_on(
            "topic-of-other-device",
            "topic-not-granted",
            "another device's topic",
            "site/pump/temp",
        ),
        signed_on(
            "topic-reserved",
            "topic-not-granted",
            "a topic of the agents",
            "edgeseal/farm/manifest",
        ),
        signed_on(
            "topic-system",
            "topic-not-granted",
            "a topic of the broker",
            "$SYS/broker/uptime",
        ),
        signed_on(
            "topic-literal-device",
            "topic-not-granted",
            "the grant's own text as a topic",
            "site/{device}/temp",
        ),
    ]
}

fn on(name: &str, expect: &str, title: &str, topic: &str) -> Named {
    line(
        name,
        expect,
        title,
        message(Forge::honest().token(), topic, PAYLOAD),
    )
}

fn signed_on(name: &str, expect: &str, title: &str, topic: &str) -> Named {
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
}

fn from(device: &str, name: &str, expect: &str, title: &str, topic: &str) -> Named {
    let forge = Forge::message(device, topic, PAYLOAD);
    let received = topic.replace("\\u0000", "\0");
    line(
        name,
        expect,
        title,
        message(forge.token(), &received, PAYLOAD),
    )
}
