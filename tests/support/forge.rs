//! Tokens put together member by member, so that they can be wrong in exactly one way.

use super::domain::{self, NOW, SEQUENCE};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::key::SigningKey;
use sha2::{Digest, Sha256};

/// The message that an untouched [`Forge`] signs.
pub const TOPIC: &str = "site/sensor/temp";
/// Its payload.
pub const PAYLOAD: &[u8] = br#"{"t":21.4}"#;

/// A token under construction: header and claims as raw JSON texts, in order.
#[derive(Clone)]
pub struct Forge {
    pub header: Vec<(String, String)>,
    pub claims: Vec<(String, String)>,
    pub seed: u8,
}

impl Forge {
    /// A message of `device` as it should be.
    pub fn message(device: &str, topic: &str, payload: &[u8]) -> Self {
        let seed = domain::MEMBERS
            .iter()
            .find(|member| member.id == device)
            .expect("a member")
            .keys[0]
            .0;
        let kid = domain::key(seed).public().id();
        Self {
            header: members(&[
                ("alg", quoted("EdDSA")),
                ("typ", quoted("edgeseal-msg+jwt")),
                ("kid", quoted(&kid.to_string())),
            ]),
            claims: members(&[
                ("iss", quoted("farm")),
                ("sub", quoted(device)),
                ("aud", quoted("domain:farm")),
                ("iat", (NOW - 5).to_string()),
                ("exp", (NOW + 55).to_string()),
                ("jti", quoted("3.1.100")),
                ("top", quoted(topic)),
                ("phs", hash(payload)),
                ("tsq", SEQUENCE.to_string()),
            ]),
            seed,
        }
    }

    /// The sensor's temperature, as it should be.
    pub fn honest() -> Self {
        Self::message("sensor", TOPIC, PAYLOAD)
    }

    /// With another key of the same or another device, and its `kid`.
    pub fn signed_by(self, seed: u8) -> Self {
        let kid = domain::key(seed).public().id().to_string();
        let mut forge = self.header("kid", &quoted(&kid));
        forge.seed = seed;
        forge
    }

    /// With a claim set to a raw JSON text.
    pub fn claim(mut self, name: &str, json: &str) -> Self {
        set(&mut self.claims, name, json);
        self
    }

    /// With a header member set to a raw JSON text.
    pub fn header(mut self, name: &str, json: &str) -> Self {
        set(&mut self.header, name, json);
        self
    }

    /// Without a claim.
    pub fn without_claim(mut self, name: &str) -> Self {
        self.claims.retain(|(have, _)| have != name);
        self
    }

    /// Without a header member.
    pub fn without_header(mut self, name: &str) -> Self {
        self.header.retain(|(have, _)| have != name);
        self
    }

    /// With a claim once more, at the end.
    pub fn claim_again(mut self, name: &str, json: &str) -> Self {
        self.claims.push((name.to_owned(), json.to_owned()));
        self
    }

    /// With a header member once more, at the end.
    pub fn header_again(mut self, name: &str, json: &str) -> Self {
        self.header.push((name.to_owned(), json.to_owned()));
        self
    }

    /// With this type.
    pub fn typ(self, typ: &str) -> Self {
        self.header("typ", &quoted(typ))
    }

    /// The token.
    pub fn token(&self) -> String {
        sign(
            &object(&self.header),
            &object(&self.claims),
            &domain::key(self.seed),
        )
    }

    /// The three parts of the token.
    pub fn parts(&self) -> [String; 3] {
        let token = self.token();
        let mut parts = token.split('.').map(str::to_owned);
        [(); 3].map(|()| parts.next().expect("three parts"))
    }
}

/// Signs header and claims texts, whatever they are.
pub fn sign(header: &[u8], claims: &[u8], key: &SigningKey) -> String {
    let input = format!(
        "{}.{}",
        BASE64URL_NOPAD.encode(header),
        BASE64URL_NOPAD.encode(claims)
    );
    let signature = key.sign(input.as_bytes());
    format!("{input}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The JSON text of a string without characters that need escapes.
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// The JSON text of an SHA-256 claim.
pub fn hash(octets: &[u8]) -> String {
    quoted(&BASE64URL_NOPAD.encode(&Sha256::digest(octets)))
}

/// The JSON text of an object.
pub fn object(members: &[(String, String)]) -> Vec<u8> {
    let members: Vec<String> = members
        .iter()
        .map(|(name, json)| format!("\"{name}\":{json}"))
        .collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

fn members(list: &[(&str, String)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, json)| ((*name).to_owned(), json.clone()))
        .collect()
}

fn set(members: &mut Vec<(String, String)>, name: &str, json: &str) {
    match members.iter_mut().find(|(have, _)| have == name) {
        Some((_, have)) => *have = json.to_owned(),
        None => members.push((name.to_owned(), json.to_owned())),
    }
}
