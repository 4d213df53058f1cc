//! Tells of a verification, check by check.

use crate::wire::{CheckLine, Explanation, Outcome};
use edgeseal_trust::limits;
use edgeseal_trust::token::{Check, Failure, Rejection, Trace, Verdict};
use std::borrow::Cow;
use std::fmt;

/// Notes what passed.
#[derive(Default)]
pub(super) struct Recorder {
    passed: Vec<(Check, String)>,
}

impl Trace for Recorder {
    fn passed(&mut self, check: Check, facts: fmt::Arguments<'_>) {
        self.passed.push((check, facts.to_string()));
    }
}

/// Every check in order. The checks before [`Check::Trust`] are made while a token is parsed, which
/// no trace watches: of them only sizes and the `kid` are told.
pub(super) fn explanation(
    recorder: Recorder,
    token: &[u8],
    outcome: &Result<Verdict, Failure>,
) -> Explanation {
    let end = match outcome {
        Ok(Verdict::Verified(_)) => None,
        Ok(Verdict::Rejected(why)) => Some((why.check(), Outcome::Refused, both_values(why))),
        Err(failure) => Some((failure.check(), Outcome::Failed, failure.to_string())),
    };
    let line = |check: Check| {
        let (outcome, detail) = match &end {
            Some((at, outcome, detail)) if *at == check => (*outcome, Some(detail.clone())),
            Some((at, ..)) if check > *at => (Outcome::NotReached, None),
            _ => (Outcome::Passed, recorder.facts(check, token)),
        };
        CheckLine {
            check: Cow::Borrowed(check.as_str()),
            outcome,
            detail,
        }
    };
    Explanation {
        checks: Check::ALL.into_iter().map(line).collect(),
        verdict: outcome.into(),
    }
}

/// The sentence, with the hashes that it leaves out.
fn both_values(why: &Rejection) -> String {
    match why {
        Rejection::Payload { signed, received }
        | Rejection::PropertyAltered {
            signed, received, ..
        } => format!("{why}: SHA-256 signed {signed}, received {received}"),
        _ => why.to_string(),
    }
}

impl Recorder {
    fn facts(&self, check: Check, token: &[u8]) -> Option<String> {
        let noted = self.passed.iter().find(|(passed, _)| *passed == check);
        match check {
            Check::Size => Some(format!(
                "{} octets; at most {}",
                token.len(),
                limits::TOKEN_OCTETS
            )),
            Check::Shape => {
                let lengths = token.split(|octet| *octet == b'.').map(<[u8]>::len);
                let lengths: Vec<String> = lengths.map(|length| length.to_string()).collect();
                Some(format!("three parts of {} characters", lengths.join(", ")))
            }
            _ => noted.map(|(_, facts)| facts.clone()),
        }
    }
}
