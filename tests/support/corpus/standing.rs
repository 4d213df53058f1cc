//! Who sends, for whom, and when: domain, device, key state, subject, audience, time.

use super::{Named, forged, line, message, with};
use crate::support::domain::{ENROLLED, NOW, RETIRED};
use crate::support::forge::{Forge, PAYLOAD, TOPIC, quoted};
use serde_json::Value;

pub fn vectors() -> Vec<Named> {
    let mut all = senders();
    all.extend(audiences());
    all.extend(times());
    all.extend(clocks());
    all
}

fn senders() -> Vec<Named> {
    [domains_and_devices(), key_states(), subjects()].concat()
}

fn domains_and_devices() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "domain-other",
            "domain",
            "issued in another domain",
            &honest.clone().claim("iss", "\"ranch\""),
        ),
        forged(
            "domain-prefix",
            "domain",
            "issued in a domain that begins alike",
            &honest.clone().claim("iss", "\"farms\""),
        ),
        forged(
            "domain-case",
            "domain",
            "the domain in another case",
            &honest.clone().claim("iss", "\"Farm\""),
        ),
        forged(
            "domain-url",
            "domain",
            "the domain as a URL",
            &honest.clone().claim("iss", "\"https://farm\""),
        ),
        line(
            "device-pending",
            "device-pending",
            "a device that is not approved yet",
            from("newcomer"),
        ),
        line(
            "device-suspended",
            "device-suspended",
            "a suspended device",
            from("suspended"),
        ),
        line(
            "device-revoked",
            "device-revoked",
            "a revoked device",
            from("stolen"),
        ),
    ]
}

fn key_states() -> Vec<Named> {
    let honest = Forge::honest();
    let old = Forge::message("rotated", "site/rotated/state", PAYLOAD).typ("edgeseal-retained+jwt");
    let newest = old
        .clone()
        .signed_by(17)
        .claim("exp", &(NOW + 60).to_string());
    vec![
        line(
            "key-revoked",
            "key-revoked",
            "a revoked key of an active device",
            from("burned"),
        ),
        line(
            "key-retired-message",
            "key-retired",
            "a retired key signs a message",
            from("rotated"),
        ),
        line(
            "key-retired-statement-later",
            "key-retired",
            "a retained statement issued at the moment its key was retired",
            state_of(
                old.claim("iat", &RETIRED.to_string())
                    .claim("exp", &(NOW + 60).to_string()),
            ),
        ),
        line(
            "key-retired-message-earlier",
            "key-retired",
            "a message of before its key was retired, still within its lifetime",
            message(
                Forge::message("rotated", "site/rotated/log", PAYLOAD)
                    .claim("iat", &(RETIRED - 5).to_string())
                    .claim("exp", &(NOW - 5).to_string())
                    .token(),
                "site/rotated/log",
                PAYLOAD,
            ),
        ),
        line(
            "key-not-before-statement",
            "key-not-yet-valid",
            "a retained statement of the second before its key was valid",
            state_of(newest.clone().claim("iat", &(RETIRED - 1).to_string())),
        ),
        line(
            "key-at-not-before",
            "verified",
            "a retained statement of the second in which its key became valid",
            state_of(newest.claim("iat", &RETIRED.to_string())),
        ),
        forged(
            "key-not-before",
            "key-not-yet-valid",
            "issued one second before the key was valid",
            &honest.clone().claim("iat", &(ENROLLED - 1).to_string()),
        ),
    ]
}

fn subjects() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "subject-other-device",
            "subject",
            "another device's name over one's own signature",
            &honest.clone().claim("sub", "\"panel\""),
        ),
        forged(
            "subject-unknown",
            "subject",
            "a name that no device has",
            &honest.clone().claim("sub", "\"ghost\""),
        ),
        forged(
            "subject-case",
            "subject",
            "the own name in another case",
            &honest.clone().claim("sub", "\"Sensor\""),
        ),
        forged(
            "subject-empty",
            "subject",
            "an empty subject",
            &honest.clone().claim("sub", "\"\""),
        ),
        forged(
            "subject-space",
            "subject",
            "the own name with a space",
            &honest.claim("sub", "\"sensor \""),
        ),
    ]
}

fn from(device: &str) -> Value {
    let topic = format!("site/{device}/temp");
    message(
        Forge::message(device, &topic, PAYLOAD).token(),
        &topic,
        PAYLOAD,
    )
}

fn state_of(forge: Forge) -> Value {
    with(
        message(forge.token(), "site/rotated/state", PAYLOAD),
        "kind",
        "retained",
    )
}

fn audiences() -> Vec<Named> {
    let command = |audience: &str| {
        let topic = "site/pump/cmd";
        message(
            Forge::message("panel", topic, b"on")
                .claim("aud", &quoted(audience))
                .token(),
            topic,
            b"on",
        )
    };
    let honest = Forge::honest();
    let state = Forge::message("sensor", "site/sensor/state", PAYLOAD)
        .typ("edgeseal-retained+jwt")
        .claim("aud", "\"device:pump\"")
        .claim("exp", &(NOW + 60).to_string());
    vec![
        line(
            "audience-other-device",
            "audience",
            "a command to another device",
            command("device:valve"),
        ),
        line(
            "audience-other-group",
            "audience",
            "a command to a group this device is not in",
            command("group:valves"),
        ),
        forged(
            "audience-other-domain",
            "audience",
            "to another domain",
            &honest.clone().claim("aud", "\"domain:ranch\""),
        ),
        forged(
            "audience-login",
            "audience",
            "a login audience in a message",
            &honest.claim("aud", "\"login:mqtts://broker\""),
        ),
        line(
            "retained-empty",
            "claim-value",
            "a retained statement over the empty payload: a deletion is a message",
            with(
                message(
                    Forge::message("sensor", "site/sensor/state", b"")
                        .typ("edgeseal-retained+jwt")
                        .token(),
                    "site/sensor/state",
                    b"",
                ),
                "kind",
                "retained",
            ),
        ),
        line(
            "not-a-command",
            "not-a-command",
            "a retained statement addressed like a command",
            with(
                message(state.token(), "site/sensor/state", PAYLOAD),
                "kind",
                "retained",
            ),
        ),
    ]
}

