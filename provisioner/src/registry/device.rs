//! A device as the operator keeps it: one line of JSON.

use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::document::{DeviceEntry, KeyEntry};
use edgeseal_trust::enrollment::JoinId;
use edgeseal_trust::id::{DeviceId, GroupName, RoleName};
use edgeseal_trust::key::{KeyId, VerifyingKey};
use edgeseal_trust::registry::{Device, DeviceState, KeyState, PeerKey};
use edgeseal_trust::time::UnixTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::sync::Arc;

/// A device in the registry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceRecord {
    /// Its id.
    pub(crate) id: DeviceId,
    /// Its state.
    pub(crate) state: DeviceState,
    /// Why it is suspended or revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Its keys.
    pub(crate) keys: Vec<KeyRecord>,
    /// Its roles, sorted.
    pub(crate) roles: Vec<RoleName>,
    /// Its groups, sorted.
    pub(crate) groups: Vec<GroupName>,
    /// Serial number of its board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serial: Option<String>,
    /// The words of the enrollment request, until it is approved. Never published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request_words: Option<String>,
    /// The join token that it came with. Never published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) join: Option<JoinId>,
}

/// A key of a device in the registry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRecord {
    /// The public key.
    #[serde(
        rename = "jwk",
        serialize_with = "write_jwk",
        deserialize_with = "read_jwk"
    )]
    pub(crate) key: VerifyingKey,
    /// The key's state.
    pub(crate) state: KeyState,
    /// Tokens issued before this moment are refused.
    pub(crate) not_before: UnixTime,
    /// When the key was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retired_at: Option<UnixTime>,
    /// For a key that is being replaced: the first manifest made at this moment or later retires it. Never published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retires_at: Option<UnixTime>,
}

impl DeviceRecord {
    /// A device with one new key.
    pub(crate) fn new(id: DeviceId, key: VerifyingKey, state: DeviceState) -> Self {
        Self {
            state,
            keys: vec![KeyRecord::new(key)],
            ..Self::expected(id)
        }
    }

    /// A device that is preauthorized: pending, and without a key until its request comes.
    pub(crate) fn expected(id: DeviceId) -> Self {
        Self {
            id,
            state: DeviceState::Pending,
            reason: None,
            keys: Vec::new(),
            roles: Vec::new(),
            groups: Vec::new(),
            serial: None,
            request_words: None,
            join: None,
        }
    }

    /// Whether it is preauthorized, and has not asked yet.
    pub(crate) fn is_expected(&self) -> bool {
        self.state == DeviceState::Pending && self.keys.is_empty()
    }

    /// The same device, believed by this key.
    pub(crate) fn approved(&self, key: VerifyingKey) -> Self {
        Self {
            state: DeviceState::Active,
            keys: vec![KeyRecord::new(key)],
            request_words: None,
            ..self.clone()
        }
    }

    /// Brings roles and groups into order, each once.
    pub(crate) fn tidy(&mut self) {
        self.roles.sort();
        self.roles.dedup();
        self.groups.sort();
        self.groups.dedup();
    }

    /// What is published of it.
    pub(crate) fn entry(&self) -> DeviceEntry {
        let key = |key: &KeyRecord| KeyEntry {
            key: key.key.clone(),
            state: key.state,
            not_before: key.not_before,
            retired_at: key.retired_at,
        };
        DeviceEntry {
            id: self.id.clone(),
            state: self.state,
            reason: self.reason.clone(),
            keys: self.keys.iter().map(key).collect(),
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            serial: self.serial.clone(),
        }
    }

    /// Its key of that name, as it verifies what the device has signed.
    pub(crate) fn peer_key(&self, kid: KeyId) -> Option<PeerKey> {
        let key = self.keys.iter().find(|key| key.key.id() == kid)?;
        Some(PeerKey {
            key: key.key.clone(),
            state: key.state,
            not_before: key.not_before,
            retired_at: key.retired_at,
            device: Arc::new(Device {
                id: self.id.clone(),
                state: self.state,
                roles: self.roles.as_slice().into(),
                groups: self.groups.as_slice().into(),
            }),
        })
    }

    /// The file, below `devices`, that keeps a device of this id: the first octet of SHA-256 of it.
    pub(crate) fn bucket_of(id: &DeviceId) -> u8 {
        let [first, ..] = <[u8; 32]>::from(Sha256::digest(id.as_str()));
        first
    }
}

impl KeyRecord {
    /// A new key: nothing that it signed needs to be fenced off.
    pub(crate) fn new(key: VerifyingKey) -> Self {
        Self {
            key,
            state: KeyState::Active,
            not_before: UnixTime::default(),
            retired_at: None,
            retires_at: None,
        }
    }
}

/// A state as people read it.
pub(crate) const fn state_word(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Active => "active",
        DeviceState::Pending => "pending",
        DeviceState::Revoked => "revoked",
        DeviceState::Suspended => "suspended",
    }
}

/// A key's state as people read it.
pub(crate) const fn key_state_word(state: KeyState) -> &'static str {
    match state {
        KeyState::Active => "active",
        KeyState::Retired => "retired",
        KeyState::Retiring => "retiring",
        KeyState::Revoked => "revoked",
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Jwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(borrow)]
    crv: Cow<'a, str>,
    #[serde(borrow)]
    x: Cow<'a, str>,
    kid: KeyId,
}

fn write_jwk<S: Serializer>(key: &VerifyingKey, serializer: S) -> Result<S::Ok, S::Error> {
    let jwk = Jwk {
        kty: "OKP".into(),
        crv: "Ed25519".into(),
        x: BASE64URL_NOPAD.encode(&key.octets()).into(),
        kid: key.id(),
    };
    jwk.serialize(serializer)
}

/// A line of the registry was judged by [`VerifyingKey::import`] when it was written; here its
/// `kid`, a hash over the key, shows whether it is still the same. That is a tenth of the work.
fn read_jwk<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VerifyingKey, D::Error> {
    let jwk = Jwk::deserialize(deserializer)?;
    if jwk.kty != "OKP" || jwk.crv != "Ed25519" {
        return Err(D::Error::custom("not an Ed25519 key"));
    }
    let octets = BASE64URL_NOPAD.decode(jwk.x.as_bytes()).ok();
    let octets = octets.and_then(|octets| <[u8; 32]>::try_from(octets).ok());
    let octets = octets.ok_or_else(|| D::Error::custom("x is not 32 octets of base64url"))?;
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, jwk.x);
    if <[u8; 32]>::from(Sha256::digest(canonical)) != *jwk.kid.octets() {
        return Err(D::Error::custom("kid is not the thumbprint of the key"));
    }
    VerifyingKey::reload(&octets, jwk.kid).map_err(D::Error::custom)
}
