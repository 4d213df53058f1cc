//! The claims: present, of their type and form.

use super::{Named, forged, token};
use crate::support::domain::{self, NOW};
use crate::support::forge::{Forge, object, quoted, sign};

pub fn vectors() -> Vec<Named> {
    let honest = Forge::honest();
    let mut all = Vec::new();
    for name in [
        "iss", "sub", "aud", "iat", "exp", "jti", "top", "phs", "tsq",
    ] {
        let title = format!("the claim {name} is missing");
        all.push(forged(
            &format!("claim-missing-{name}"),
            "claim-missing",
            &title,
            &honest.clone().without_claim(name),
        ));
    }
    for (name, json, how) in [
        ("iss", "7", "a number"),
        ("iss", "[\"farm\"]", "a list"),
        ("sub", "null", "null"),
        ("sub", "{\"id\":\"sensor\"}", "an object"),
        ("aud", "[\"domain:farm\"]", "a list of one"),
        ("aud", "[\"domain:farm\",\"device:pump\"]", "a list of two"),
        ("aud", "true", "true"),
        ("iat", "\"1800000000\"", "a string"),
        ("iat", "1799999995.5", "a fraction"),
        ("iat", "1.799999995e9", "written with an exponent"),
        ("iat", "-1", "negative"),
        ("iat", "null", "null"),
        ("exp", "\"1800000055\"", "a string"),
        ("exp", "1800000055.0", "written with a fraction"),
        ("exp", "-1800000055", "negative"),
        ("exp", "18446744073709551616", "beyond 64 bits"),
        ("exp", "99999999999999999999999999", "far beyond 64 bits"),
        ("exp", "null", "null"),
        ("exp", "true", "true"),
        ("jti", "3", "a number"),
        ("top", "[\"site\",\"sensor\",\"temp\"]", "a list"),
        ("phs", "0", "a number"),
        ("tsq", "\"7\"", "a string"),
        ("tsq", "-7", "negative"),
        ("clk", "true", "true"),
        ("cap", "\"yesterday\"", "a string"),
        ("cap", "-1", "negative"),
        ("vch", "\"true\"", "a string"),
        ("vch", "1", "a number"),
        ("rsp", "true", "true"),
        ("cor", "1", "a number"),
        ("cty", "{}", "an object"),
        ("upr", "null", "null"),
    ] {
        let slug = how.replace([' ', ','], "-");
        let title = format!("the claim {name} is {how}");
        all.push(forged(
            &format!("claim-type-{name}-{slug}"),
            "claim-type",
            &title,
            &honest.clone().claim(name, json),
        ));
    }
    all.extend(values(&honest));
    all.extend(texts(&honest));
    all.extend(usual());
    all
}

