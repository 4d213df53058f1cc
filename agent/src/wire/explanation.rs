//! A verification, check by check.

use super::{Answer, VerdictBody};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Every check in order, and the verdict. Before the check `signature` has passed, nothing that the
/// token claims is shown, only sizes and the `kid`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Explanation {
    /// All checks, in the order in which they are made.
    pub checks: Vec<CheckLine>,
    /// The verdict, or the failure that prevents one.
    #[serde(flatten)]
    pub verdict: Answer<VerdictBody>,
}

/// One check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CheckLine {
    /// Its name.
    pub check: Cow<'static, str>,
    /// What came of it.
    pub outcome: Outcome,
    /// Facts where it passed; the refusal with both values where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Outcome {
    /// This device was in no state to make it: a failure, not a rejection.
    #[serde(rename = "failed")]
    Failed,
    /// An earlier one refused.
    #[serde(rename = "not reached")]
    NotReached,
    /// It passed.
    #[serde(rename = "passed")]
    Passed,
    /// It refused.
    #[serde(rename = "refused")]
    Refused,
}

impl Outcome {
    /// As a word for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NotReached => "not reached",
            Self::Passed => "passed",
            Self::Refused => "refused",
        }
    }
}
