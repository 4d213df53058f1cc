use super::{KeyRejection, SigningKey, VerifyingKey, jwk_set, parse_jwk, public_jwk};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;

/// RFC 8037 appendix A.2 and A.3.
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

#[test]
fn the_example_of_rfc_8037_imports_under_its_thumbprint() {
    let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"{THUMBPRINT}"}}"#);
    let key = parse_jwk(text.as_bytes()).unwrap();
    assert_eq!(key.id().to_string(), THUMBPRINT);
    let exported = serde_json::to_string(&public_jwk(&key)).unwrap();
    assert_eq!(parse_jwk(exported.as_bytes()).unwrap(), key);
}

#[test]
fn weak_and_malformed_points_are_refused() {
    for length in [0, 31, 33, 64] {
        let octets = vec![1; length];
        assert_eq!(
            VerifyingKey::import(&octets),
            Err(KeyRejection::WrongLength(length))
        );
    }
    for point in EIGHT_TORSION {
        let octets = point.compress().to_bytes();
        assert_eq!(VerifyingKey::import(&octets), Err(KeyRejection::SmallOrder));
    }
    // y = p + 1 is 1 again, in another encoding (RFC 8032 section 5.1.3 refuses it)
    let mut above_p = [0xff; 32];
    above_p[0] = 0xee;
    above_p[31] = 0x7f;
    assert_eq!(
        VerifyingKey::import(&above_p),
        Err(KeyRejection::NonCanonical)
    );
    let good = SigningKey::from_seed(&[7; 32]).public().octets();
    let mixed = CompressedEdwardsY(good).decompress().unwrap() + EIGHT_TORSION[1];
    assert_eq!(
        VerifyingKey::import(&mixed.compress().to_bytes()),
        Err(KeyRejection::MixedOrder)
    );
    let mut off_curve = good;
    while ed25519_dalek::VerifyingKey::from_bytes(&off_curve).is_ok() {
        off_curve[0] = off_curve[0].wrapping_add(1);
    }
    assert_eq!(
        VerifyingKey::import(&off_curve),
        Err(KeyRejection::NotAPoint)
    );
}

#[test]
fn a_jwk_that_contradicts_itself_is_refused_by_code() {
    let cases = [
        (r#"{"kty":"EC","crv":"Ed25519","x":"X"}"#, "key-kty"),
        (r#"{"crv":"Ed25519","x":"X"}"#, "key-kty"),
        (r#"{"kty":"OKP","crv":"P-256","x":"X"}"#, "key-crv"),
        (r#"{"kty":"OKP","crv":"Ed448","x":"X"}"#, "key-crv"),
        (r#"{"kty":"OKP","x":"X"}"#, "key-crv"),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","alg":"HS256"}"#,
            "key-alg",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","use":"enc"}"#,
            "key-use",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","key_ops":["sign"]}"#,
            "key-use",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","d":"AA"}"#,
            "key-private",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","kid":"a"}"#,
            "key-malformed",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","x":"X","x":"X"}"#,
            "key-malformed",
        ),
        (r#"{"kty":"OKP","crv":"Ed25519"}"#, "key-malformed"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":7}"#, "key-malformed"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"AAAA"}"#, "key-length"),
        (r#"{"kty":"OKP","crv":"Ed25519","x":"X="}"#, "key-malformed"),
    ];
    for (text, code) in cases {
        let text = text.replace("\"X", &format!("\"{X}"));
        assert_eq!(
            parse_jwk(text.as_bytes()).unwrap_err().code(),
            code,
            "{text}"
        );
    }
    let other = SigningKey::from_seed(&[9; 32]).public().id();
    let text = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}","kid":"{other}"}}"#);
    assert_eq!(
        parse_jwk(text.as_bytes()).unwrap_err().code(),
        "key-thumbprint"
    );
}

#[test]
fn a_set_names_each_key_once() {
    let key = SigningKey::from_seed(&[7; 32]);
    assert_eq!(jwk_set([key.public()]).unwrap().keys.len(), 1);
    assert_eq!(
        jwk_set([key.public(), key.public()]),
        Err(KeyRejection::DuplicateKid(key.public().id()))
    );
}

#[test]
fn private_keys_survive_the_round_trip_as_version_one() {
    let key = SigningKey::from_seed(&[7; 32]);
    let der = key.to_pkcs8_der();
    assert_eq!(der.len(), 48);
    assert_eq!(
        SigningKey::from_pkcs8_der(&der).unwrap().public(),
        key.public()
    );
    assert!(SigningKey::from_pkcs8_der(&der[..47]).is_err());
    assert!(SigningKey::from_pkcs8_pem("-----BEGIN PRIVATE KEY-----").is_err());
}

#[test]
fn jsonwebtoken_signs_and_verifies_through_our_provider() {
    let key = SigningKey::from_seed(&[7; 32]); // a thumbprint was made: the provider is installed
    let encoding = jsonwebtoken::EncodingKey::from_ed_der(&key.to_pkcs8_der());
    let decoding = jsonwebtoken::DecodingKey::from_jwk(&public_jwk(key.public())).unwrap();
    let algorithm = jsonwebtoken::Algorithm::EdDSA;
    let signature = jsonwebtoken::crypto::sign(b"message", &encoding, algorithm).unwrap();
    let verify =
        |message: &[u8], key| jsonwebtoken::crypto::verify(&signature, message, key, algorithm);
    assert!(verify(b"message", &decoding).unwrap());
    assert!(!verify(b"massage", &decoding).unwrap());
    // its own backend panics here
    let short = jsonwebtoken::DecodingKey::from_ed_components("AAAA").unwrap();
    assert!(verify(b"message", &short).is_err());
}
