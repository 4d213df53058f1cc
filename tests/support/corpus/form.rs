//! Size, shape and header.

use super::{Named, forged, token};
use crate::support::domain;
use crate::support::forge::{Forge, object, quoted, sign};
use data_encoding::{BASE64, BASE64URL_NOPAD};

pub fn vectors() -> Vec<Named> {
    let mut all = size_and_shape();
    all.extend(encoding());
    all.extend(header());
    all.extend(header_text());
    all
}

fn size_and_shape() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, signature] = honest.parts();
    let text = honest.token();
    let padded = honest.clone().claim("pad", &quoted(&"x".repeat(3_000)));
    vec![
        forged(
            "size-over",
            "size",
            "one token of more than 4,096 octets",
            &padded,
        ),
        token("size-4096", "verified", "the longest token", of_size(4_096)),
        token("size-4097", "size", "one octet longer", of_size(4_097)),
        token("shape-empty", "shape", "no token at all", ""),
        token("shape-dots-only", "shape", "three empty parts", ".."),
        token("shape-one-part", "shape", "one part", header.clone()),
        token(
            "shape-two-parts",
            "shape",
            "two parts",
            format!("{header}.{claims}"),
        ),
        token(
            "shape-four-parts",
            "shape",
            "four parts",
            format!("{text}.{signature}"),
        ),
        token(
            "shape-five-parts",
            "shape",
            "five parts, as in an encrypted token",
            format!("{text}.{signature}.{signature}"),
        ),
        token(
            "shape-no-header",
            "shape",
            "an empty header",
            format!(".{claims}.{signature}"),
        ),
        token(
            "shape-no-claims",
            "shape",
            "empty claims: a detached payload",
            format!("{header}..{signature}"),
        ),
        token(
            "shape-no-signature",
            "shape",
            "an empty signature",
            format!("{header}.{claims}."),
        ),
        token(
            "shape-space-before",
            "shape",
            "white space in front",
            format!(" {text}"),
        ),
        token(
            "shape-newline-behind",
            "shape",
            "a line end behind",
            format!("{text}\n"),
        ),
        token(
            "shape-space-inside",
            "shape",
            "white space inside",
            text.replacen('.', " .", 1),
        ),
        token("shape-padding", "shape", "padding", format!("{text}==")),
        token(
            "shape-standard-alphabet",
            "shape",
            "base64 of the standard alphabet",
            format!("{header}.{}+/.{signature}", &claims[..claims.len() - 4]),
        ),
        token("shape-nul", "shape", "a NUL octet", format!("{text}\0")),
        token(
            "shape-json-serialization",
            "shape",
            "the JSON serialization of a JWS",
            format!(
                "{{\"protected\":\"{header}\",\"payload\":\"{claims}\",\"signature\":\"{signature}\"}}"
            ),
        ),
        token(
            "shape-bearer-prefix",
            "shape",
            "the scheme of an HTTP header in front",
            format!("Bearer {text}"),
        ),
        token(
            "shape-non-ascii",
            "shape",
            "characters outside ASCII",
            format!("{header}.{claims}é.{signature}"),
        ),
    ]
}

fn encoding() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, signature] = honest.parts();
    let key = domain::key_of("sensor");
    let resigned = |header: &str, claims: &str| {
        let input = format!("{header}.{claims}");
        format!(
            "{input}.{}",
            BASE64URL_NOPAD.encode(&key.sign(input.as_bytes()))
        )
    };
    let short = BASE64URL_NOPAD.encode(&key.sign(b"x")[..63]);
    let long = BASE64URL_NOPAD.encode(&[0; 65]);
    vec![
        token(
            "encoding-header-trailing-bits",
            "encoding",
            "trailing bits in the header, signed as sent",
            resigned(&loosened(object(&honest.header)), &claims),
        ),
        token(
            "encoding-claims-trailing-bits",
            "encoding",
            "trailing bits in the claims, signed as sent",
            resigned(&header, &loosened(object(&honest.claims))),
        ),
        token(
            "encoding-signature-trailing-bits",
            "encoding",
            "trailing bits in the signature",
            format!("{header}.{claims}.{}", loosen(&signature)),
        ),
        token(
            "encoding-header-length",
            "encoding",
            "a header of an impossible length",
            resigned(&impossible(&header), &claims),
        ),
        token(
            "encoding-claims-length",
            "encoding",
            "claims of an impossible length",
            resigned(&header, &impossible(&claims)),
        ),
        token(
            "encoding-signature-short",
            "encoding",
            "a signature of 63 octets",
            format!("{header}.{claims}.{short}"),
        ),
        token(
            "encoding-signature-long",
            "encoding",
            "a signature of 65 octets",
            format!("{header}.{claims}.{long}"),
        ),
    ]
}

