//! Signed documents: the general JWS JSON serialization (RFC 7515 section 7.2.1), read strictly,
//! with as many signatures as a threshold asks for.

use super::read::{Versioned, at_most, at_most_octets, malformed, read, write};
use super::{Authority, DocumentRejection};
use crate::json::{self, ObjectError, Value};
use crate::key::{KeyId, SigningKey};
use crate::limits;
use crate::token::ALG;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A kind of signed document. Its `typ` alone says which rules hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DocumentType {
    /// What registrar keys sign together: that a device may have roles which no person gives alone.
    Approval,
    /// What the registrar signs: roles, groups, shards.
    Manifest,
    /// What a device signs to be enrolled.
    Request,
    /// What the root keys sign: who the authorities are.
    Root,
    /// What a device signs, with both keys, to go on with a new key.
    Rotation,
}

/// Content that comes signed.
pub trait Signed: Sized {
    /// Its kind.
    const TYPE: DocumentType;

    /// Reads and judges the payload.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first check that refuses.
    fn from_payload(payload: &[u8]) -> Result<Self, DocumentRejection>;
}

/// A document whose form and headers are right, and of which nothing is believed.
pub struct Unverified {
    payload_text: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

struct Signature {
    protected: String,
    kid: KeyId,
    octets: [u8; 64],
}

impl DocumentType {
    /// The `typ` of such documents (RFC 7515 section 4.1.9).
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Approval => "edgeseal-approval+json",
            Self::Manifest => "edgeseal-manifest+json",
            Self::Request => "edgeseal-request+json",
            Self::Root => "edgeseal-root+json",
            Self::Rotation => "edgeseal-rotation+json",
        }
    }

    /// The most octets that such a document may have.
    pub const fn octets(self) -> usize {
        match self {
            Self::Approval => limits::APPROVAL_OCTETS,
            Self::Manifest => limits::MANIFEST_OCTETS,
            Self::Request | Self::Rotation => limits::REQUEST_OCTETS,
            Self::Root => limits::ROOT_OCTETS,
        }
    }
}

impl Unverified {
    /// Judges size, form and every protected header: exactly `alg` = `EdDSA`, `typ` as expected,
    /// `kid`, no key twice.
    ///
    /// # Errors
    /// [`DocumentRejection`] of the first of these checks that refuses.
    pub fn parse(octets: &[u8], kind: DocumentType) -> Result<Self, DocumentRejection> {
        at_most_octets(octets, kind.octets())?;
        let text: JwsText = read(octets, Versioned::No)?;
        at_most(limits::SIGNATURES, "signatures", text.signatures.len())?;
        let payload = BASE64URL_NOPAD.decode(text.payload.as_bytes());
        let payload = payload.map_err(|_| DocumentRejection::Encoding("payload"))?;
        let mut signatures = Vec::with_capacity(text.signatures.len());
        let mut kids = BTreeSet::new();
        for signature in text.signatures {
            let signature = Signature::parse(signature, kind)?;
            if !kids.insert(signature.kid) {
                return Err(DocumentRejection::DuplicateSignature(signature.kid));
            }
            signatures.push(signature);
        }
        Ok(Self {
            payload_text: text.payload,
            payload,
            signatures,
        })
    }

    /// The keys that the document says it was signed with.
    pub fn kids(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|signature| signature.kid)
    }

    /// The payload although nobody vouches for it: for people to look at, and for documents that
    /// name the keys they are signed with.
    pub fn claimed_payload(&self) -> &[u8] {
        &self.payload
    }
}

/// The payload of `document`, once as many keys of `authority` as its threshold says have signed
/// it. A key counts once. Signatures by other keys do not count; a wrong one by a key that counts
/// refuses the document. The one way by which a signed document comes to be believed.
///
/// # Errors
/// [`DocumentRejection::Signature`] or [`DocumentRejection::Threshold`].
pub fn verify<'a>(
    document: &'a Unverified,
    authority: &Authority,
) -> Result<&'a [u8], DocumentRejection> {
    let valid = signers(document, authority)?.len();
    let valid = u32::try_from(valid).unwrap_or(u32::MAX);
    let needed = authority.threshold();
    if valid < needed {
        return Err(DocumentRejection::Threshold { valid, needed });
    }
    Ok(&document.payload)
}

/// The keys of `authority` that have signed `document`, each once: who still has to, is among the
/// others. It says nothing of the threshold.
///
/// # Errors
/// [`DocumentRejection::Signature`] when one of them is wrong.
pub fn signers(
    document: &Unverified,
    authority: &Authority,
) -> Result<Vec<KeyId>, DocumentRejection> {
    let mut valid = Vec::new(); // `Unverified` holds a key's signature once
    for signature in &document.signatures {
        let Some(key) = authority.key(signature.kid) else {
            continue;
        };
        let input = signing_input(&signature.protected, &document.payload_text);
        if !key.verifies(&input, &signature.octets) {
            return Err(DocumentRejection::Signature(signature.kid));
        }
        valid.push(signature.kid);
    }
    Ok(valid)
}

/// A document of `payload`, signed by each of `keys`.
pub fn sign(kind: DocumentType, payload: &[u8], keys: &[&SigningKey]) -> Vec<u8> {
    let payload = BASE64URL_NOPAD.encode(payload);
    let signatures = keys.iter().map(|key| sign_one(kind, &payload, key));
    write(&JwsText {
        signatures: signatures.collect(),
        payload,
    })
}

