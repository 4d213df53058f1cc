//! The join file: all that a new device needs, on its boot partition, for one card.

use super::{JoinRejection, JoinToken};
use crate::document::{
    Document, DocumentRejection, Root, at_most_octets, malformed, short_text, write,
};
use crate::json::{self, ObjectError};
use crate::key::{KeyId, SigningKey, digest_from_text};
use crate::limits;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// A join file whose parts fit together: its root vouches for itself and for its token, and the seed
/// is that of the token's one-time key. No clock was asked.
#[derive(Debug)]
pub struct JoinFile {
    /// The root to pin.
    pub root: Document<Root>,
    /// The broker to enroll over.
    pub broker: Broker,
    /// The text of the join token.
    pub token: String,
    /// The token, verified under the root's registrar keys.
    pub join: JoinToken,
    /// The seed of the one-time key, 32 octets.
    seed: Seed,
}

/// How to reach the broker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// Its URL, judged by whoever connects.
    pub url: String,
    /// The certificates to trust, PEM; nothing for those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// User name of the CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password of the CONNECT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// A text that is never shown and leaves memory when dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Zeroizing<String>);

/// Why octets are no join file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum JoinFileRejection {
    /// The token is of another domain than the root.
    #[error("its token is of the domain {token}, its root of {root}: make a new join file")]
    Domain {
        /// The domain of the root.
        root: String,
        /// The domain of the token.
        token: String,
    },
    /// Not of the form of a join file.
    #[error("no join file: {0}")]
    Form(DocumentRejection),
    /// The root is refused, or not signed by its own threshold.
    #[error("its root is refused: {0}")]
    Root(DocumentRejection),
    /// The seed is not 32 octets in base64url.
    #[error("its seed is not 32 octets in base64url: copy the file again, or make a new one")]
    Seed,
    /// The seed is not that of the key that the token names.
    #[error("its seed belongs to the key {found}, its token to {expected}: make a new join file")]
    SeedMismatch {
        /// The token's `cnf.jkt`.
        expected: KeyId,
        /// The thumbprint of the seed's key.
        found: KeyId,
    },
    /// The token is refused.
    #[error("its token is refused: {0}")]
    Token(JoinRejection),
}

impl JoinFileRejection {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Domain { .. } => "join-file-domain",
            Self::Form(_) => "join-file-form",
            Self::Root(_) => "join-file-root",
            Self::Seed => "join-file-seed",
            Self::SeedMismatch { .. } => "join-file-seed-mismatch",
            Self::Token(_) => "join-file-token",
        }
    }
}

impl JoinFile {
    /// Puts the parts together as [`JoinFile::read`] would read them.
    ///
    /// # Errors
    /// [`JoinFileRejection`] of the first check that refuses.
    pub fn new(
        root: &[u8],
        broker: Broker,
        token: &str,
        seed: &[u8; 32],
    ) -> Result<Self, JoinFileRejection> {
        broker.check().map_err(JoinFileRejection::Form)?;
        let root: Document<Root> = Document::load(root).map_err(JoinFileRejection::Root)?;
        let by_itself = root.verify(&root.content().root);
        by_itself.map_err(JoinFileRejection::Root)?;
        let join = JoinToken::verify(token, &root.content().registrar);
        let join = join.map_err(JoinFileRejection::Token)?;
        if join.domain != root.content().domain {
            return Err(JoinFileRejection::Domain {
                root: root.content().domain.to_string(),
                token: join.domain.to_string(),
            });
        }
        let seed = Seed(Zeroizing::new(*seed));
        let found = SigningKey::from_seed(&seed.0).public().id();
        if found != join.one_time {
            let expected = join.one_time;
            return Err(JoinFileRejection::SeedMismatch { expected, found });
        }
        let token = token.to_owned();
        Ok(Self {
            root,
            broker,
            token,
            join,
            seed,
        })
    }

    /// Reads a join file and judges that its parts fit together. Whether its token has expired is
    /// the registrar's to judge.
    ///
    /// # Errors
    /// [`JoinFileRejection`] of the first check that refuses.
    pub fn read(octets: &[u8]) -> Result<Self, JoinFileRejection> {
        let text = JoinFileText::read(octets).map_err(JoinFileRejection::Form)?;
        let seed = digest_from_text(text.seed.as_str().as_bytes()).map(Zeroizing::new);
        let seed = seed.ok_or(JoinFileRejection::Seed)?;
        Self::new(text.root.as_bytes(), text.broker, &text.token, &seed)
    }

    /// The file. It holds the seed: whoever reads it can enroll one device.
    pub fn write(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(write(&JoinFileText {
            edgeseal_join: JOIN_FILE_FORMAT,
            root: String::from_utf8_lossy(self.root.octets()).into_owned(),
            broker: self.broker.clone(),
            token: self.token.clone(),
            seed: Secret::new(BASE64URL_NOPAD.encode(&*self.seed.0)),
        }))
    }

    /// The one-time key that signs the request beside the new one.
    pub fn one_time_key(&self) -> SigningKey {
        SigningKey::from_seed(&self.seed.0)
    }
}

impl Broker {
    fn check(&self) -> Result<(), DocumentRejection> {
        let limit = limits::BROKER_TEXT_OCTETS;
        short_text(Some(&self.url), "broker.url", limit)?;
        short_text(self.username.as_deref(), "broker.username", limit)?;
        let password = self.password.as_ref().map(Secret::as_str);
        short_text(password, "broker.password", limit)
    }
}

impl Secret {
    /// Keeps `text` as a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

struct Seed(Zeroizing<[u8; 32]>);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct JoinFileText {
    edgeseal_join: u64,
    root: String,
    broker: Broker,
    token: String,
    seed: Secret,
}

impl JoinFileText {
    /// As [`crate::document`] reads, with nothing secret left behind.
    fn read(octets: &[u8]) -> Result<Self, DocumentRejection> {
        at_most_octets(octets, limits::JOIN_FILE_OCTETS)?;
        let mut format = None;
        let walked = json::read_object(octets, |name, value| {
            if let ("edgeseal_join", json::Value::Whole(number)) = (&*name, value) {
                format = Some(number);
            }
            Ok::<(), DocumentRejection>(())
        });
        walked.map_err(|why| match why {
            ObjectError::Duplicate => DocumentRejection::DuplicateMember,
            ObjectError::Member(rejection) => rejection,
            ObjectError::Syntax => malformed("not one bounded JSON object in UTF-8"),
        })?;
        if format != Some(JOIN_FILE_FORMAT) {
            return Err(DocumentRejection::Format { found: format });
        }
        // serde_json says what it met, which may be a part of a secret: it is not repeated.
        let unread = |_| malformed("a member is missing, unknown or not of its type");
        let content: Self = serde_json::from_slice(octets).map_err(unread)?;
        let mut tree: Value = serde_json::from_slice(octets).map_err(unread)?;
        let mut again = serde_json::to_value(&content).map_err(unread)?;
        let same = tree == again;
        wipe(&mut tree);
        wipe(&mut again);
        match same {
            true => Ok(content),
            false => Err(malformed("an object or member is not in its one form")),
        }
    }
}

/// Overwrites the texts of a small tree.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

const JOIN_FILE_FORMAT: u64 = 1;
