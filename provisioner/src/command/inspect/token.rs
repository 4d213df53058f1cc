//! A token. Here only its signature is judged, if there is something to judge it by.

use super::Finding;
use super::trust::{Bundle, Trust};
use crate::error::{CommandError, Result};
use crate::registry::{key_state_word, state_word};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::{Signature, VerifyingKey};
use edgeseal_trust::key::KeyId;
use edgeseal_trust::limits;
use edgeseal_trust::time::UnixTime;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Whether a text has the form of a compact JWS.
pub(crate) fn looks_like(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let of_base64url = |part: &&str| {
        let mut bytes = part.bytes();
        !part.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    parts.len() == 3 && parts.iter().all(of_base64url) && text.starts_with("ey")
}

/// Shows header and claims.
pub(crate) fn inspect(text: &str, trust: &Trust) -> Result<Finding> {
    if text.len() > limits::TOKEN_OCTETS {
        let reason = format!("the token is longer than {} octets", limits::TOKEN_OCTETS);
        return Err(CommandError::no("size", reason));
    }
    let mut parts = text
        .split('.')
        .map(|part| BASE64URL_NOPAD.decode(part.as_bytes()));
    let (Some(Ok(header)), Some(Ok(claims)), Some(Ok(signature))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed("its parts are not canonical base64url"));
    };
    let object = |octets: &[u8]| {
        let value: Option<Value> = serde_json::from_slice(octets).ok();
        value.filter(Value::is_object)
    };
    let (Some(header), Some(claims)) = (object(&header), object(&claims)) else {
        return Err(malformed("header or claims are no JSON object"));
    };
    let verified_by = match &trust.bundle {
        None => None,
        Some(bundle) => Some(judge(bundle, text, &header, &signature)?),
    };
    Ok(Finding {
        kind: "token",
        verified_by,
        summary: times(&claims),
        content: json!({ "header": header, "claims": claims }),
    })
}

fn judge(bundle: &Bundle, text: &str, header: &Value, signature: &[u8]) -> Result<String> {
    let refuse = |code, reason: String| Err(CommandError::no(code, reason));
    let kid = header
        .get("kid")
        .and_then(Value::as_str)
        .and_then(KeyId::parse);
    let Some(kid) = kid else {
        return refuse("header", "the header's kid is no thumbprint".to_owned());
    };
    let Some(peer) = bundle.keys.get(&kid) else {
        return refuse(
            "unknown-key",
            format!("no device of the bundle has the key {kid}"),
        );
    };
    let (signed, _) = text.rsplit_once('.').unwrap_or_default();
    let valid = Signature::from_slice(signature).is_ok_and(|signature| {
        VerifyingKey::from_bytes(&peer.key.octets())
            .is_ok_and(|key| key.verify_strict(signed.as_bytes(), &signature).is_ok())
    });
    let device = &peer.device;
    if !valid {
        let reason = format!("the signature is not by the key of {}", device.id);
        return refuse("signature", reason);
    }
    Ok(format!(
        "in its signature alone: made with the {} key of {}, which is {}; {}",
        key_state_word(peer.state),
        device.id,
        state_word(device.state),
        bundle.vouched_by
    ))
}

fn times(claims: &Value) -> String {
    let mut text = String::new();
    for (name, what) in [("iat", "issued"), ("exp", "expires")] {
        if let Some(seconds) = claims.get(name).and_then(Value::as_u64) {
            let date = UnixTime::from_seconds(seconds).date();
            let _ = write!(text, "{what} {date}  ");
        }
    }
    text.trim_end().to_owned()
}

fn malformed(what: &str) -> CommandError {
    CommandError::no("malformed", format!("no token: {what}"))
}
