//! What is to be signed, borrowed: no payload is copied to sign it.

use crate::wire::{Qos, SignRequest, Signed};
use edgeseal_trust::id::Audience;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::{Kind, Properties, TokenId};

/// A message, retained statement or will to be signed. The agent fills in who and when.
#[derive(Clone, Copy, Debug)]
pub struct SignDraft<'a> {
    /// Topic name it will be published on.
    pub topic: &'a str,
    /// Its application payload.
    pub payload: &'a [u8],
    /// For whom; the whole domain unless said otherwise.
    pub audience: Option<&'a Audience>,
    /// Message, retained statement or will.
    pub kind: Kind,
    /// `exp - iat`.
    pub lifetime: Lifetime,
    /// At which quality of service it will be published: 0 counts in stream 0, all else in 1.
    pub qos: Option<Qos>,
    /// The MQTT 5 properties it will carry.
    pub properties: Properties<'a>,
    /// When the data was captured, where older than the signature.
    pub captured_at: Option<UnixTime>,
    /// The device relays for others that cannot sign.
    pub vouched: bool,
    /// The `jti` of the first try, to sign the same message anew: it keeps that `jti`.
    pub resend: Option<TokenId>,
}

/// Which lifetime a token gets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lifetime {
    /// This many seconds, or as many as are granted where that is less.
    AtMost(u64),
    /// The default of the kind, or as many seconds as are granted where that is less.
    #[default]
    Default,
    /// This many seconds: a refusal where that is more than is granted.
    Exactly(u64),
}

/// A token of this device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its id.
    pub id: TokenId,
    /// The key that signed it.
    pub kid: KeyId,
    /// When it was signed.
    pub issued_at: UnixTime,
    /// When it expires.
    pub expires_at: UnixTime,
}

impl SignRequest {
    /// The same without copies; `pairs` holds the borrowed user properties.
    pub(super) fn draft<'a>(&'a self, pairs: &'a mut Vec<(&'a str, &'a str)>) -> SignDraft<'a> {
        let properties = self.properties.as_ref();
        SignDraft {
            topic: &self.topic,
            payload: self.payload_b64.as_slice(),
            audience: self.audience.as_ref(),
            kind: self.kind,
            lifetime: self
                .lifetime_seconds
                .map_or(Lifetime::Default, Lifetime::Exactly),
            qos: self.qos,
            properties: properties.map_or_else(Properties::default, |body| body.borrow(pairs)),
            captured_at: self.captured_at,
            vouched: self.vouched,
            resend: self.resend,
        }
    }
}

impl From<Minted> for Signed {
    fn from(minted: Minted) -> Self {
        Self {
            token: minted.token,
            jti: minted.id.to_string(),
            kid: minted.kid,
            iat: minted.issued_at,
            exp: minted.expires_at,
        }
    }
}
