//! Size, shape and encoding.

use super::{Named, forged, token};
use crate::support::domain;
use crate::support::forge::{Forge, object, quoted, sign};
use data_encoding::BASE64URL_NOPAD;

pub fn vectors() -> Vec<Named> {
    let mut all = size_and_shape();
    all.extend(encoding());
    all
}

fn size_and_shape() -> Vec<Named> {
    [sizes_and_parts(), octets_of_tokens()].concat()
}

fn sizes_and_parts() -> Vec<Named> {
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
    ]
}

fn octets_of_tokens() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, signature] = honest.parts();
    let text = honest.token();
    vec![
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
pub(super) fn spaced(text: &str, octets: usize) -> String {
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
