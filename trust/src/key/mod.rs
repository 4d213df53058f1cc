//! Ed25519 keys (RFC 8032): parsed once and kept, named by their thumbprint (RFC 7638).

mod jwk;
mod provider;

pub use jwk::{jwk_set, parse_jwk, public_jwk};

use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::pkcs8::{self, KeypairBytes};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use zeroize::Zeroizing;

/// A key's name in tokens and documents: the SHA-256 thumbprint of its JWK (RFC 7638), shown as
/// 43 characters of base64url.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The thumbprint of 32 octets.
    pub const fn from_octets(octets: [u8; 32]) -> Self {
        Self(octets)
    }

    /// The octets of the thumbprint.
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads a `kid`: exactly 43 characters of canonical base64url.
    pub fn parse(text: &str) -> Option<Self> {
        digest_from_text(text.as_bytes()).map(Self)
    }
}

/// Eight octets of a SHA-256 tell keys apart for a table as well as all of them.
impl Hash for KeyId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [first, ..] = self.0.as_chunks::<8>().0 else {
            return;
        };
        state.write_u64(u64::from_ne_bytes(*first));
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; DIGEST_CHARACTERS];
        serializer.serialize_str(BASE64URL_NOPAD.encode_mut_str(&self.0, &mut text))
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a thumbprint"))
    }
}

/// Reads 43 characters of canonical base64url as 32 octets; padding, trailing bits and every other
/// length are refused.
pub(crate) fn digest_from_text(text: &[u8]) -> Option<[u8; 32]> {
    let mut octets = [0; 32];
    (text.len() == DIGEST_CHARACTERS).then_some(())?;
    BASE64URL_NOPAD.decode_mut(text, &mut octets).ok()?;
    Some(octets)
}

/// Why octets or a JWK are no key that may verify anything.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyRejection {
    /// `alg` is present and not `EdDSA`.
    #[error("alg must be EdDSA")]
    Algorithm,
    /// `crv` is not `Ed25519`.
    #[error("crv must be Ed25519")]
    Curve,
    /// Two keys of a set have one `kid`.
    #[error("the kid {0} occurs twice")]
    DuplicateKid(KeyId),
    /// Not the base64url or JSON of a JWK.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// The point has a component of small order: several signatures rules disagree about it.
    #[error("the point is of mixed order")]
    MixedOrder,
    /// Not the one encoding of its point (RFC 8032 section 5.1.3).
    #[error("not the canonical encoding of a point")]
    NonCanonical,
    /// No point of the curve.
    #[error("not a point of the curve")]
    NotAPoint,
    /// `d` is present: a private key where a public one belongs.
    #[error("contains the private member d; send the public key only")]
    Private,
    /// The point has small order: anybody can sign for it.
    #[error("the point is of small order")]
    SmallOrder,
    /// `kid` is not the thumbprint of the key.
    #[error("kid is not the thumbprint {expected}")]
    Thumbprint {
        /// The key's thumbprint.
        expected: KeyId,
    },
    /// `kty` is not `OKP`.
    #[error("kty must be OKP")]
    Type,
    /// `use` is not `sig`, or `key_ops` says more than `verify`.
    #[error("use must be sig")]
    Use,
    /// Not 32 octets.
    #[error("a public key is 32 octets, not {0}")]
    WrongLength(usize),
}

impl KeyRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Algorithm => "key-alg",
            Self::Curve => "key-crv",
            Self::DuplicateKid(_) => "key-duplicate-kid",
            Self::Malformed(_) => "key-malformed",
            Self::MixedOrder => "key-mixed-order",
            Self::NonCanonical => "key-non-canonical",
            Self::NotAPoint => "key-not-a-point",
            Self::Private => "key-private",
            Self::SmallOrder => "key-small-order",
            Self::Thumbprint { .. } => "key-thumbprint",
            Self::Type => "key-kty",
            Self::Use => "key-use",
            Self::WrongLength(_) => "key-length",
        }
    }
}

/// A public key, its point decompressed and judged once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifyingKey {
    point: ed25519_dalek::VerifyingKey,
    id: KeyId,
}