fn values(honest: &Forge) -> Vec<Named> {
    let mut all = Vec::new();
    for (name, text, how) in VALUES {
        let slug = how.replace([' ', '/'], "-");
        let title = format!("the claim {name} is malformed: {how}");
        all.push(forged(
            &format!("claim-value-{name}-{slug}"),
            "claim-value",
            &title,
            &honest.clone().claim(name, &quoted(text)),
        ));
    }
    for (how, audience) in [
        ("a-name-of-65-octets", format!("device:{}", "x".repeat(65))),
        ("a-login-with-a-space", "login:a b".to_owned()),
        ("a-login-without-a-name", "login:".to_owned()),
        (
            "a-login-of-257-octets",
            format!("login:{}", "x".repeat(251)),
        ),
    ] {
        all.push(forged(
            &format!("claim-value-aud-{how}"),
            "claim-value",
            &format!("the claim aud is malformed: {}", how.replace('-', " ")),
            &honest.clone().claim("aud", &quoted(&audience)),
        ));
    }
    all.push(forged(
        "claim-value-vch-false",
        "claim-value",
        "vch is false where only true says something",
        &honest.clone().claim("vch", "false"),
    ));
    all.push(forged(
        "claim-value-cap-later",
        "claim-value",
        "the data is said to be captured a second after it was signed",
        &honest.clone().claim("cap", &(NOW - 4).to_string()),
    ));
    for name in [
        "iss", "sub", "aud", "iat", "exp", "jti", "top", "phs", "tsq",
    ] {
        let json = honest
            .claims
            .iter()
            .find(|(have, _)| have == name)
            .expect("a claim")
            .1
            .clone();
        let title = format!("the claim {name} twice");
        all.push(forged(
            &format!("claim-duplicate-{name}"),
            "duplicate-member",
            &title,
            &honest.clone().claim_again(name, &json),
        ));
    }
    all.push(forged(
        "claim-duplicate-undefined",
        "duplicate-member",
        "an undefined claim twice",
        &honest.clone().claim_again("x", "1").claim_again("x", "2"),
    ));
    all.push(forged(
        "claim-duplicate-nested",
        "duplicate-member",
        "a member twice inside an undefined claim",
        &honest.clone().claim("x", "{\"a\":[{\"b\":1,\"b\":2}]}"),
    ));
    all.push(forged(
        "claim-duplicate-escaped",
        "duplicate-member",
        "exp twice, once written with an escape",
        &honest
            .clone()
            .claim_again("\\u0065xp", &(NOW + 9_999).to_string()),
    ));
    all
}

/// Claims in the order in which the agent itself writes them: a verifier may read those in another
/// way than the rest.
fn usual() -> Vec<Named> {
    let mut usual = Forge::honest().without_claim("tsq");
    let top = usual.claims.iter().position(|(name, _)| name == "top");
    let tsq = ("tsq".to_owned(), domain::SEQUENCE.to_string());
    usual.claims.insert(top.expect("a topic"), tsq);
    let text = String::from_utf8(object(&usual.claims)).expect("text");
    let altered = |from: &str, to: &str| {
        let claims = text.replace(from, to);
        sign(
            &object(&usual.header),
            claims.as_bytes(),
            &domain::key_of("sensor"),
        )
    };
    vec![
        forged(
            "usual-honest",
            "verified",
            "claims as the agent writes them",
            &usual,
        ),
        forged(
            "usual-unknown-claim",
            "verified",
            "an undefined claim behind those",
            &usual.clone().claim_again("x", "1"),
        ),
        forged(
            "usual-duplicate-sub",
            "duplicate-member",
            "a claim once more behind those",
            &usual.clone().claim_again("sub", &quoted("sensor")),
        ),
        token(
            "usual-escaped-topic",
            "verified",
            "the topic among them written with JSON escapes",
            altered("site/sensor/temp", "site\\/sensor\\/temp"),
        ),
        token(
            "usual-leading-zero",
            "claims-json",
            "a number among them with a leading zero",
            altered("\"tsq\":7", "\"tsq\":07"),
        ),
        token(
            "usual-control-character",
            "claims-json",
            "a raw control character among them",
            altered("domain:farm", "domain:fa\nrm"),
        ),
    ]
}

fn texts(honest: &Forge) -> Vec<Named> {
    [
        json_texts(honest),
        octets_in_texts(honest),
        deep_texts(honest),
        long_texts(honest),
    ]
    .concat()
}

fn json_texts(honest: &Forge) -> Vec<Named> {
    let key = domain::key_of("sensor");
    let header = object(&honest.header);
    let good = String::from_utf8(object(&honest.claims)).expect("text");
    let claims = |text: &[u8]| sign(&header, text, &key);
    vec![
        token(
            "claims-array",
            "claims-json",
            "the claims are a list",
            claims(format!("[{good}]").as_bytes()),
        ),
        token(
            "claims-string",
            "claims-json",
            "the claims are a string",
            claims(b"\"sensor\""),
        ),
        token(
            "claims-number",
            "claims-json",
            "the claims are a number",
            claims(b"1"),
        ),
        token(
            "claims-truncated",
            "claims-json",
            "the claims end early",
            claims(&good.as_bytes()[..good.len() - 1]),
        ),
        token(
            "claims-trailing",
            "claims-json",
            "something behind the claims' object",
            claims(format!("{good},").as_bytes()),
        ),
        token(
            "claims-trailing-comma",
            "claims-json",
            "a comma behind the last member",
            claims(good.replace("\"tsq\":7}", "\"tsq\":7,}").as_bytes()),
        ),
    ]
}

