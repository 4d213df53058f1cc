//! Verdicts for people.

use super::{Answer, Explanation, VerdictBody, VerifiedBody};
use std::fmt::Write;

/// One sentence: who sent it, for whom, how old, and what is unusual; or the code and the reason.
/// Control characters never reach the terminal.
#[must_use]
pub fn sentence(verdict: &Answer<VerdictBody>) -> String {
    harmless(&match verdict {
        Answer::Done(VerdictBody::Verified(verified)) => describe(verified),
        Answer::Done(VerdictBody::Rejected(rejected)) => {
            format!("rejected ({}): {}", rejected.code, rejected.reason)
        }
        Answer::Error(error) => format!("not judged ({}): {}", error.code, error.reason),
    })
}

/// The checks, one line each, then the sentence.
#[must_use]
pub fn explained(explanation: &Explanation) -> String {
    let mut text = String::new();
    for line in &explanation.checks {
        let detail = line.detail.as_deref().unwrap_or_default();
        let row = format!(
            "{:<10}  {:<11}  {detail}",
            line.check,
            line.outcome.as_str()
        );
        text.push_str(harmless(row.trim_end()).as_str());
        text.push('\n');
    }
    text.push_str(&sentence(&explanation.verdict));
    text
}

fn describe(verified: &VerifiedBody) -> String {
    let VerifiedBody {
        device,
        audience,
        age_seconds,
        jti,
        ..
    } = verified;
    let mut text = format!("verified: from {device} to {audience}, {age_seconds} s old, jti {jti}");
    if verified.delivery != "live" {
        let _ = write!(text, "; {}", verified.delivery);
    }
    if verified.first_since_start {
        text.push_str("; first since start: an older statement cannot be told");
    }
    if verified.addressed == "observed" {
        text.push_str("; observed: it is for somebody else");
    }
    if let Some(missing @ 1..) = verified.gap {
        let _ = write!(text, "; {missing} before it missing");
    }
    if verified.vouched {
        text.push_str("; vouched: relayed for another");
    }
    if let Some(captured_at) = verified.captured_at {
        let _ = write!(text, "; captured at {captured_at:#}");
    }
    for (whose, clock) in [("this", &verified.clock), ("its", &verified.sender_clock)] {
        if clock != "synchronized" {
            let _ = write!(text, "; {whose} clock is {clock}");
        }
    }
    if let Some(expired_seconds) = verified.expired_seconds {
        let _ = write!(
            text,
            "; trust data is stale, expired {expired_seconds} s ago"
        );
    }
    text
}

/// Escapes control characters. What a peer wrote has been escaped before, where it was quoted.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}