/// `document` with the signatures of `keys` added: how a threshold is reached where its keys lie in
/// several places. A key that has signed already is passed over.
///
/// # Errors
/// [`DocumentRejection`] when the document is none of this kind, or would have more than
/// [`limits::SIGNATURES`] signatures. The signatures present are not judged.
pub fn add_signatures(
    document: &[u8],
    kind: DocumentType,
    keys: &[&SigningKey],
) -> Result<Vec<u8>, DocumentRejection> {
    let present: BTreeSet<KeyId> = Unverified::parse(document, kind)?.kids().collect();
    let mut text: JwsText = read(document, Versioned::No)?;
    for key in keys {
        if !present.contains(&key.public().id()) {
            let signature = sign_one(kind, &text.payload, key);
            text.signatures.push(signature);
        }
    }
    at_most(limits::SIGNATURES, "signatures", text.signatures.len())?;
    Ok(write(&text))
}

/// `document` with the signatures of `other` by the keys `wanted` that it lacks: both were signed in
/// different places, at one time.
///
/// # Errors
/// [`DocumentRejection`] when one of them is none of this kind, when they say different things, or when
/// there would be more than [`limits::SIGNATURES`] signatures. No signature is judged.
pub fn join_signatures(
    document: &[u8],
    other: &[u8],
    kind: DocumentType,
    wanted: &[KeyId],
) -> Result<Vec<u8>, DocumentRejection> {
    let present: BTreeSet<KeyId> = Unverified::parse(document, kind)?.kids().collect();
    let kids: Vec<KeyId> = Unverified::parse(other, kind)?.kids().collect();
    let mut text: JwsText = read(document, Versioned::No)?;
    let other: JwsText = read(other, Versioned::No)?;
    if text.payload != other.payload {
        return Err(malformed("the two documents say different things"));
    }
    for (kid, signature) in kids.iter().zip(other.signatures) {
        if wanted.contains(kid) && !present.contains(kid) {
            text.signatures.push(signature);
        }
    }
    at_most(limits::SIGNATURES, "signatures", text.signatures.len())?;
    Ok(write(&text))
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct JwsText {
    payload: String,
    signatures: Vec<SignatureText>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SignatureText {
    protected: String,
    signature: String,
    /// Read only to be refused by its own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<serde_json::Value>,
}

impl Signature {
    fn parse(text: SignatureText, kind: DocumentType) -> Result<Self, DocumentRejection> {
        if text.header.is_some() {
            return Err(DocumentRejection::HeaderUnprotected);
        }
        let header = BASE64URL_NOPAD.decode(text.protected.as_bytes());
        let header = header.map_err(|_| DocumentRejection::Encoding("protected"))?;
        let octets = BASE64URL_NOPAD.decode(text.signature.as_bytes());
        let octets = octets.map_err(|_| DocumentRejection::Encoding("signature"))?;
        Ok(Self {
            kid: read_header(&header, kind.typ())?,
            octets: (octets.try_into()).map_err(|_| DocumentRejection::Encoding("signature"))?,
            protected: text.protected,
        })
    }
}

fn read_header(octets: &[u8], typ: &'static str) -> Result<KeyId, DocumentRejection> {
    let (mut alg, mut right_typ, mut kid) = (false, false, None);
    let read = json::read_object(octets, |name, value| {
        let Value::Text(text) = value else {
            return Err(DocumentRejection::HeaderMembers);
        };
        match &*name {
            "alg" if text == ALG => alg = true,
            "alg" => return Err(DocumentRejection::HeaderAlg),
            "typ" if text == typ => right_typ = true,
            "typ" => return Err(DocumentRejection::HeaderTyp { expected: typ }),
            "kid" => kid = Some(KeyId::parse(&text).ok_or(DocumentRejection::HeaderKid)?),
            _ => return Err(DocumentRejection::HeaderMembers),
        }
        Ok(())
    });
    read.map_err(|why| match why {
        ObjectError::Duplicate => DocumentRejection::DuplicateMember,
        ObjectError::Member(rejection) => rejection,
        ObjectError::Syntax => DocumentRejection::HeaderMembers,
    })?;
    match kid {
        Some(kid) if alg && right_typ => Ok(kid),
        _ => Err(DocumentRejection::HeaderMembers),
    }
}

fn sign_one(kind: DocumentType, payload: &str, key: &SigningKey) -> SignatureText {
    #[derive(Serialize)]
    struct Header<'a> {
        alg: &'a str,
        typ: &'a str,
        kid: KeyId,
    }
    let header = write(&Header {
        alg: ALG,
        typ: kind.typ(),
        kid: key.public().id(),
    });
    let protected = BASE64URL_NOPAD.encode(&header);
    let signature = key.sign(&signing_input(&protected, payload));
    SignatureText {
        signature: BASE64URL_NOPAD.encode(&signature),
        protected,
        header: None,
    }
}

/// RFC 7515 section 5.1, step 8.
fn signing_input(protected: &str, payload: &str) -> Vec<u8> {
    [protected.as_bytes(), b".", payload.as_bytes()].concat()
}