impl VerifyingKey {
    /// Imports a public key: the one way in for keys from outside.
    ///
    /// # Errors
    /// [`KeyRejection`] for every encoding but the canonical one of a point of prime order.
    pub fn import(octets: &[u8]) -> Result<Self, KeyRejection> {
        let octets: &[u8; 32] = octets
            .try_into()
            .map_err(|_| KeyRejection::WrongLength(octets.len()))?;
        let point =
            ed25519_dalek::VerifyingKey::from_bytes(octets).map_err(|_| KeyRejection::NotAPoint)?;
        let edwards = point.to_edwards();
        if edwards.compress().as_bytes() != octets {
            return Err(KeyRejection::NonCanonical);
        }
        if point.is_weak() {
            return Err(KeyRejection::SmallOrder);
        }
        if !edwards.is_torsion_free() {
            return Err(KeyRejection::MixedOrder);
        }
        let id = jwk::thumbprint(octets);
        Ok(Self { point, id })
    }

    /// Reads back a key that [`VerifyingKey::import`] let in before and the store kept under `id`.
    /// Skips the tests of order, which cost more than a verification; the thumbprint shows that these
    /// are the octets that passed them.
    ///
    /// # Errors
    /// [`KeyRejection::Thumbprint`] when the store's octets are damaged.
    pub fn reload(octets: &[u8; 32], id: KeyId) -> Result<Self, KeyRejection> {
        let expected = jwk::thumbprint(octets);
        if expected != id {
            return Err(KeyRejection::Thumbprint { expected });
        }
        let point =
            ed25519_dalek::VerifyingKey::from_bytes(octets).map_err(|_| KeyRejection::NotAPoint)?;
        Ok(Self { point, id })
    }

    /// The key's thumbprint.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The key's encoding (RFC 8032 section 5.1.2).
    pub fn octets(&self) -> [u8; 32] {
        self.point.to_bytes()
    }

    /// Whether `signature` is this key's over `message`, by the strict rule: no small-order point,
    /// no second encoding of S.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.point.verify_strict(message, &signature).is_ok()
    }
}

/// A private key with its public half. It is not `Clone`, never printed, and leaves memory when
/// dropped.
pub struct SigningKey {
    pair: ed25519_dalek::SigningKey,
    public: VerifyingKey,
}

impl SigningKey {
    /// The key of a 32-octet seed (RFC 8032 section 5.1.5), the public half computed once.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let pair = ed25519_dalek::SigningKey::from_bytes(seed);
        let point = pair.verifying_key();
        let id = jwk::thumbprint(&point.to_bytes());
        let public = VerifyingKey { point, id };
        Self { pair, public }
    }

    /// Reads a PKCS#8 document in PEM form (RFC 5958, RFC 8410), version 1 or 2.
    ///
    /// # Errors
    /// [`PrivateKeyError`] when the text is no such document or its public half does not fit.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, PrivateKeyError> {
        use pkcs8::DecodePrivateKey;
        let pair = KeypairBytes::from_pkcs8_pem(pem).map_err(|_| PrivateKeyError)?;
        Self::from_keypair(&pair)
    }

    /// Reads a PKCS#8 document in DER form (RFC 5958, RFC 8410), version 1 or 2.
    ///
    /// # Errors
    /// [`PrivateKeyError`] as for [`SigningKey::from_pkcs8_pem`].
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        use pkcs8::DecodePrivateKey;
        let pair = KeypairBytes::from_pkcs8_der(der).map_err(|_| PrivateKeyError)?;
        Self::from_keypair(&pair)
    }

    /// The key as a PKCS#8 version 1 document in DER form (48 octets), which OpenSSL 3.0 reads.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let mut der = Zeroizing::new(Vec::with_capacity(48));
        der.extend_from_slice(&PKCS8_V1_PREFIX);
        der.extend_from_slice(self.pair.as_bytes());
        der
    }

    /// The public half.
    pub const fn public(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs `message` (RFC 8032 section 5.1.6).
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        use ed25519_dalek::Signer;
        self.pair.sign(message).to_bytes()
    }

    fn from_keypair(pair: &KeypairBytes) -> Result<Self, PrivateKeyError> {
        let key = Self::from_seed(&pair.secret_key);
        match &pair.public_key {
            Some(public) if public.to_bytes() != key.public.octets() => Err(PrivateKeyError),
            _ => Ok(key),
        }
    }
}

/// A text is no Ed25519 private key in PKCS#8 form. It says nothing of the content, on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an Ed25519 private key in PKCS#8 form")]
pub struct PrivateKeyError;

const DIGEST_CHARACTERS: usize = 43;
/// SEQUENCE { INTEGER 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32) } }
const PKCS8_V1_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

#[cfg(test)]
mod tests;