fn times() -> Vec<Named> {
    [issued_and_expired(), lifetimes()].concat()
}

fn issued_and_expired() -> Vec<Named> {
    vec![
        forged(
            "expired-by-leeway",
            "expired",
            "expired as long ago as the leeway",
            &lasting(NOW - 70, NOW - 10),
        ),
        forged(
            "expired-hour",
            "expired",
            "expired an hour ago",
            &lasting(NOW - 3_660, NOW - 3_600),
        ),
        forged(
            "expired-zero",
            "expired",
            "exp is 1970",
            &lasting(NOW - 5, 0),
        ),
        forged(
            "expired-before-floor",
            "expired",
            "expired before the manifest in force was issued",
            &lasting(NOW - 86_500, NOW - 86_440),
        ),
        forged(
            "future-beyond-leeway",
            "issued-in-future",
            "issued one second beyond the leeway",
            &lasting(NOW + 11, NOW + 60),
        ),
        forged(
            "future-far",
            "issued-in-future",
            "issued in 2286",
            &lasting(9_999_999_999, 9_999_999_999 + 60),
        ),
        forged(
            "future-end-of-time",
            "issued-in-future",
            "issued at the end of time",
            &lasting(u64::MAX, u64::MAX),
        ),
    ]
}

fn lifetimes() -> Vec<Named> {
    let year = 365 * 86_400;
    vec![
        forged(
            "lifetime-zero",
            "lifetime",
            "exp is iat",
            &lasting(NOW, NOW),
        ),
        forged(
            "lifetime-negative",
            "lifetime",
            "exp is before iat",
            &lasting(NOW + 5, NOW + 1),
        ),
        forged(
            "lifetime-over-ceiling",
            "lifetime",
            "one second longer than any grant may state",
            &lasting(NOW - 5, NOW - 4 + 30 * 86_400),
        ),
        forged(
            "lifetime-for-ever",
            "lifetime",
            "exp at the end of time",
            &lasting(NOW - 5, u64::MAX),
        ),
        forged(
            "lifetime-301",
            "lifetime-exceeded",
            "301 seconds without a grant that states more",
            &lasting(NOW - 5, NOW + 296),
        ),
        line(
            "lifetime-over-grant",
            "lifetime-exceeded",
            "one second longer than the grant states",
            message(
                Forge::message("sensor", "site/sensor/log", PAYLOAD)
                    .claim("exp", &(NOW + 3_596).to_string())
                    .token(),
                "site/sensor/log",
                PAYLOAD,
            ),
        ),
        line(
            "lifetime-retained-over-grant",
            "lifetime-exceeded",
            "a retained statement longer than granted",
            super::honest::retained("sensor", 86_401),
        ),
        line(
            "lifetime-retained-over-ceiling",
            "lifetime",
            "a retained statement of more than a year",
            super::honest::retained("sensor", year + 1),
        ),
    ]
}

fn lasting(iat: u64, exp: u64) -> Forge {
    Forge::honest()
        .claim("iat", &iat.to_string())
        .claim("exp", &exp.to_string())
}

fn clocks() -> Vec<Named> {
    let token = Forge::honest().token();
    let at = |now: u64| with(message(token.clone(), TOPIC, PAYLOAD), "now", now);
    let floor = NOW - 86_400;
    let late = NOW + 1_000_000;
    let issued = |now: u64, iat: u64, exp: u64| {
        let forge = Forge::honest()
            .claim("iat", &iat.to_string())
            .claim("exp", &exp.to_string());
        with(message(forge.token(), TOPIC, PAYLOAD), "now", now)
    };
    vec![
        line(
            "clock-1970",
            "clock-behind-floor",
            "a receiver whose clock says 1970",
            at(0),
        ),
        line(
            "clock-behind-floor",
            "clock-behind-floor",
            "a receiver one second behind the manifest in force",
            at(NOW - 86_401),
        ),
        line(
            "clock-slow",
            "issued-in-future",
            "a receiver an hour behind",
            at(NOW - 3_600),
        ),
        line(
            "clock-fast",
            "expired",
            "a receiver an hour ahead",
            at(NOW + 3_600),
        ),
        line(
            "trust-stale",
            "trust-stale",
            "trust data past its grace period",
            issued(late + 604_800, late + 604_795, late + 604_855),
        ),
        line(
            "trust-stale-in-grace",
            "verified",
            "trust data that expired, in the last second of its grace period",
            issued(late + 604_799, late + 604_795, late + 604_855),
        ),
        line(
            "clock-behind-floor-fresh",
            "clock-behind-floor",
            "a receiver one second behind, and a token that its clock would take",
            issued(floor - 1, floor - 1, floor + 59),
        ),
        line(
            "clock-at-floor",
            "verified",
            "a receiver whose clock has just reached the manifest in force",
            issued(floor, floor - 1, floor + 59),
        ),
        line(
            "expired-by-floor",
            "expired",
            "expired before the floor, however large the leeway",
            issued(floor + 2, floor - 50, floor - 1),
        ),
        line(
            "expired-by-floor-without-clock",
            "expired",
            "expired before the floor: certain even where the clock counts for nothing",
            issued(0, floor - 50, floor - 1),
        ),
    ]
}
