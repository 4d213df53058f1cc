//! Join tokens: what a registrar allows the holder of one one-time key, once.

use super::JoinRejection;
use crate::document::{
    Authority, DocumentRejection, Versioned, at_most, at_most_octets, once_each, read, short_text,
    write,
};
use crate::id::{DeviceId, GroupName, RoleName, TrustDomain};
use crate::key::{KeyId, SigningKey};
use crate::limits;
use crate::time::UnixTime;
use crate::token::{Unverified, compact};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// The `jti` of a join token: 128 random bits, shown as 22 characters of base64url.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct JoinId([u8; 16]);

/// Why a text is no id of a join token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the id of a join token is 22 characters of base64url")]
pub struct InvalidJoinId;

/// A join token to be signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinDraft {
    /// `iss`: the trust domain.
    pub domain: TrustDomain,
    /// `jti`: never used before.
    pub id: JoinId,
    /// `cnf.jkt`: the thumbprint of the one-time key (RFC 7800 section 3.1, RFC 9449 section 6.1).
    pub one_time: KeyId,
    /// The one device that may use it; nothing lets the request name one.
    pub device: Option<DeviceId>,
    /// The roles that the device gets.
    pub roles: Vec<RoleName>,
    /// The groups that the device gets.
    pub groups: Vec<GroupName>,
    /// The board that may use it; nothing for any.
    pub serial: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`, judged by the registrar's clock alone.
    pub expires_at: UnixTime,
}

/// A join token that a registrar key has signed. Only its verification makes one.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct JoinToken {
    /// `iss`: the trust domain.
    pub domain: TrustDomain,
    /// `jti`.
    pub id: JoinId,
    /// `cnf.jkt`: the thumbprint of the one-time key.
    pub one_time: KeyId,
    /// The one device that may use it.
    pub device: Option<DeviceId>,
    /// The roles that the device gets.
    pub roles: Vec<RoleName>,
    /// The groups that the device gets.
    pub groups: Vec<GroupName>,
    /// The board that may use it.
    pub serial: Option<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// The registrar key that signed it.
    pub registrar: KeyId,
}

/// The `typ` of join tokens (RFC 7515 section 4.1.9).
pub const JOIN_TYP: &str = "edgeseal-join+jwt";

impl JoinId {
    /// The id of 128 random bits.
    pub const fn from_octets(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The 16 octets.
    pub const fn octets(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads exactly 22 characters of canonical base64url.
    ///
    /// # Errors
    /// [`InvalidJoinId`] for everything else.
    pub fn parse(text: &str) -> Result<Self, InvalidJoinId> {
        let octets = BASE64URL_NOPAD.decode(text.as_bytes());
        let octets = octets.map_err(|_| InvalidJoinId)?;
        octets.try_into().map(Self).map_err(|_| InvalidJoinId)
    }
}

impl fmt::Display for JoinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for JoinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for JoinId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for JoinId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl JoinDraft {
    /// The token, signed by a registrar key.
    ///
    /// # Errors
    /// [`JoinRejection`]: what a registrar would refuse is not signed.
    pub fn sign(&self, registrar: &SigningKey) -> Result<String, JoinRejection> {
        let text = JoinText {
            iss: self.domain.clone(),
            jti: self.id,
            iat: self.issued_at,
            exp: self.expires_at,
            cnf: Confirmation { jkt: self.one_time },
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            device: self.device.clone(),
            serial: self.serial.clone(),
        };
        text.check()?;
        let token = compact(JOIN_TYP, &write(&text), registrar);
        at_most_octets(token.as_bytes(), limits::TOKEN_OCTETS).map_err(JoinRejection::Claims)?;
        Ok(token)
    }
}

impl JoinToken {
    /// Reads a join token that one of the registrar's keys must have signed. Neither its expiry is
    /// judged nor whether it was used before.
    ///
    /// # Errors
    /// [`JoinRejection`] of the first check that refuses.
    pub fn verify(token: &str, registrar: &Authority) -> Result<Self, JoinRejection> {
        let unverified = Unverified::parse(token.as_bytes(), JOIN_TYP);
        let unverified = unverified.map_err(JoinRejection::Token)?;
        let kid = unverified.kid();
        let key = registrar.key(kid);
        let key = key.ok_or(JoinRejection::UnknownRegistrar(kid))?;
        let claims = unverified.verified_claims(key);
        let claims = claims.map_err(JoinRejection::Token)?;
        let text: JoinText = read(claims, Versioned::No).map_err(JoinRejection::Claims)?;
        text.check()?;
        Ok(Self {
            domain: text.iss,
            id: text.jti,
            one_time: text.cnf.jkt,
            device: text.device,
            roles: text.roles,
            groups: text.groups,
            serial: text.serial,
            issued_at: text.iat,
            expires_at: text.exp,
            registrar: kid,
        })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct JoinText {
    iss: TrustDomain,
    jti: JoinId,
    iat: UnixTime,
    exp: UnixTime,
    cnf: Confirmation,
    roles: Vec<RoleName>,
    groups: Vec<GroupName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    jkt: KeyId,
}

impl JoinText {
    fn check(&self) -> Result<(), JoinRejection> {
        let lifetime_seconds = self.exp.since(self.iat);
        let ceiling_seconds = limits::JOIN_LIFETIME_SECONDS;
        if !(1..=ceiling_seconds).contains(&lifetime_seconds) {
            return Err(JoinRejection::Lifetime {
                lifetime_seconds,
                ceiling_seconds,
            });
        }
        self.check_names().map_err(JoinRejection::Claims)
    }

    fn check_names(&self) -> Result<(), DocumentRejection> {
        at_most(limits::MEMBERSHIPS, "roles", self.roles.len())?;
        at_most(limits::MEMBERSHIPS, "groups", self.groups.len())?;
        once_each("role", &self.roles)?;
        once_each("group", &self.groups)?;
        short_text(self.serial.as_deref(), "serial", limits::SERIAL_OCTETS)
    }
}
