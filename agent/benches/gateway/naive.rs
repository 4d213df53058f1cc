//! What a careful-less program does: jsonwebtoken, its key read for every message.

use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::key::SigningKey;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// A key as it would lie in a file, and its public half.
pub(crate) struct Naive {
    private: Vec<u8>,
    public: String,
}

#[derive(Deserialize, Serialize)]
struct Claims {
    iss: String,
    iat: u64,
    exp: u64,
    jti: String,
    top: String,
    phs: String,
}

impl Naive {
    pub(crate) fn new() -> Self {
        let key = SigningKey::from_seed(&[7; 32]);
        let private = key.to_pkcs8_der().to_vec();
        let dalek = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let public = BASE64URL_NOPAD.encode(dalek.verifying_key().as_bytes());
        Self { private, public }
    }

    pub(crate) fn sign(&self, number: usize, topic: &str, payload: &[u8]) -> String {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let claims = Claims {
            iss: "sensor".to_owned(),
            iat: now,
            exp: now + 60,
            jti: number.to_string(),
            top: topic.to_owned(),
            phs: hash(payload),
        };
        let key = EncodingKey::from_ed_der(&self.private);
        jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap()
    }

    pub(crate) fn verify(&self, token: &str, topic: &str, payload: &[u8]) {
        let key = DecodingKey::from_ed_components(&self.public).unwrap();
        let validation = Validation::new(Algorithm::EdDSA);
        let token = jsonwebtoken::decode::<Claims>(token, &key, &validation).unwrap();
        assert_eq!(token.claims.top, topic);
        assert_eq!(token.claims.phs, hash(payload));
    }
}

fn hash(payload: &[u8]) -> String {
    BASE64URL_NOPAD.encode(&Sha256::digest(payload))
}
