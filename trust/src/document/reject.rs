//! Why a document is refused.

use crate::id::{DeviceId, GroupName, RoleName};
use crate::key::{KeyId, KeyRejection};
use crate::time::UnixTime;

/// Why a root, manifest, shard or enrollment request is refused. Data in the variants, a sentence
/// by `Display`, a stable code by [`DocumentRejection::code`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum DocumentRejection {
    /// One key occurs twice among root or registrar keys.
    #[error("the key {0} is listed twice in one authority: list each key once")]
    DuplicateAuthorityKey(KeyId),
    /// A device occurs twice.
    #[error("the device {0} occurs twice: keep one entry and publish again")]
    DuplicateDevice(DeviceId),
    /// A key occurs twice, in one entry or in two.
    #[error("the key {0} occurs twice: a key belongs to one device, once")]
    DuplicateKid(KeyId),
    /// A member occurs twice.
    #[error("a member occurs twice: the document was not made by edgeseal")]
    DuplicateMember,
    /// A role, group or shard occurs twice where each may occur once.
    #[error("the {what} {name} is listed twice: list it once")]
    DuplicateName {
        /// `role`, `group` or `shard`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// One key signed twice.
    #[error("the key {0} signed twice; a key counts once: remove one of the signatures")]
    DuplicateSignature(KeyId),
    /// Not canonical base64url, or not of the right length.
    #[error("{0} is not canonical base64url of the right length: fetch the document again")]
    Encoding(&'static str),
    /// `exp` is not after `iat`.
    #[error("it expires at {expires_at}, not after it was issued at {issued_at}: correct exp")]
    Expiry {
        /// `exp`.
        expires_at: UnixTime,
        /// `iat`.
        issued_at: UnixTime,
    },
    /// A format version that this program does not know.
    #[error("its format is {}, this program reads format 1: update edgeseal", shown(*found))]
    Format {
        /// The format, where it is a whole number.
        found: Option<u64>,
    },
    /// A grant allows more than any grant may.
    #[error("role {role}: {what} = {found}, allowed are 1 to {limit}: lower it and publish again")]
    GrantCeiling {
        /// The role.
        role: RoleName,
        /// The member of the grant.
        what: &'static str,
        /// What it states, in seconds.
        found: u64,
        /// The ceiling, in seconds.
        limit: u64,
    },
    /// A protected header's `alg` is not `EdDSA`.
    #[error("a signature's alg is not EdDSA: sign it with edgeseal")]
    HeaderAlg,
    /// A protected header's `kid` is no thumbprint.
    #[error("a signature's kid is no thumbprint: sign it with edgeseal")]
    HeaderKid,
    /// A protected header is not exactly `alg`, `typ`, `kid`.
    #[error("a protected header is not exactly alg, typ and kid: sign it with edgeseal")]
    HeaderMembers,
    /// A protected header's `typ` belongs to another kind of document.
    #[error("a signature's typ is not {expected}: this is another kind of document")]
    HeaderTyp {
        /// The `typ` of such documents.
        expected: &'static str,
    },
    /// An unprotected `header` is present (RFC 7515 section 7.2.1).
    #[error("a signature has an unprotected header: sign it with edgeseal")]
    HeaderUnprotected,
    /// A key is refused.
    #[error("a key is refused: {0}")]
    Key(KeyRejection),
    /// Not of the form that its format says.
    #[error("malformed ({0}): fetch the document again, or update edgeseal")]
    Malformed(String),
    /// Devices are not in the order of their ids.
    #[error("the device {0} is not in the order of ids: publish again")]
    NotSorted(DeviceId),
    /// A reason without suspension or revocation.
    #[error("the device {0} has a reason, but is neither suspended nor revoked")]
    Reason(DeviceId),
    /// `retired_at` is present on a key that is not retired, or absent on one that is.
    #[error("the key {0}: retired_at belongs to retired keys, and to each of them")]
    RetiredAt(KeyId),
    /// The number of shards is no power of two from 1 to 4,096.
    #[error("{0} shards: the number must be a power of two from 1 to 4096")]
    ShardCount(u64),
    /// A shard is not the one that the manifest has at its place.
    #[error("it says it is shard {index} of {of}, where {expected_index} of {expected_of} belongs")]
    ShardIndex {
        /// Its index.
        index: u32,
        /// Its number of shards.
        of: u32,
        /// The index of the manifest's place.
        expected_index: u32,
        /// The manifest's number of shards.
        expected_of: u32,
    },
    /// A device stands in a shard that its id does not hash into.
    #[error("the device {device} belongs into shard {belongs}: publish again")]
    ShardMisplaced {
        /// The device.
        device: DeviceId,
        /// The index of its shard.
        belongs: u32,
    },
    /// A signature by a key that counts is wrong.
    #[error("the signature of key {0} is wrong: the document was altered, or damaged on the way")]
    Signature(KeyId),
    /// More octets than allowed.
    #[error("more than {limit} octets: {found}")]
    Size {
        /// Octets found.
        found: usize,
        /// Octets allowed.
        limit: usize,
    },
    /// A text for people is too long, empty, or contains control characters.
    #[error("{what} must be 1 to {limit} octets without control characters")]
    Text {
        /// The member.
        what: &'static str,
        /// Octets allowed.
        limit: usize,
    },
    /// Too few of the keys that count have signed.
    #[error("{valid} of the {needed} signatures needed: have the others sign, or fetch it again")]
    Threshold {
        /// Valid signatures by keys that count.
        valid: u32,
        /// The threshold.
        needed: u32,
    },
    /// A threshold that is zero or cannot be reached.
    #[error("a threshold of {threshold} with {keys} keys: it must be 1 to the number of keys")]
    ThresholdImpossible {
        /// The threshold.
        threshold: u32,
        /// Distinct keys.
        keys: usize,
    },
    /// More of something than a document may hold.
    #[error("{found} {what}, at most {limit} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// A device has a group that the manifest does not list.
    #[error("the device {device} is in the group {group}, which the manifest does not list")]
    UnknownGroup {
        /// The device.
        device: DeviceId,
        /// The group.
        group: GroupName,
    },
    /// A device has a role that the manifest does not define.
    #[error("the device {device} has the role {role}, which the manifest does not define")]
    UnknownRole {
        /// The device.
        device: DeviceId,
        /// The role.
        role: RoleName,
    },
    /// Version or sequence 0.
    #[error("{0} counts from 1")]
    Zero(&'static str),
}

impl DocumentRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateAuthorityKey(_) => "duplicate-authority-key",
            Self::DuplicateDevice(_) => "duplicate-device",
            Self::DuplicateKid(_) => "duplicate-kid",
            Self::DuplicateMember => "duplicate-member",
            Self::DuplicateName { .. } => "duplicate-name",
            Self::DuplicateSignature(_) => "duplicate-signature",
            Self::Encoding(_) => "encoding",
            Self::Expiry { .. } => "expiry",
            Self::Format { .. } => "format-unknown",
            Self::GrantCeiling { .. } => "grant-ceiling",
            Self::HeaderAlg => "header-alg",
            Self::HeaderKid => "header-kid",
            Self::HeaderMembers => "header-members",
            Self::HeaderTyp { .. } => "header-typ",
            Self::HeaderUnprotected => "header-unprotected",
            Self::Key(why) => why.code(),
            Self::Malformed(_) => "malformed",
            Self::NotSorted(_) => "not-sorted",
            Self::Reason(_) => "reason-misplaced",
            Self::RetiredAt(_) => "retired-at",
            Self::ShardCount(_) => "shard-count",
            Self::ShardIndex { .. } => "shard-index",
            Self::ShardMisplaced { .. } => "shard-misplaced",
            Self::Signature(_) => "signature",
            Self::Size { .. } => "size",
            Self::Text { .. } => "text",
            Self::Threshold { .. } => "threshold",
            Self::ThresholdImpossible { .. } => "threshold-impossible",
            Self::TooMany { .. } => "too-many",
            Self::UnknownGroup { .. } => "unknown-group",
            Self::UnknownRole { .. } => "unknown-role",
            Self::Zero(_) => "zero",
        }
    }

    /// Every code that documents of their own can be refused with, in alphabetical order; the codes
    /// of keys (`key-...`) are [`KeyRejection`]'s.
    pub const CODES: [&'static str; 31] = [
        "duplicate-authority-key",
        "duplicate-device",
        "duplicate-kid",
        "duplicate-member",
        "duplicate-name",
        "duplicate-signature",
        "encoding",
        "expiry",
        "format-unknown",
        "grant-ceiling",
        "header-alg",
        "header-kid",
        "header-members",
        "header-typ",
        "header-unprotected",
        "malformed",
        "not-sorted",
        "reason-misplaced",
        "retired-at",
        "shard-count",
        "shard-index",
        "shard-misplaced",
        "signature",
        "size",
        "text",
        "threshold",
        "threshold-impossible",
        "too-many",
        "unknown-group",
        "unknown-role",
        "zero",
    ];
}

fn shown(format: Option<u64>) -> String {
    format.map_or_else(|| "no whole number".to_owned(), |number| number.to_string())
}