fn octets_in_texts(honest: &Forge) -> Vec<Named> {
    let key = domain::key_of("sensor");
    let header = object(&honest.header);
    let good = String::from_utf8(object(&honest.claims)).expect("text");
    let claims = |text: &[u8]| sign(&header, text, &key);
    let mut latin = good.clone().into_bytes();
    latin.truncate(latin.len() - 1);
    latin.extend_from_slice(b",\"x\":\"\xe9\"}");
    vec![
        token(
            "claims-bom",
            "claims-json",
            "a byte order mark",
            claims(format!("\u{feff}{good}").as_bytes()),
        ),
        token(
            "claims-not-utf8",
            "claims-json",
            "octets that are no UTF-8 in an undefined claim",
            claims(&latin),
        ),
        token(
            "claims-lone-surrogate",
            "claims-json",
            "half a character written with an escape",
            claims(
                good.replace("sensor\",\"aud", "sensor\\ud800\",\"aud")
                    .as_bytes(),
            ),
        ),
        token(
            "claims-control-character",
            "claims-json",
            "a raw control character",
            claims(good.replace("farm", "fa\nrm").as_bytes()),
        ),
        token(
            "claims-leading-zero",
            "claims-json",
            "a number with a leading zero",
            claims(good.replace("\"tsq\":7", "\"tsq\":07").as_bytes()),
        ),
        token(
            "claims-nan",
            "claims-json",
            "NaN",
            claims(good.replace("\"tsq\":7", "\"tsq\":NaN").as_bytes()),
        ),
        token(
            "claims-hexadecimal",
            "claims-json",
            "a hexadecimal number",
            claims(good.replace("\"tsq\":7", "\"tsq\":0x7").as_bytes()),
        ),
    ]
}

fn deep_texts(honest: &Forge) -> Vec<Named> {
    let key = domain::key_of("sensor");
    let header = object(&honest.header);
    let good = String::from_utf8(object(&honest.claims)).expect("text");
    let claims = |text: &[u8]| sign(&header, text, &key);
    let nested = |open: &str, close: &str, depth: usize| {
        claims(
            format!(
                "{},\"x\":{}{}}}",
                &good[..good.len() - 1],
                open.repeat(depth),
                close.repeat(depth)
            )
            .as_bytes(),
        )
    };
    let objects = |depth: usize| {
        format!(
            "{}{{}}{}",
            "{\"a\":".repeat(depth - 1),
            "}".repeat(depth - 1)
        )
    };
    vec![
        token(
            "claims-deep-lists",
            "claims-json",
            "an undefined claim nested 100 deep",
            nested("[", "]", 100),
        ),
        token(
            "claims-deep-objects",
            "claims-json",
            "objects nested 100 deep",
            nested("{\"a\":[", "]}", 50),
        ),
        token(
            "claims-nested-17",
            "claims-json",
            "an undefined claim nested 17 deep",
            nested("[", "]", 17),
        ),
        forged(
            "claims-nested-17-objects",
            "claims-json",
            "objects nested 17 deep",
            &honest.clone().claim("x", &objects(17)),
        ),
        forged(
            "claims-nested-16-objects",
            "verified",
            "objects nested 16 deep",
            &honest.clone().claim("x", &objects(16)),
        ),
        token(
            "claims-nested-16",
            "verified",
            "an undefined claim nested 16 deep",
            nested("[", "]", 16),
        ),
    ]
}

