//! The corpus of vectors: one file per way to be wrong, and the honest ones beside them.

mod binding;
mod claims;
mod form;
mod header;
mod history;
mod honest;
mod keys;
mod login;
mod rules;
mod standing;
mod topics;

use super::forge::{Forge, PAYLOAD, TOPIC};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One vector, as its file has it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// What is wrong, or what is right.
    pub title: String,
    /// `verified`, or the code of the rejection or failure.
    pub expect: String,
    /// Lines that are verified before, each of them honest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Value>,
    /// The line to judge: what `verify --batch` reads.
    pub line: Value,
    /// What the receiver's rule and configuration say, where that is not the default. Not of the
    /// wire profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Value>,
    /// Since when the receiver remembers, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// A vector with the name of its file.
pub type Named = (String, Vector);

/// Every token vector, by file name without ending.
pub fn tokens() -> Vec<Named> {
    let mut all = Vec::new();
    all.extend(honest::vectors());
    all.extend(form::vectors());
    all.extend(header::vectors());
    all.extend(claims::vectors());
    all.extend(keys::vectors());
    all.extend(standing::vectors());
    all.extend(topics::vectors());
    all.extend(binding::vectors());
    all.extend(rules::vectors());
    all.extend(history::vectors());
    all
}

/// Every login vector: what one broker or service makes of a login token.
pub fn logins() -> Vec<Named> {
    login::vectors()
}

/// A vector about the sensor's temperature with another token.
fn token(name: &str, expect: &str, title: &str, token: impl Into<Value>) -> Named {
    line(name, expect, title, message(token, TOPIC, PAYLOAD))
}

/// A vector about a forged token of the sensor's temperature.
fn forged(name: &str, expect: &str, title: &str, forge: &Forge) -> Named {
    token(name, expect, title, forge.token())
}

/// A vector about one line.
fn line(name: &str, expect: &str, title: &str, line: Value) -> Named {
    let vector = Vector {
        title: title.to_owned(),
        expect: expect.to_owned(),
        before: Vec::new(),
        line,
        rule: None,
        since: None,
    };
    (name.to_owned(), vector)
}

/// A vector about one line under a receiver's rule.
fn ruled(name: &str, expect: &str, title: &str, judged: Value, rule: Value) -> Named {
    let (name, mut vector) = line(name, expect, title, judged);
    vector.rule = Some(rule);
    (name, vector)
}

/// A line of `verify --batch`.
fn message(token: impl Into<Value>, topic: &str, payload: &[u8]) -> Value {
    json!({ "token": token.into(), "topic": topic, "payload_b64": BASE64.encode(payload) })
}

/// A line with one more member.
fn with(mut line: Value, name: &str, value: impl Into<Value>) -> Value {
    line[name] = value.into();
    line
}
