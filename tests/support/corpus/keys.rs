//! The key and its signature.

use super::{Named, forged, token};
use crate::support::domain;
use crate::support::forge::{Forge, hash, quoted};
use curve25519_dalek::scalar::Scalar;
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha512};

pub fn vectors() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, signature] = honest.parts();
    let mut all = [signers(), altered()].concat();
    for bit in [0, 255, 256, 511] {
        let mut octets = BASE64URL_NOPAD
            .decode(signature.as_bytes())
            .expect("canonical");
        octets[bit / 8] ^= 1 << (bit % 8);
        let name = format!("signature-bit-{bit}");
        let title = format!("bit {bit} of the signature flipped");
        all.push(token(
            &name,
            "signature",
            &title,
            format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&octets)),
        ));
    }
    all
}

fn signers() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, _] = honest.parts();
    let mut other = honest.clone();
    other.seed = 13;
    vec![
        forged(
            "key-unknown",
            "unknown-key",
            "a key that the registry does not know",
            &honest.clone().signed_by(99),
        ),
        forged(
            "signature-other-key",
            "signature",
            "signed by another device's key under this kid",
            &other,
        ),
        forged(
            "signature-other-kid",
            "signature",
            "another device's kid over this device's signature",
            &{
                let mut forge = honest
                    .clone()
                    .header("kid", &quoted(&domain::key(13).public().id().to_string()));
                forge.seed = 18;
                forge
            },
        ),
        token(
            "signature-zero",
            "signature",
            "64 zero octets",
            format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&[0; 64])),
        ),
        token(
            "signature-ones",
            "signature",
            "64 octets of ones",
            format!("{header}.{claims}.{}", BASE64URL_NOPAD.encode(&[255; 64])),
        ),
        token(
            "signature-of-other-token",
            "signature",
            "the signature of another token",
            format!(
                "{header}.{claims}.{}",
                honest.clone().claim("tsq", "8").parts()[2]
            ),
        ),
    ]
}

fn altered() -> Vec<Named> {
    let honest = Forge::honest();
    let [header, claims, signature] = honest.parts();
    vec![
        token(
            "signature-malleated",
            "signature",
            "S + L in the place of S",
            format!("{header}.{claims}.{}", malleated(&signature)),
        ),
        token(
            "signature-identity-r",
            "signature",
            "R is the neutral point, and the equation of the signature holds",
            format!("{header}.{claims}.{}", identity_r(&header, &claims)),
        ),
        token(
            "signature-claims-changed",
            "signature",
            "claims changed after signing",
            format!(
                "{header}.{}.{signature}",
                honest.clone().claim("top", "\"site/sensor/door\"").parts()[1]
            ),
        ),
        token(
            "signature-header-reordered",
            "signature",
            "header reordered after signing",
            {
                let mut forge = honest.clone();
                forge.header.reverse();
                format!("{}.{claims}.{signature}", forge.parts()[0])
            },
        ),
        token(
            "signature-claims-reencoded",
            "signature",
            "claims written anew with a space",
            {
                let spaced = format!(
                    "{} ",
                    String::from_utf8_lossy(
                        &BASE64URL_NOPAD
                            .decode(claims.as_bytes())
                            .expect("canonical")
                    )
                );
                format!(
                    "{header}.{}.{signature}",
                    BASE64URL_NOPAD.encode(spaced.as_bytes())
                )
            },
        ),
        token(
            "signature-over-claims-only",
            "signature",
            "signed without the header",
            format!(
                "{header}.{claims}.{}",
                BASE64URL_NOPAD.encode(&domain::key_of("sensor").sign(claims.as_bytes()))
            ),
        ),
        token(
            "signature-hmac-with-public-key",
            "signature",
            "an HMAC made with the public key",
            format!("{header}.{claims}.{}", hmac_like()),
        ),
    ]
}

/// The other encoding of the same signature: S + L (RFC 8032 section 5.1.7 refuses it).
fn malleated(signature: &str) -> String {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut octets = BASE64URL_NOPAD
        .decode(signature.as_bytes())
        .expect("canonical");
    let mut carry = 0_u16;
    for (octet, add) in octets[32..].iter_mut().zip(L) {
        let sum = u16::from(*octet) + u16::from(add) + carry;
        *octet = u8::try_from(sum & 0xff).expect("one octet");
        carry = sum >> 8;
    }
    BASE64URL_NOPAD.encode(&octets)
}

/// A signature whose R has small order, as only the key's owner can make it: R is the neutral
/// point, S = H(R, A, M) a. It satisfies the equation of RFC 8032 section 5.1.7.
fn identity_r(header: &str, claims: &str) -> String {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[18; 32]);
    let mut signature = [0; 64];
    signature[0] = 1;
    let hash = Sha512::new()
        .chain_update(&signature[..32])
        .chain_update(pair.verifying_key().as_bytes())
        .chain_update(format!("{header}.{claims}"));
    let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    signature[32..].copy_from_slice((challenge * pair.to_scalar()).as_bytes());
    BASE64URL_NOPAD.encode(&signature)
}

fn hmac_like() -> String {
    let digest = hash(&domain::key_of("sensor").public().octets());
    let octets = BASE64URL_NOPAD
        .decode(digest.trim_matches('"').as_bytes())
        .expect("canonical");
    BASE64URL_NOPAD.encode(&[octets.clone(), octets].concat())
}
