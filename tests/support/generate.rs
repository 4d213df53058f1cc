//! Tokens by the thousand, from a fixed seed: honest ones, and mutations of them.

use super::domain::{self, NOW};
use super::forge::{Forge, PAYLOAD, TOPIC, hash, object, quoted, sign};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};

/// An honest message, with the line that a verifier reads of it.
pub struct Honest {
    pub forge: Forge,
    pub token: String,
    pub line: Value,
}

/// Numbers that look random and are the same in every run (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// The honest messages that everything is made of.
pub fn honest() -> Vec<Honest> {
    let command = Forge::message("panel", "site/pump/cmd", b"on").claim("aud", "\"device:pump\"");
    let bound = command
        .clone()
        .claim("aud", "\"group:pumps\"")
        .claim("rsp", &hash(b"site/panel/reply"))
        .claim("cor", &hash(&[0, 1, 255]))
        .claim("cty", &hash(b"text/plain"))
        .claim("upr", &hash(b"\0\x01a\0\x011"));
    let properties = json!({
        "response_topic": "site/panel/reply",
        "correlation_data_b64": "AAH/",
        "content_type": "text/plain",
        "user": [["a", "1"], ["edgeseal-x", "left out"]],
    });
    let later = |forge: Forge, seconds: u64| forge.claim("exp", &(NOW + seconds).to_string());
    let made = |forge: Forge, topic: &str, payload: &[u8], kind: &str| Honest {
        token: forge.token(),
        line: json!({
            "topic": topic, "payload_b64": BASE64.encode(payload), "kind": kind,
        }),
        forge,
    };
    let mut with_properties = made(bound, "site/pump/cmd", b"on", "message");
    with_properties.line["properties"] = properties;
    let log = later(Forge::message("sensor", "site/sensor/log", PAYLOAD), 3_000);
    let vouched = Forge::message("gateway", "legacy/meter", PAYLOAD).claim("vch", "true");
    let state = Forge::message("sensor", "site/sensor/state", PAYLOAD).typ("edgeseal-retained+jwt");
    let online = Forge::message("sensor", "site/sensor/online", b"0").typ("edgeseal-will+jwt");
    vec![
        made(Forge::honest(), TOPIC, PAYLOAD, "message"),
        made(log, "site/sensor/log", PAYLOAD, "message"),
        made(command, "site/pump/cmd", b"on", "message"),
        with_properties,
        made(vouched, "legacy/meter", PAYLOAD, "message"),
        made(
            later(state, 80_000),
            "site/sensor/state",
            PAYLOAD,
            "retained",
        ),
        made(later(online, 600_000), "site/sensor/online", b"0", "will"),
    ]
}

/// A mutation of an honest token that nobody could sign who has not its sender's key; never the
/// token itself.
pub fn mutant(random: &mut Random, all: &[Honest], honest: &Honest) -> Vec<u8> {
    loop {
        let token = mutated(random, all, honest);
        if token != honest.token.as_bytes() {
            return token;
        }
    }
}

fn mutated(random: &mut Random, all: &[Honest], honest: &Honest) -> Vec<u8> {
    let other = random.pick(all);
    let parts = |token: &str| -> Vec<String> { token.split('.').map(str::to_owned).collect() };
    let (mut mine, theirs) = (parts(&honest.token), parts(&other.token));
    match random.below(8) {
        0 | 1 => return disturbed(random, honest.token.as_bytes(), other.token.as_bytes()),
        2 => {
            let length = random.below(honest.token.len());
            return honest.token.as_bytes()[..length].to_vec();
        }
        3 => {
            let place = random.below(3);
            mine[place].clone_from(&theirs[random.below(3)]);
        }
        4 => {
            let place = random.below(3);
            let octets = BASE64URL_NOPAD.decode(mine[place].as_bytes()).unwrap();
            let other = BASE64URL_NOPAD.decode(theirs[place].as_bytes()).unwrap();
            mine[place] = BASE64URL_NOPAD.encode(&disturbed(random, &octets, &other));
        }
        5 => mine[0] = BASE64URL_NOPAD.encode(&object(&edited(random, &honest.forge).header)),
        6 => mine[1] = BASE64URL_NOPAD.encode(&object(&edited(random, &honest.forge).claims)),
        _ => {
            let forge = edited(random, &honest.forge);
            let seed = *random.pick(&STRANGERS);
            let forge = match random.below(3) {
                0 => Forge { seed, ..forge },
                1 => forge.signed_by(seed),
                _ => match domain::MEMBERS
                    .iter()
                    .find(|m| m.keys.iter().any(|k| k.0 == seed))
                {
                    Some(member) => forge.signed_by(seed).claim("sub", &quoted(member.id)),
                    None => forge.signed_by(seed),
                },
            };
            return forge.token().into_bytes();
        }
    }
    mine.join(".").into_bytes()
}

