//! The root: who may sign roots, and who may sign manifests.

use super::jws_json::{DocumentType, Signed};
use super::read::{Versioned, at_most, read, write};
use super::{DocumentRejection, FORMAT, JwkText};
use crate::id::TrustDomain;
use crate::key::{KeyId, VerifyingKey};
use crate::limits;
use crate::time::UnixTime;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Keys that speak together: so many of them must sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    threshold: u32,
    keys: Vec<VerifyingKey>,
}

/// The content of a root document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Root {
    /// The trust domain.
    pub domain: TrustDomain,
    /// Its version, from 1; the next root is exactly one higher.
    pub version: u64,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`: later, the root is stale; its successor still applies.
    pub expires_at: UnixTime,
    /// Who signs roots.
    pub root: Authority,
    /// Who signs manifests.
    pub registrar: Authority,
}

impl Authority {
    /// An authority of `keys`, of which `threshold` must sign.
    ///
    /// # Errors
    /// [`DocumentRejection`] when a key occurs twice, there are more than
    /// [`limits::AUTHORITY_KEYS`], or the threshold is not 1 to the number of keys.
    pub fn new(threshold: u32, keys: Vec<VerifyingKey>) -> Result<Self, DocumentRejection> {
        at_most(limits::AUTHORITY_KEYS, "authority keys", keys.len())?;
        let mut kids = BTreeSet::new();
        for key in &keys {
            if !kids.insert(key.id()) {
                return Err(DocumentRejection::DuplicateAuthorityKey(key.id()));
            }
        }
        let reachable = usize::try_from(threshold).is_ok_and(|needed| needed <= keys.len());
        if threshold == 0 || !reachable {
            let keys = keys.len();
            return Err(DocumentRejection::ThresholdImpossible { threshold, keys });
        }
        Ok(Self { threshold, keys })
    }

    /// How many of the keys must sign.
    pub const fn threshold(&self) -> u32 {
        self.threshold
    }

    /// The keys.
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// The key with this name, if it belongs to the authority.
    pub fn key(&self, kid: KeyId) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.id() == kid)
    }
}

impl Root {
    /// The payload to sign.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the content breaks a rule that every reader applies.
    pub fn to_payload(&self) -> Result<Vec<u8>, DocumentRejection> {
        self.check()?;
        Ok(write(&RootText {
            format: FORMAT,
            domain: self.domain.clone(),
            version: self.version,
            iat: self.issued_at,
            exp: self.expires_at,
            root: AuthorityText::of(&self.root),
            registrar: AuthorityText::of(&self.registrar),
        }))
    }

    /// The root after this one: exactly one version higher, of the same domain. It takes the signatures
    /// of the thresholds of both.
    pub fn successor(
        &self,
        root: Authority,
        registrar: Authority,
        issued_at: UnixTime,
        expires_at: UnixTime,
    ) -> Self {
        Self {
            domain: self.domain.clone(),
            version: self.version.saturating_add(1),
            issued_at,
            expires_at,
            root,
            registrar,
        }
    }

    fn check(&self) -> Result<(), DocumentRejection> {
        if self.version == 0 {
            return Err(DocumentRejection::Zero("version"));
        }
        check_times(self.issued_at, self.expires_at)
    }
}

impl Signed for Root {
    const TYPE: DocumentType = DocumentType::Root;

    fn from_payload(payload: &[u8]) -> Result<Self, DocumentRejection> {
        let text: RootText = read(payload, Versioned::Yes)?;
        let root = Self {
            domain: text.domain,
            version: text.version,
            issued_at: text.iat,
            expires_at: text.exp,
            root: text.root.import()?,
            registrar: text.registrar.import()?,
        };
        root.check()?;
        Ok(root)
    }
}

/// `exp` is after `iat`.
pub(super) fn check_times(
    issued_at: UnixTime,
    expires_at: UnixTime,
) -> Result<(), DocumentRejection> {
    if expires_at <= issued_at {
        return Err(DocumentRejection::Expiry {
            expires_at,
            issued_at,
        });
    }
    Ok(())
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RootText {
    format: u64,
    domain: TrustDomain,
    version: u64,
    iat: UnixTime,
    exp: UnixTime,
    root: AuthorityText,
    registrar: AuthorityText,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AuthorityText {
    threshold: u32,
    keys: Vec<JwkText>,
}

impl AuthorityText {
    fn of(authority: &Authority) -> Self {
        Self {
            threshold: authority.threshold,
            keys: authority.keys.iter().map(JwkText::of).collect(),
        }
    }

    fn import(&self) -> Result<Authority, DocumentRejection> {
        at_most(limits::AUTHORITY_KEYS, "authority keys", self.keys.len())?;
        let keys: Result<_, _> = self.keys.iter().map(JwkText::import).collect();
        Authority::new(self.threshold, keys?)
    }
}
