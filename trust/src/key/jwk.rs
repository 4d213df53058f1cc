//! Public keys as JWK and JWK Set (RFC 7517, RFC 8037), their thumbprint (RFC 7638).

use super::{KeyId, KeyRejection, VerifyingKey, digest_from_text, provider};
use crate::json::{self, Value};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, OctetKeyPairParameters,
    OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashSet;

/// Imports a public key from the JSON text of a JWK. Members that RFC 7517 leaves to others are
/// ignored, except those that contradict an Ed25519 key for signatures.
///
/// # Errors
/// [`KeyRejection`], naming the first member that is wrong.
pub fn parse_jwk(text: &[u8]) -> Result<VerifyingKey, KeyRejection> {
    let mut members = Members::default();
    json::read_object(text, |name, value| members.take(name, value)).map_err(|why| {
        why.member_error()
            .unwrap_or(KeyRejection::Malformed("JSON"))
    })?;
    members.key()
}

/// The JWK of a public key, with `kid`, `alg` and `use`.
pub fn public_jwk(key: &VerifyingKey) -> Jwk {
    let mut jwk = bare_jwk(&key.octets());
    jwk.common = CommonParameters {
        public_key_use: Some(PublicKeyUse::Signature),
        key_algorithm: Some(Algorithm::EdDSA.into()),
        key_id: Some(key.id().to_string()),
        ..CommonParameters::default()
    };
    jwk
}

/// The JWK Set of public keys, in the order given.
///
/// # Errors
/// [`KeyRejection::DuplicateKid`] when one key occurs twice.
pub fn jwk_set<'a>(
    keys: impl IntoIterator<Item = &'a VerifyingKey>,
) -> Result<JwkSet, KeyRejection> {
    let mut seen = HashSet::new();
    let mut set = JwkSet { keys: Vec::new() };
    for key in keys {
        if !seen.insert(key.id()) {
            return Err(KeyRejection::DuplicateKid(key.id()));
        }
        set.keys.push(public_jwk(key));
    }
    Ok(set)
}

/// The thumbprint of an Ed25519 public key (RFC 7638, RFC 8037 appendix A.3).
pub(super) fn thumbprint(octets: &[u8; 32]) -> KeyId {
    provider::install();
    let text = bare_jwk(octets).thumbprint(ThumbprintHash::SHA256);
    let digest = text.ok().and_then(|text| digest_from_text(text.as_bytes()));
    // Ours knows SHA-256. Another provider that was first in this process may not, and no two keys may have one name.
    KeyId::from_octets(digest.unwrap_or_else(|| {
        let x = BASE64URL_NOPAD.encode(octets);
        Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)).into()
    }))
}

fn bare_jwk(octets: &[u8; 32]) -> Jwk {
    Jwk {
        common: CommonParameters::default(),
        algorithm: AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
            key_type: OctetKeyPairType::OctetKeyPair,
            curve: EllipticCurve::Ed25519,
            x: BASE64URL_NOPAD.encode(octets),
        }),
    }
}

#[derive(Default)]
struct Members {
    kty: bool,
    crv: bool,
    x: Option<Vec<u8>>,
    kid: Option<KeyId>,
}

impl Members {
    fn take(&mut self, name: Cow<'_, str>, value: Value<'_>) -> Result<(), KeyRejection> {
        match (&*name, &value) {
            ("kty", Value::Text(text)) if text == "OKP" => self.kty = true,
            ("kty", _) => return Err(KeyRejection::Type),
            ("crv", Value::Text(text)) if text == "Ed25519" => self.crv = true,
            ("crv", _) => return Err(KeyRejection::Curve),
            ("alg", Value::Text(text)) if text == "EdDSA" => {}
            ("alg", _) => return Err(KeyRejection::Algorithm),
            ("use", Value::Text(text)) if text == "sig" => {}
            ("use" | "key_ops", _) => return Err(KeyRejection::Use),
            ("d", _) => return Err(KeyRejection::Private),
            ("x", Value::Text(text)) => {
                let octets = BASE64URL_NOPAD.decode(text.as_bytes());
                self.x = Some(octets.map_err(|_| KeyRejection::Malformed("x"))?);
            }
            ("x", _) => return Err(KeyRejection::Malformed("x")),
            ("kid", Value::Text(text)) => {
                self.kid = Some(KeyId::parse(text).ok_or(KeyRejection::Malformed("kid"))?);
            }
            ("kid", _) => return Err(KeyRejection::Malformed("kid")),
            _ => {}
        }
        Ok(())
    }

    fn key(self) -> Result<VerifyingKey, KeyRejection> {
        if !self.kty {
            return Err(KeyRejection::Type);
        }
        if !self.crv {
            return Err(KeyRejection::Curve);
        }
        let key = VerifyingKey::import(&self.x.ok_or(KeyRejection::Malformed("x"))?)?;
        match self.kid {
            Some(kid) if kid != key.id() => Err(KeyRejection::Thumbprint { expected: key.id() }),
            _ => Ok(key),
        }
    }
}