fn long_texts(honest: &Forge) -> Vec<Named> {
    let key = domain::key_of("sensor");
    let header = object(&honest.header);
    let good = String::from_utf8(object(&honest.claims)).expect("text");
    let claims = |text: &[u8]| sign(&header, text, &key);
    let many = (0..40).fold(honest.clone(), |forge, n| {
        forge.claim(&format!("x{n}"), "0")
    });
    let numbered = |count: usize| {
        (0..count).fold(honest.clone(), |forge, n| {
            forge.claim(&format!("x{n}"), "0")
        })
    };
    let inside: Vec<String> = (0..33).map(|n| format!("\"x{n}\":0")).collect();
    let inside = format!("{{{}}}", inside.join(","));
    vec![
        forged("claims-32-members", "verified", "32 members", &numbered(23)),
        forged(
            "claims-33-members",
            "claims-json",
            "33 members",
            &numbered(24),
        ),
        forged(
            "claims-33-members-inside",
            "claims-json",
            "33 members inside an undefined claim",
            &honest.clone().claim("x", &inside),
        ),
        forged(
            "claims-33-members-one-twice",
            "claims-json",
            "33 members, the last for the second time: the bound counts first",
            &numbered(23).claim_again("x1", "0"),
        ),
        forged(
            "claims-number-out-of-range",
            "claims-json",
            "an undefined claim beyond the largest double",
            &honest.clone().claim("x", "1e999"),
        ),
        token(
            "claims-broken-and-doubled",
            "claims-json",
            "a member twice, and a comma behind the last",
            claims(
                good.replace("\"tsq\":7}", "\"tsq\":7,\"tsq\":7,}")
                    .as_bytes(),
            ),
        ),
        forged(
            "claims-doubled-and-mistyped",
            "duplicate-member",
            "a claim of the wrong type, and another twice",
            &honest.clone().claim("tsq", "null").claim_again("iat", "0"),
        ),
        forged(
            "claims-many-members",
            "claims-json",
            "more than 32 members",
            &many,
        ),
    ]
}

/// A claim, a value that it may not have, and what is wrong with it.
const VALUES: &[(&str, &str, &str)] = &[
    ("jti", "3.1", "two parts"),
    ("jti", "3.1.100.0", "four parts"),
    ("jti", "03.1.100", "a leading zero in the epoch"),
    ("jti", "3.1.0100", "a leading zero in the counter"),
    ("jti", "3.01.100", "a leading zero in the stream"),
    ("jti", "+3.1.100", "a plus sign"),
    ("jti", "-3.1.100", "a minus sign"),
    ("jti", "3.2.100", "a stream that does not exist"),
    (
        "jti",
        "3.1.18446744073709551616",
        "a counter beyond 64 bits",
    ),
    (
        "jti",
        "18446744073709551616.1.100",
        "an epoch beyond 64 bits",
    ),
    ("jti", "3.1.1e2", "an exponent"),
    ("jti", "", "empty"),
    ("jti", "b9f1c1de-75f5-4b5c-8e5b-0a8f6f8f3d5e", "a UUID"),
    ("phs", "", "empty"),
    (
        "phs",
        "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFV",
        "with trailing bits",
    ),
    (
        "phs",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "hexadecimal",
    ),
    (
        "phs",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "standard base64",
    ),
    (
        "rsp",
        "site/panel/reply",
        "the text in the place of its hash",
    ),
    ("cor", "AQ", "the text in the place of its hash"),
    ("upr", "", "the text in the place of its hash"),
    ("cty", "text/plain", "the text in the place of its hash"),
    ("clk", "synchronized", "another word"),
    ("aud", "farm", "without a type"),
    ("aud", "domain:", "without a name"),
    ("aud", "role:pump", "of an unknown type"),
    ("aud", "device:Pump", "with a name that is none"),
    ("aud", "", "empty"),
    ("aud", "device:*", "a pattern"),
];