/// A token that the sender itself signed, whatever it says, and the line it is judged in.
pub fn signed(random: &mut Random, all: &[Honest]) -> Value {
    let honest = random.pick(all);
    let other = random.pick(all);
    let mut forge = honest.forge.clone();
    for _ in 0..random.below(4) {
        forge = edited(random, &forge);
    }
    let (mut header, mut claims) = (object(&forge.header), object(&forge.claims));
    match random.below(6) {
        0 => header = disturbed(random, &header, &object(&other.forge.header)),
        1 | 2 => claims = disturbed(random, &claims, &object(&other.forge.claims)),
        _ => {}
    }
    let mut line = honest.line.clone();
    if random.below(4) == 0 {
        let (name, text) = *random.pick(&LINE_EDITS);
        line[name] = serde_json::from_str(text).unwrap();
    }
    line["token"] = sign(&header, &claims, &domain::key(forge.seed)).into();
    line
}

/// One or two small changes anywhere in the octets.
fn disturbed(random: &mut Random, octets: &[u8], other: &[u8]) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for _ in 0..=random.below(2) {
        let place = random.below(octets.len().max(1)).min(octets.len());
        let end = (place + 1 + random.below(8)).min(octets.len());
        let fitting = *random.pick(FITTING);
        match random.below(8) {
            0 | 1 if place < octets.len() => octets[place] ^= 1 << random.below(8),
            2 => octets.insert(place, u8::try_from(random.below(256)).unwrap()),
            3 => octets.insert(place, fitting),
            4 if place < octets.len() => octets[place] = fitting,
            5 => drop(octets.drain(place..end)),
            6 => {
                let again: Vec<u8> = octets[place..end].to_vec();
                octets.splice(place..place, again);
            }
            _ => {
                let from = random.below(other.len());
                let till = (from + 1 + random.below(8)).min(other.len());
                octets.splice(place..end, other[from..till].iter().copied());
            }
        }
    }
    octets
}

/// One member of header or claims set, doubled or removed.
fn edited(random: &mut Random, forge: &Forge) -> Forge {
    let forge = forge.clone();
    if random.below(5) == 0 {
        let name = *random.pick(&["alg", "typ", "kid", "crit", "jwk", "\\u0061lg"]);
        let json = *random.pick(VALUES);
        return match random.below(4) {
            0 => forge.without_header(name),
            1 => forge.header_again(name, json),
            _ => forge.header(name, json),
        };
    }
    let name = *random.pick(NAMES);
    let mut json = *random.pick(VALUES);
    let number = ["iat", "exp", "tsq", "cap"].contains(&name);
    for _ in 0..random.below(6) {
        let fits = json.starts_with(|first: char| first.is_ascii_digit() == number);
        if fits && (number || json.starts_with('"')) {
            break;
        }
        json = *random.pick(VALUES);
    }
    match random.below(6) {
        0 => forge.without_claim(name),
        1 => forge.claim_again(name, json),
        _ => forge.claim(name, json),
    }
}

/// Keys that may speak for none of the honest messages, whatever they sign: unknown, revoked,
/// pending, retired, of a revoked and a suspended device, of a device without a fitting grant.
const STRANGERS: [u8; 7] = [99, 10, 12, 15, 19, 20, 22];

/// Octets that fit where they are put: of JSON, of base64url, of UTF-8.
const FITTING: &[u8] = b"{}[]:,\"\\ \t\n\r.0123456789-+eEtfnu/AaBbzZ_=\0\x1f\x7f\x80\xc0\xc3\xa9\xed\xa0\xef\xbf\xf4\xff";

const NAMES: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "jti",
    "top",
    "phs",
    "tsq",
    "rsp",
    "cor",
    "cty",
    "upr",
    "clk",
    "cap",
    "vch",
    "x",
    "role",
    "nbf",
    "\\u0069at",
    "",
    "i\\u0061t",
];

