//! Counts since the start, by code. Codes are constants of the program, so the tables are bounded.

use std::collections::BTreeMap;

/// What was done, and what was not and why.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Tokens signed, logins included.
    pub signed: u64,
    /// Messages verified.
    pub verified: u64,
    /// Messages rejected, by code.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Requests to sign that were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Times that this device was in no state to sign or to judge, by code.
    pub failed: BTreeMap<&'static str, u64>,
}

pub(super) fn add(table: &mut BTreeMap<&'static str, u64>, code: &'static str) {
    let count = table.entry(code).or_default();
    *count = count.saturating_add(1);
}
