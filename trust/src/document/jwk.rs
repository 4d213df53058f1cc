//! The one form of a public key in documents: a JWK of `kty`, `crv`, `kid` and `x` (RFC 8037).

use super::DocumentRejection;
use crate::key::{KeyId, KeyRejection, VerifyingKey, digest_from_text};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// A JWK as written, nothing of it believed.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JwkText {
    kty: String,
    crv: String,
    kid: String,
    x: String,
    /// Read only to be refused by its own code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<serde_json::Value>,
}

impl JwkText {
    /// The form of `key`.
    pub(crate) fn of(key: &VerifyingKey) -> Self {
        Self {
            kty: KTY.into(),
            crv: CRV.into(),
            kid: key.id().to_string(),
            x: BASE64URL_NOPAD.encode(&key.octets()),
            d: None,
        }
    }

    /// Judges the key as one from outside.
    pub(crate) fn import(&self) -> Result<VerifyingKey, DocumentRejection> {
        let octets = self.octets()?;
        let key = VerifyingKey::import(&octets).map_err(DocumentRejection::Key)?;
        match KeyId::parse(&self.kid) {
            Some(kid) if kid == key.id() => Ok(key),
            _ => Err(DocumentRejection::Key(KeyRejection::Thumbprint {
                expected: key.id(),
            })),
        }
    }

    /// Reads back a key that [`JwkText::import`] judged before.
    pub(crate) fn reload(&self) -> Result<VerifyingKey, DocumentRejection> {
        let malformed = |what| DocumentRejection::Key(KeyRejection::Malformed(what));
        let octets = digest_from_text(self.x.as_bytes()).ok_or_else(|| malformed("x"))?;
        let kid = KeyId::parse(&self.kid).ok_or_else(|| malformed("kid"))?;
        VerifyingKey::reload(&octets, kid).map_err(DocumentRejection::Key)
    }

    fn octets(&self) -> Result<Vec<u8>, DocumentRejection> {
        let refused = |why| Err(DocumentRejection::Key(why));
        if self.d.is_some() {
            return refused(KeyRejection::Private);
        }
        if self.kty != KTY {
            return refused(KeyRejection::Type);
        }
        if self.crv != CRV {
            return refused(KeyRejection::Curve);
        }
        BASE64URL_NOPAD
            .decode(self.x.as_bytes())
            .map_err(|_| DocumentRejection::Key(KeyRejection::Malformed("x")))
    }
}

const KTY: &str = "OKP";
const CRV: &str = "Ed25519";