/// Values as raw JSON: edges of what the profile allows, and what lies just beyond.
const VALUES: &[&str] = &[
    "0",
    "1",
    "7",
    "-0",
    "-1",
    "1.0",
    "1e3",
    "1e999",
    "-1e999",
    "0.1e-400",
    "01",
    "+1",
    "18446744073709551615",
    "18446744073709551616",
    "1799999930",
    "1799999935",
    "1799999990",
    "1799999991",
    "1799999995",
    "1800000000",
    "1800000010",
    "1800000011",
    "1800000055",
    "1800000295",
    "1800000296",
    "1800003595",
    "1800003596",
    "1800086395",
    "1800086396",
    "1800604795",
    "1800604796",
    "1802591995",
    "1802591996",
    "1831535995",
    "1831535996",
    "1799000000",
    "1798999999",
    "1799996400",
    "1799996399",
    "1799913600",
    "1799913599",
    "true",
    "false",
    "null",
    "{}",
    "[]",
    "\"\"",
    "NaN",
    "Infinity",
    "-Infinity",
    "\"farm\"",
    "\"Farm\"",
    "\"sensor\"",
    "\"panel\"",
    "\"pump\"",
    "\"domain:farm\"",
    "\"domain:ranch\"",
    "\"domain:\"",
    "\"device:pump\"",
    "\"device:valve\"",
    "\"device:*\"",
    "\"group:pumps\"",
    "\"group:valves\"",
    "\"login:x\"",
    "\"login:\"",
    "\"login:a b\"",
    "\"role:x\"",
    "\"domain\"",
    "\"0.0.0\"",
    "\"3.0.100\"",
    "\"3.1.101\"",
    "\"3.2.1\"",
    "\"03.1.1\"",
    "\"+3.1.1\"",
    "\"3.1\"",
    "\"3.1.1.1\"",
    "\"18446744073709551615.1.18446744073709551615\"",
    "\"18446744073709551616.1.1\"",
    "\"3.1.\u{661}\"",
    "\"site/sensor/temp\"",
    "\"site\\/sensor\\/temp\"",
    "\"site/sensor/log\"",
    "\"site/+/temp\"",
    "\"edgeseal/farm/manifest\"",
    "\"$SYS/x\"",
    "\"site/sensor/temp\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "\"\u{e9}\"",
    "\"e\u{301}\"",
    "\"unsynchronized\"",
    "\"synchronized\"",
    "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"",
    "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV\"",
    "\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=\"",
    "\"EdDSA\"",
    "\"none\"",
    "\"Ed25519\"",
    "\"edgeseal-msg+jwt\"",
    "\"edgeseal-retained+jwt\"",
    "\"edgeseal-will+jwt\"",
    "\"edgeseal-login+jwt\"",
    "[\"domain:farm\"]",
    "{\"a\":1,\"a\":2}",
    "{\"a\":1,\"\\u0061\":2}",
    "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]",
    "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}}}}}}}}}",
];

/// What else may be wrong with a line: (member, JSON).
const LINE_EDITS: [(&str, &str); 21] = [
    ("topic", "\"site/sensor/temp\""),
    ("topic", "\"site/sensor/temp/\""),
    ("topic", "\"\""),
    ("topic", "\"site/+/temp\""),
    ("topic", "\"edgeseal/farm/manifest\""),
    ("payload_b64", "\"\""),
    ("payload_b64", "\"b24=\""),
    ("kind", "\"retained\""),
    ("kind", "\"will\""),
    ("kind", "\"message\""),
    ("now", "0"),
    ("now", "1799913599"),
    ("now", "1799913600"),
    ("now", "1800000064"),
    ("now", "1800000065"),
    ("now", "1801604799"),
    ("now", "1801604800"),
    ("properties", "{}"),
    ("properties", "{\"response_topic\":\"site/+/reply\"}"),
    ("properties", "{\"content_type\":\"text/plain\"}"),
    (
        "properties",
        "{\"user\":[[\"a\",\"1\"],[\"edgesealed\",\"\"]]}",
    ),
];

/// A few messages in a row to one memory, of few senders, ids and consumers, so that they meet.
pub fn conversation(random: &mut Random) -> Vec<Value> {
    let length = 4 + random.below(28);
    (0..length).map(|_| remark(random)).collect()
}

fn remark(random: &mut Random) -> Value {
    let device = *random.pick(&["sensor", "rotated"]);
    let seed = match device {
        "sensor" => 18,
        _ => *random.pick(&[16, 17]),
    };
    let (level, kind) = *random.pick(&[
        ("temp", "message"),
        ("temp", "message"),
        ("log", "message"),
        ("state", "retained"),
        ("state", "message-deleting"),
        ("online", "message-deleting"),
        ("online", "will"),
        ("online", "will"),
    ]);
    let payload: &[u8] = match kind {
        "message-deleting" => b"",
        _ => [&b"0"[..], b"0", b"0", b"1"][random.below(4)],
    };
    let epoch = *random.pick(&[3, 3, 3, 4, 4, 5, 6]);
    let stream = *random.pick(&[1, 1, 1, 0]);
    let counter = *random.pick(&[0, 1, 2, 3, 100, 511, 512, 513, 514, 600, 1_100]);
    let topic = format!("site/{device}/{level}");
    let typ = match kind {
        "retained" => "edgeseal-retained+jwt",
        "will" => "edgeseal-will+jwt",
        _ => "edgeseal-msg+jwt",
    };
    let forge = Forge::message(device, &topic, payload)
        .signed_by(seed)
        .typ(typ)
        .claim("jti", &quoted(&format!("{epoch}.{stream}.{counter}")))
        .claim("iat", &(NOW - 1 - random.below(3) as u64).to_string());
    json!({
        "token": forge.token(),
        "topic": topic,
        "payload_b64": BASE64.encode(payload),
        "kind": if kind == "message-deleting" { "message" } else { kind },
        "retain": kind == "message-deleting" || random.below(3) == 0,
        "consumer": *random.pick(&["", "", "a", "b"]),
    })
}
