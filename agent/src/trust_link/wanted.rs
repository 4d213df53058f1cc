//! What the link asks a broker for.

use edgeseal_trust::document::Digest;
use edgeseal_trust::id::TrustDomain;

/// A document on its retained topic.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Wanted {
    /// The manifest.
    Manifest,
    /// The root of this version.
    Root(u64),
    /// The shard with this SHA-256.
    Shard(Digest),
}

impl Wanted {
    /// The topic in this domain.
    pub fn topic(self, domain: &TrustDomain) -> String {
        match self {
            Self::Manifest => format!("edgeseal/{domain}/manifest"),
            Self::Root(version) => format!("edgeseal/{domain}/root/{version}"),
            Self::Shard(digest) => format!("edgeseal/{domain}/shard/{digest}"),
        }
    }

    /// What lies on this topic; nothing where it is no topic of a document of this domain.
    pub fn of(topic: &str, domain: &TrustDomain) -> Option<Self> {
        let rest = topic.strip_prefix("edgeseal/")?;
        let rest = rest.strip_prefix(domain.as_str())?.strip_prefix('/')?;
        match rest.split_once('/') {
            None => (rest == "manifest").then_some(Self::Manifest),
            Some(("root", version)) => {
                let number: u64 = version.parse().ok()?;
                (number.to_string() == version).then_some(Self::Root(number))
            }
            Some(("shard", digest)) => Digest::parse(digest).map(Self::Shard),
            Some(_) => None,
        }
    }
}
