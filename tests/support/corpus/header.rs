//! The header.

use super::form::spaced;
use super::{Named, forged, token};
use crate::support::domain;
use crate::support::forge::{Forge, object, quoted, sign};
use data_encoding::{BASE64, BASE64URL_NOPAD};

pub fn vectors() -> Vec<Named> {
    [header(), header_text()].concat()
}

fn header() -> Vec<Named> {
    let honest = Forge::honest();
    let public = BASE64URL_NOPAD.encode(&domain::key(99).public().octets());
    let jwk = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{public}\"}}");
    let mut all = [algorithms(), types(), key_ids()].concat();
    for (member, json) in [
        ("jwk", jwk.as_str()),
        ("jku", "\"https://evil.example/keys\""),
        ("x5u", "\"https://evil.example/cert\""),
        ("x5c", "[\"MIIB\"]"),
        ("x5t", "\"AAAA\""),
        ("crit", "[\"exp\"]"),
        ("b64", "false"),
        ("zip", "\"DEF\""),
        ("cty", "\"JWT\""),
        ("enc", "\"A128GCM\""),
        ("iss", "\"farm\""),
        ("x", "\"anything\""),
    ] {
        let title = format!("the header has the member {member}");
        all.push(forged(
            &format!("header-has-{member}"),
            "header-members",
            &title,
            &honest.clone().header(member, json),
        ));
    }
    all
}

fn algorithms() -> Vec<Named> {
    let honest = Forge::honest();
    let mut hmac = with_alg("\"HS256\"");
    hmac.seed = 18;
    vec![
        forged("alg-none", "header-alg", "alg none", &with_alg("\"none\"")),
        forged(
            "alg-none-capital",
            "header-alg",
            "alg None",
            &with_alg("\"None\""),
        ),
        forged(
            "alg-hs256",
            "header-alg",
            "alg HS256, where the public key would be the secret",
            &hmac,
        ),
        forged(
            "alg-rs256",
            "header-alg",
            "alg RS256",
            &with_alg("\"RS256\""),
        ),
        forged(
            "alg-es256",
            "header-alg",
            "alg ES256",
            &with_alg("\"ES256\""),
        ),
        forged(
            "alg-ed25519",
            "header-alg",
            "the name of RFC 9864, which this profile does not use",
            &with_alg("\"Ed25519\""),
        ),
        forged(
            "alg-case",
            "header-alg",
            "alg in another case",
            &with_alg("\"eddsa\""),
        ),
        forged(
            "alg-space",
            "header-alg",
            "alg with a space",
            &with_alg("\"EdDSA \""),
        ),
        forged(
            "alg-number",
            "header-members",
            "alg is a number",
            &with_alg("1"),
        ),
        forged(
            "alg-null",
            "header-members",
            "alg is null",
            &with_alg("null"),
        ),
        forged(
            "alg-array",
            "header-members",
            "alg is a list",
            &with_alg("[\"EdDSA\"]"),
        ),
        forged(
            "alg-missing",
            "header-members",
            "no alg",
            &honest.clone().without_header("alg"),
        ),
    ]
}

fn types() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "typ-missing",
            "header-members",
            "no typ",
            &honest.clone().without_header("typ"),
        ),
        forged(
            "typ-jwt",
            "header-typ",
            "typ JWT",
            &honest.clone().typ("JWT"),
        ),
        forged(
            "typ-case",
            "header-typ",
            "typ in another case",
            &honest.clone().typ("Edgeseal-msg+jwt"),
        ),
        forged(
            "typ-prefix",
            "header-typ",
            "typ with the prefix application/",
            &honest.clone().typ("application/edgeseal-msg+jwt"),
        ),
        forged(
            "typ-login",
            "header-typ",
            "a login token as a message",
            &honest.clone().typ("edgeseal-login+jwt"),
        ),
        forged(
            "typ-retained",
            "header-typ",
            "a retained statement as a message",
            &honest.clone().typ("edgeseal-retained+jwt"),
        ),
        forged(
            "typ-will",
            "header-typ",
            "a will as a message",
            &honest.clone().typ("edgeseal-will+jwt"),
        ),
        forged(
            "typ-status",
            "header-typ",
            "a status as a message",
            &honest.clone().typ("edgeseal-status+jwt"),
        ),
        forged(
            "typ-join",
            "header-typ",
            "a join token as a message",
            &honest.clone().typ("edgeseal-join+jwt"),
        ),
    ]
}

fn key_ids() -> Vec<Named> {
    let honest = Forge::honest();
    vec![
        forged(
            "kid-missing",
            "header-members",
            "no kid",
            &honest.clone().without_header("kid"),
        ),
        forged(
            "kid-number",
            "header-members",
            "kid is a number",
            &with_kid("7"),
        ),
        forged("kid-empty", "header-kid", "an empty kid", &with_kid("\"\"")),
        forged(
            "kid-path",
            "header-kid",
            "a path as kid",
            &with_kid("\"../../../../dev/null\""),
        ),
        forged(
            "kid-short",
            "header-kid",
            "a kid of 42 characters",
            &with_kid(&quoted(&"A".repeat(42))),
        ),
        forged(
            "kid-padded",
            "header-kid",
            "a padded kid",
            &with_kid(&quoted(&format!("{}=", "A".repeat(43)))),
        ),
        forged(
            "kid-trailing-bits",
            "header-kid",
            "a kid with trailing bits",
            &with_kid(&quoted(&format!("{}B", "A".repeat(42)))),
        ),
        forged(
            "kid-sql",
            "header-kid",
            "a kid for a database",
            &with_kid("\"' OR 1=1 -- \""),
        ),
    ]
}

