//! Devices that cannot sign beside devices that can.

use super::{Place, brief, message, messages_until, publish, subscriber};
use crate::packet::{Connect, Publish};
use crate::raw::Raw;
use crate::world::is_direct;

#[test]
fn old_devices_stay_as_they_are_beside_those_that_sign() {
    if is_direct() {
        return; // a broker alone judges nothing
    }
    let mut place = Place::new(&[("alpha", MIXED), ("beta", MIXED)]);
    let mut panel = subscriber(place.port("beta"), "panel", "#");
    let mut relay = subscriber(place.port("alpha"), "relay", "old/+/temp");
    let mut old = subscriber(place.broker.port(), "old", "old/esp/cmd");

    // It claims to be verified, and writes where others sign.
    let claim = |topic| Publish::new(topic, "20").user("edgeseal-verdict", "verified");
    publish(&mut old, claim("site/alpha/temp"));
    publish(&mut old, claim("relayed/alpha/esp/temp"));
    publish(&mut old, claim("old/esp/temp"));
    let got = message(&mut relay);
    assert_eq!(brief(&got), ["old/esp/temp", "20", "", ""]);
    let relayed = format!("relayed/alpha/{}", &got.topic["old/".len()..]);
    publish(&mut relay, Publish::new(&relayed, &got.payload));
    publish(&mut relay, Publish::new("site/alpha/temp", "21"));
    let wanted = [
        ["old/esp/temp", "20", "", ""],
        ["relayed/alpha/esp/temp", "20", "vouched", "alpha"],
        ["site/alpha/temp", "21", "verified", "alpha"],
    ];
    assert_eq!(messages_until(&mut panel, "21"), wanted);

    // A command to the old device goes as it is; it could read nothing else.
    let mut plain = Raw::connect(place.port("beta"), &Connect::new(5, "switch")).0;
    publish(&mut plain, Publish::new("old/esp/cmd", "on"));
    let got = message(&mut old);
    assert_eq!(
        (got.payload.as_slice(), got.properties.len()),
        (&b"on"[..], 0)
    );
}

const MIXED: &str = r##"
[[rule]]
topic = "old/#"
mode = "pass"

[[rule]]
topic = "relayed/#"
vouch = true
"##;
