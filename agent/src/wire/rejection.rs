//! The data behind a rejection, as JSON members.

use edgeseal_trust::grant::NotGranted;
use edgeseal_trust::token::Rejection;
use serde_json::{Map, Value, json};

/// The values that were compared, by name; empty where code and sentence say all.
pub(super) fn data(rejection: &Rejection) -> Map<String, Value> {
    let value = match rejection {
        Rejection::Audience { found } => json!({ "found": found }),
        Rejection::ClaimMissing(claim)
        | Rejection::ClaimType(claim)
        | Rejection::ClaimValue(claim)
        | Rejection::PropertyMissing(claim)
        | Rejection::PropertyUnsigned(claim) => json!({ "claim": claim }),
        Rejection::CloneProven { id } | Rejection::Replay(id) | Rejection::WillSpent(id) => {
            json!({ "jti": id.to_string() })
        }
        Rejection::DevicePending(device)
        | Rejection::DeviceRevoked(device)
        | Rejection::DeviceSuspended(device) => json!({ "device": device }),
        Rejection::Domain { expected, found } => json!({ "expected": expected, "found": found }),
        Rejection::DuplicateMember(part) | Rejection::Encoding(part) => {
            json!({ "part": part.to_string() })
        }
        Rejection::HeaderTyp { expected } => json!({ "expected": expected }),
        Rejection::KeyRetired(kid) | Rejection::KeyRevoked(kid) | Rejection::UnknownKey(kid) => {
            json!({ "kid": kid })
        }
        Rejection::NotACommand(kind) => json!({ "kind": kind.as_str() }),
        Rejection::NotGranted(refusal) => not_granted(refusal),
        Rejection::OldEpoch { found, newest } => json!({ "found": found, "newest": newest }),
        Rejection::Payload { signed, received } => {
            json!({ "signed": signed, "received": received })
        }
        Rejection::PropertyAltered {
            claim,
            signed,
            received,
        } => json!({ "claim": claim, "signed": signed, "received": received }),
        Rejection::Size { found, limit } => json!({ "found": found, "limit": limit }),
        Rejection::Subject { owner, found } => json!({ "owner": owner, "found": found }),
        Rejection::Topic { signed, received } => json!({ "signed": signed, "received": received }),
        Rejection::WindowPassed { id, newest } => {
            json!({ "jti": id.to_string(), "newest": newest })
        }
        Rejection::ClaimsJson
        | Rejection::HeaderAlg
        | Rejection::HeaderJson
        | Rejection::HeaderKid
        | Rejection::HeaderMembers
        | Rejection::Shape
        | Rejection::Signature
        | Rejection::Superseded
        | Rejection::TopicName(_) => Value::Null,
        of_time @ (Rejection::BeforeStart { .. }
        | Rejection::Expired { .. }
        | Rejection::IssuedInFuture { .. }
        | Rejection::KeyNotYetValid { .. }
        | Rejection::Lifetime { .. }
        | Rejection::Overage { .. }) => times(of_time),
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// Of what is about time, in seconds.
fn times(rejection: &Rejection) -> Value {
    match rejection {
        Rejection::BeforeStart { issued_at, until } => {
            json!({ "issued_at": issued_at, "until": until })
        }
        Rejection::Expired {
            by_seconds,
            expired_at,
            leeway_seconds,
        } => json!({
            "by_seconds": by_seconds, "expired_at": expired_at, "leeway_seconds": leeway_seconds,
        }),
        Rejection::IssuedInFuture {
            by_seconds,
            issued_at,
            leeway_seconds,
        } => json!({
            "by_seconds": by_seconds, "issued_at": issued_at, "leeway_seconds": leeway_seconds,
        }),
        Rejection::KeyNotYetValid {
            issued_at,
            not_before,
        } => json!({ "issued_at": issued_at, "not_before": not_before }),
        Rejection::Lifetime {
            lifetime_seconds,
            ceiling_seconds,
        } => json!({ "lifetime_seconds": lifetime_seconds, "ceiling_seconds": ceiling_seconds }),
        Rejection::Overage {
            age_seconds,
            max_age_seconds,
        } => json!({ "age_seconds": age_seconds, "max_age_seconds": max_age_seconds }),
        _ => Value::Null,
    }
}

fn not_granted(refusal: &NotGranted) -> Value {
    match refusal {
        NotGranted::Audience(audience) => json!({ "audience": audience }),
        NotGranted::Kind(kind) => json!({ "kind": kind.as_str() }),
        NotGranted::Lifetime {
            lifetime_seconds,
            allowed_seconds,
        } => json!({ "lifetime_seconds": lifetime_seconds, "allowed_seconds": allowed_seconds }),
        NotGranted::Response | NotGranted::Topic | NotGranted::Vouch => Value::Null,
    }
}