fn with_kid(text: &str) -> Forge {
    Forge::honest().header("kid", text)
}

fn with_alg(text: &str) -> Forge {
    Forge::honest().header("alg", text)
}

fn header_text() -> Vec<Named> {
    [header_json(), header_octets(), header_sizes()].concat()
}

fn header_json() -> Vec<Named> {
    let honest = Forge::honest();
    let key = domain::key_of("sensor");
    let claims = object(&honest.claims);
    let good = String::from_utf8(object(&honest.header)).expect("text");
    let with_header = |text: &[u8]| sign(text, &claims, &key);
    vec![
        forged(
            "header-duplicate-alg",
            "duplicate-member",
            "alg twice",
            &honest.clone().header_again("alg", "\"EdDSA\""),
        ),
        forged(
            "header-duplicate-kid",
            "duplicate-member",
            "kid twice, the second of another key",
            &honest
                .clone()
                .header_again("kid", &quoted(&domain::key(13).public().id().to_string())),
        ),
        forged(
            "header-duplicate-escaped",
            "duplicate-member",
            "alg twice, once written with an escape",
            &honest.clone().header_again("\\u0061lg", "\"EdDSA\""),
        ),
        token(
            "header-array",
            "header-json",
            "the header is a list",
            with_header(b"[]"),
        ),
        token(
            "header-string",
            "header-json",
            "the header is a string",
            with_header(b"\"alg\""),
        ),
        token(
            "header-null",
            "header-json",
            "the header is null",
            with_header(b"null"),
        ),
        token(
            "header-truncated",
            "header-json",
            "the header ends early",
            with_header(&good.as_bytes()[..good.len() - 1]),
        ),
        token(
            "header-trailing",
            "header-json",
            "something behind the header's object",
            with_header(format!("{good}x").as_bytes()),
        ),
        token(
            "header-two-objects",
            "header-json",
            "two objects",
            with_header(format!("{good}{{}}").as_bytes()),
        ),
        token(
            "header-bom",
            "header-json",
            "a byte order mark",
            with_header(format!("\u{feff}{good}").as_bytes()),
        ),
    ]
}

fn header_octets() -> Vec<Named> {
    let honest = Forge::honest();
    let key = domain::key_of("sensor");
    let claims = object(&honest.claims);
    let good = String::from_utf8(object(&honest.header)).expect("text");
    let with_header = |text: &[u8]| sign(text, &claims, &key);
    let long = honest.clone().header("typ", &quoted(&"x".repeat(300)));
    vec![
        token(
            "header-not-utf8",
            "header-json",
            "octets that are no UTF-8",
            with_header(
                &good
                    .replace("EdDSA", "\u{fffd}")
                    .into_bytes()
                    .iter()
                    .map(|b| if *b == 0xef { 0xff } else { *b })
                    .collect::<Vec<u8>>(),
            ),
        ),
        token(
            "header-comment",
            "header-json",
            "a comment",
            with_header(format!("/**/{good}").as_bytes()),
        ),
        token(
            "header-single-quotes",
            "header-json",
            "single quotes",
            with_header(good.replace('"', "'").as_bytes()),
        ),
        token(
            "header-deep",
            "header-json",
            "a deeply nested member",
            with_header(format!("{{\"x\":{}{}}}", "[".repeat(60), "]".repeat(60)).as_bytes()),
        ),
        forged(
            "header-long",
            "header-members",
            "a header of more than 256 octets",
            &long,
        ),
    ]
}

fn header_sizes() -> Vec<Named> {
    let honest = Forge::honest();
    let key = domain::key_of("sensor");
    let claims = object(&honest.claims);
    let good = String::from_utf8(object(&honest.header)).expect("text");
    let with_header = |text: &[u8]| sign(text, &claims, &key);
    vec![
        token(
            "header-256",
            "verified",
            "a header of 256 octets",
            with_header(spaced(&good, 256).as_bytes()),
        ),
        token(
            "header-257",
            "header-members",
            "a header of 257 octets",
            with_header(spaced(&good, 257).as_bytes()),
        ),
        token(
            "header-broken-and-wrong",
            "header-json",
            "alg none, and the header ends early",
            with_header(
                good.replace("EdDSA", "none")
                    .trim_end_matches('}')
                    .as_bytes(),
            ),
        ),
        forged(
            "header-doubled-and-wrong",
            "duplicate-member",
            "alg none, then as it should be",
            &honest
                .clone()
                .header("alg", "\"none\"")
                .header_again("alg", "\"EdDSA\""),
        ),
        token(
            "header-standard-base64",
            "shape",
            "a header in base64 with padding",
            format!(
                "{}.{}.{}",
                BASE64.encode(good.as_bytes()),
                honest.parts()[1],
                honest.parts()[2]
            ),
        ),
    ]
}