fn header() -> Vec<Named> {
    let honest = Forge::honest();
    let public = BASE64URL_NOPAD.encode(&domain::key(99).public().octets());
    let jwk = format!("{{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"{public}\"}}");
    let kid = |text: &str| honest.clone().header("kid", text);
    let alg = |text: &str| honest.clone().header("alg", text);
    let mut hmac = alg("\"HS256\"");
    hmac.seed = 18;
    let mut all = vec![
        forged("alg-none", "header-alg", "alg none", &alg("\"none\"")),
        forged(
            "alg-none-capital",
            "header-alg",
            "alg None",
            &alg("\"None\""),
        ),
        forged(
            "alg-hs256",
            "header-alg",
            "alg HS256, where the public key would be the secret",
            &hmac,
        ),
        forged("alg-rs256", "header-alg", "alg RS256", &alg("\"RS256\"")),
        forged("alg-es256", "header-alg", "alg ES256", &alg("\"ES256\"")),
        forged(
            "alg-ed25519",
            "header-alg",
            "the name of RFC 9864, which this profile does not use",
            &alg("\"Ed25519\""),
        ),
        forged(
            "alg-case",
            "header-alg",
            "alg in another case",
            &alg("\"eddsa\""),
        ),
        forged(
            "alg-space",
            "header-alg",
            "alg with a space",
            &alg("\"EdDSA \""),
        ),
        forged("alg-number", "header-members", "alg is a number", &alg("1")),
        forged("alg-null", "header-members", "alg is null", &alg("null")),
        forged(
            "alg-array",
            "header-members",
            "alg is a list",
            &alg("[\"EdDSA\"]"),
        ),
        forged(
            "alg-missing",
            "header-members",
            "no alg",
            &honest.clone().without_header("alg"),
        ),
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
        forged(
            "kid-missing",
            "header-members",
            "no kid",
            &honest.clone().without_header("kid"),
        ),
        forged("kid-number", "header-members", "kid is a number", &kid("7")),
        forged("kid-empty", "header-kid", "an empty kid", &kid("\"\"")),
        forged(
            "kid-path",
            "header-kid",
            "a path as kid",
            &kid("\"../../../../dev/null\""),
        ),
        forged(
            "kid-short",
            "header-kid",
            "a kid of 42 characters",
            &kid(&quoted(&"A".repeat(42))),
        ),
        forged(
            "kid-padded",
            "header-kid",
            "a padded kid",
            &kid(&quoted(&format!("{}=", "A".repeat(43)))),
        ),
        forged(
            "kid-trailing-bits",
            "header-kid",
            "a kid with trailing bits",
            &kid(&quoted(&format!("{}B", "A".repeat(42)))),
        ),
        forged(
            "kid-sql",
            "header-kid",
            "a kid for a database",
            &kid("\"' OR 1=1 -- \""),
        ),
    ];
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

fn header_text() -> Vec<Named> {
    let honest = Forge::honest();
    let key = domain::key_of("sensor");
    let claims = object(&honest.claims);
    let good = String::from_utf8(object(&honest.header)).expect("text");
    let with_header = |text: &[u8]| sign(text, &claims, &key);
    let long = honest.clone().header("typ", &quoted(&"x".repeat(300)));
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

/// An honest token of so many octets.
fn of_size(octets: usize) -> String {
    let honest = Forge::honest();
    let (header, claims) = (object(&honest.header), object(&honest.claims));
    let (header, claims) = (
        String::from_utf8_lossy(&header),
        String::from_utf8_lossy(&claims),
    );
    let encoded = |length| BASE64URL_NOPAD.encode_len(length);
    let fits = |(h, c): &(usize, usize)| encoded(*h) + encoded(*c) + 88 == octets;
    let (h, c) = (header.len()..header.len() + 3)
        .flat_map(|h| (claims.len()..octets).map(move |c| (h, c)))
        .find(fits)
        .expect("some lengths fit");
    let key = domain::key_of("sensor");
    sign(
        spaced(&header, h).as_bytes(),
        spaced(&claims, c).as_bytes(),
        &key,
    )
}

/// The text with spaces behind it, so many octets in all.
fn spaced(text: &str, octets: usize) -> String {
    format!("{text:octets$}")
}

/// The text of `json`, lengthened until its base64url has unused bits, with one of them set.
fn loosened(mut json: Vec<u8>) -> String {
    while json.len().is_multiple_of(3) {
        json.push(b' ');
    }
    loosen(&BASE64URL_NOPAD.encode(&json))
}

/// The same octets in base64url with an unused bit set.
fn loosen(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut octets = text.as_bytes().to_vec();
    let last = octets.last_mut().expect("not empty");
    let value = ALPHABET.iter().position(|b| b == last).expect("base64url");
    *last = ALPHABET[value | 1];
    String::from_utf8(octets).expect("ASCII")
}

/// Base64url of a length that no octets have.
fn impossible(text: &str) -> String {
    let mut text = text.to_owned();
    while text.len() % 4 != 1 {
        text.push('A');
    }
    text
}
