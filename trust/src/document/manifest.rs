//! The manifest: roles, groups, and the digest of every shard.

use super::jws_json::{DocumentType, Signed};
use super::read::{Versioned, at_most, read, write};
use super::root::check_times;
use super::{Digest, DocumentRejection, FORMAT};
use crate::grant::Grant;
use crate::id::{GroupName, RoleName, TrustDomain};
use crate::key::digest_from_text;
use crate::limits;
use crate::registry::Role;
use crate::time::UnixTime;
use data_encoding::BASE64URL_NOPAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;

/// The content of a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manifest {
    /// The trust domain.
    pub domain: TrustDomain,
    /// Version of the newest root when it was made.
    pub root_version: u64,
    /// Its place in the order of manifests under that root, from 1.
    pub sequence: u64,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`: later, the agent is stale.
    pub expires_at: UnixTime,
    /// The roles, each once.
    pub roles: Vec<Role>,
    /// The groups, each once.
    pub groups: Vec<GroupName>,
    /// The digests of the shards in order of their index; their number is a power of two.
    pub shards: Vec<Digest>,
}

impl Manifest {
    /// The payload to sign.
    ///
    /// # Errors
    /// [`DocumentRejection`] when the content breaks a rule that every reader applies.
    pub fn to_payload(&self) -> Result<Vec<u8>, DocumentRejection> {
        self.check()?;
        Ok(write(&ManifestText {
            format: FORMAT,
            domain: self.domain.clone(),
            root_version: self.root_version,
            sequence: self.sequence,
            iat: self.issued_at,
            exp: self.expires_at,
            roles: self.roles.clone(),
            groups: self.groups.clone(),
            shards: self.shards.iter().copied().map(ShardName).collect(),
        }))
    }

    /// The number of shards: a power of two from 1 to [`limits::SHARDS`].
    pub fn shard_count(&self) -> u32 {
        u32::try_from(self.shards.len()).unwrap_or(u32::MAX)
    }

    fn check(&self) -> Result<(), DocumentRejection> {
        for (what, number) in [
            ("root_version", self.root_version),
            ("sequence", self.sequence),
        ] {
            if number == 0 {
                return Err(DocumentRejection::Zero(what));
            }
        }
        check_times(self.issued_at, self.expires_at)?;
        at_most(limits::ROLES, "roles", self.roles.len())?;
        at_most(limits::ROLES, "groups", self.groups.len())?;
        once_each("role", self.roles.iter().map(|role| &role.name))?;
        once_each("group", &self.groups)?;
        for role in &self.roles {
            at_most(limits::GRANTS, "grants in one role", role.grants.len())?;
            for grant in &role.grants {
                check_ceilings(&role.name, grant)?;
            }
        }
        check_shard_count(self.shard_count())?;
        once_each("shard", &self.shards)
    }
}

impl Signed for Manifest {
    const TYPE: DocumentType = DocumentType::Manifest;

    fn from_payload(payload: &[u8]) -> Result<Self, DocumentRejection> {
        let text: ManifestText = read(payload, Versioned::Yes)?;
        let manifest = Self {
            domain: text.domain,
            root_version: text.root_version,
            sequence: text.sequence,
            issued_at: text.iat,
            expires_at: text.exp,
            roles: text.roles,
            groups: text.groups,
            shards: text
                .shards
                .into_iter()
                .map(|ShardName(digest)| digest)
                .collect(),
        };
        manifest.check()?;
        Ok(manifest)
    }
}

/// Refuses every number of shards but a power of two from 1 to [`limits::SHARDS`].
pub(super) fn check_shard_count(count: u32) -> Result<(), DocumentRejection> {
    if count.is_power_of_two() && count <= limits::SHARDS {
        Ok(())
    } else {
        Err(DocumentRejection::ShardCount(count.into()))
    }
}

/// Refuses a name that occurs twice.
pub(crate) fn once_each<'a, N: Display + Ord + 'a>(
    what: &'static str,
    names: impl IntoIterator<Item = &'a N>,
) -> Result<(), DocumentRejection> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let name = name.to_string();
            return Err(DocumentRejection::DuplicateName { what, name });
        }
    }
    Ok(())
}

fn check_ceilings(role: &RoleName, grant: &Grant) -> Result<(), DocumentRejection> {
    for (what, stated, limit) in [
        (
            "lifetime_seconds",
            grant.lifetime_seconds,
            limits::MESSAGE_LIFETIME_CEILING_SECONDS,
        ),
        (
            "retained_seconds",
            grant.retained_seconds,
            limits::RETAINED_LIFETIME_CEILING_SECONDS,
        ),
        (
            "will_seconds",
            grant.will_seconds,
            limits::WILL_LIFETIME_CEILING_SECONDS,
        ),
    ] {
        if let Some(found) = stated.filter(|found| *found == 0 || *found > limit) {
            let role = role.clone();
            return Err(DocumentRejection::GrantCeiling {
                role,
                what,
                found,
                limit,
            });
        }
    }
    Ok(())
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ManifestText {
    format: u64,
    domain: TrustDomain,
    root_version: u64,
    sequence: u64,
    iat: UnixTime,
    exp: UnixTime,
    roles: Vec<Role>,
    groups: Vec<GroupName>,
    shards: Vec<ShardName>,
}

/// A digest in 43 characters of base64url: two thirds of the hexadecimal form. A manifest has up to
/// thousands of them, and travels with every change.
struct ShardName(Digest);

impl Serialize for ShardName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&BASE64URL_NOPAD.encode_display(self.0.octets()))
    }
}

impl<'de> Deserialize<'de> for ShardName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let octets = digest_from_text(text.as_bytes());
        let octets = octets.ok_or_else(|| D::Error::custom("not SHA-256 in base64url"))?;
        Ok(Self(Digest::from_octets(octets)))
    }
}
