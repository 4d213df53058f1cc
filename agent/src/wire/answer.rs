//! What callers get.

use super::ErrorBody;
use edgeseal_trust::key::KeyId;
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::token::TokenId;
use serde::{Deserialize, Serialize};

/// An answer, or why there is none.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer<T> {
    /// The answer.
    Done(T),
    /// Why there is none.
    Error(ErrorBody),
}

/// A token that was signed, a login token too.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signed {
    /// The token.
    pub token: String,
    /// Its id.
    pub jti: String,
    /// The key that signed it.
    pub kid: KeyId,
    /// When it was signed.
    pub iat: UnixTime,
    /// When it expires.
    pub exp: UnixTime,
}

impl Signed {
    pub(crate) fn new(
        token: String,
        id: TokenId,
        kid: KeyId,
        issued_at: UnixTime,
        lifetime_seconds: u64,
    ) -> Self {
        let mut jti = String::with_capacity(JTI_CAPACITY);
        id.push_to(&mut jti);
        Self {
            token,
            jti,
            kid,
            iat: issued_at,
            exp: issued_at.plus(lifetime_seconds),
        }
    }
}

/// Epochs and counters are seldom longer than 10 digits.
const JTI_CAPACITY: usize = 24;
