//! How trust data travels over a broker: the topics below `edgeseal/<domain>/`, and the registrar's
//! answers. All of it is retained, at QoS 1; the payload is the document itself.

use crate::document::{
    Digest, DocumentRejection, FORMAT, Versioned, at_most_octets, malformed, read, short_text,
    write,
};
use crate::id::{DeviceId, TrustDomain};
use crate::key::KeyId;
use crate::limits;
use crate::words::Words;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What one topic carries.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum CarrierTopic {
    /// `answer/<kid>`: the registrar's answer to a request, a hint.
    Answer(KeyId),
    /// `manifest`: the newest manifest.
    Manifest,
    /// `request/<kid>`: an enrollment or rotation request for that new key.
    Request(KeyId),
    /// `root/<version>`: the root of that version.
    Root(u64),
    /// `shard/<sha-256>`: the shard of that digest.
    Shard(Digest),
    /// `status/<device>`: the status token of that device.
    Status(DeviceId),
}

/// A kind of topic.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CarrierKind {
    /// Answers.
    Answer,
    /// The manifest.
    Manifest,
    /// Requests.
    Request,
    /// Roots.
    Root,
    /// Shards.
    Shard,
    /// Status tokens.
    Status,
}

impl CarrierTopic {
    /// The topic name.
    pub fn name(&self, domain: &TrustDomain) -> String {
        let level = self.kind().level();
        let prefix = format!("{PREFIX}/{domain}/{level}");
        match self {
            Self::Answer(kid) | Self::Request(kid) => format!("{prefix}/{kid}"),
            Self::Manifest => prefix,
            Self::Root(version) => format!("{prefix}/{version}"),
            Self::Shard(digest) => format!("{prefix}/{digest}"),
            Self::Status(device) => format!("{prefix}/{device}"),
        }
    }

    /// Reads a topic name of this domain; nothing for every other, and for another way to write one.
    pub fn parse(topic: &str, domain: &TrustDomain) -> Option<Self> {
        let rest = topic.strip_prefix(PREFIX)?.strip_prefix('/')?;
        let rest = rest.strip_prefix(domain.as_str())?.strip_prefix('/')?;
        if rest == CarrierKind::Manifest.level() {
            return Some(Self::Manifest);
        }
        let (level, name) = rest.split_once('/')?;
        Some(match level {
            "answer" => Self::Answer(KeyId::parse(name)?),
            "request" => Self::Request(KeyId::parse(name)?),
            "root" => Self::Root(version(name)?),
            "shard" => Self::Shard(Digest::parse(name)?),
            "status" => Self::Status(DeviceId::parse(name).ok()?),
            _ => return None,
        })
    }

    /// Its kind.
    pub const fn kind(&self) -> CarrierKind {
        match self {
            Self::Answer(_) => CarrierKind::Answer,
            Self::Manifest => CarrierKind::Manifest,
            Self::Request(_) => CarrierKind::Request,
            Self::Root(_) => CarrierKind::Root,
            Self::Shard(_) => CarrierKind::Shard,
            Self::Status(_) => CarrierKind::Status,
        }
    }
}

impl CarrierKind {
    /// The topic level that says so.
    pub const fn level(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Manifest => "manifest",
            Self::Request => "request",
            Self::Root => "root",
            Self::Shard => "shard",
            Self::Status => "status",
        }
    }

    /// The most octets that such a payload may have.
    pub const fn octets(self) -> usize {
        match self {
            Self::Answer => limits::ANSWER_OCTETS,
            Self::Manifest => limits::MANIFEST_OCTETS,
            Self::Request => limits::REQUEST_OCTETS,
            Self::Root => limits::ROOT_OCTETS,
            Self::Shard => limits::SHARD_OCTETS,
            Self::Status => limits::STATUS_OCTETS,
        }
    }
}

/// The topic filter of all topics of a kind.
pub fn filter(kind: CarrierKind, domain: &TrustDomain) -> String {
    let wildcard = match kind {
        CarrierKind::Manifest => "",
        _ => "/+",
    };
    format!("{PREFIX}/{domain}/{}{wildcard}", kind.level())
}

/// What the registrar says of a request: a hint for people. Nobody signed it, so it is never a
/// reason to shred, give up or change anything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The SHA-256 of the request that is answered.
    pub request: Digest,
    /// How far it has come.
    pub state: AnswerState,
    /// Why, on one line.
    pub reason: Option<String>,
    /// The words that the registrar sees.
    pub words: Option<Words>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerState {
    /// Approved: the manifest will tell.
    Approved,
    /// Waits for a person.
    Pending,
    /// Refused.
    Rejected,
}

impl AnswerState {
    /// The state as a word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for AnswerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Answer {
    /// Reads an answer.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses.
    pub fn read(octets: &[u8]) -> Result<Self, DocumentRejection> {
        at_most_octets(octets, limits::ANSWER_OCTETS)?;
        let text: AnswerText = read(octets, Versioned::Yes)?;
        short_text(text.reason.as_deref(), "reason", limits::REASON_OCTETS)?;
        let words = text.words.as_deref().map(|text| match Words::parse(text) {
            Ok(words) if words.to_string() == text => Ok(words),
            _ => Err(malformed(
                "words are not eight of the list in their one form",
            )),
        });
        Ok(Self {
            request: text.request,
            state: text.state,
            reason: text.reason,
            words: words.transpose()?,
        })
    }

    /// The answer as it is published.
    ///
    /// # Errors
    /// [`DocumentRejection::Text`] when the reason is empty, too long, or has control characters.
    pub fn write(&self) -> Result<Vec<u8>, DocumentRejection> {
        short_text(self.reason.as_deref(), "reason", limits::REASON_OCTETS)?;
        Ok(write(&AnswerText {
            format: FORMAT,
            request: self.request,
            state: self.state,
            reason: self.reason.clone(),
            words: self.words.map(|words| words.to_string()),
        }))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct AnswerText {
    format: u64,
    request: Digest,
    state: AnswerState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<String>,
}

/// A version from 1, without sign or leading zero.
fn version(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

const PREFIX: &str = "edgeseal";
