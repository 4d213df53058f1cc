//! What became of requests: counted, and told.

use crate::enrollment::{Decision, Judged};
use crate::render::{Report, escaped};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Counts of decisions, and of refusals by code.
#[derive(Default)]
pub(super) struct Account {
    decisions: BTreeMap<&'static str, u64>,
    refused: BTreeMap<&'static str, u64>,
}

impl Account {
    /// Counts a request.
    pub(super) fn enter(&mut self, judged: &Judged) {
        bump(&mut self.decisions, judged.decision.word(), 1);
        if let Decision::Refused(refusal) = &judged.decision {
            bump(&mut self.refused, refusal.code, 1);
        }
    }

    /// Counts messages that were not looked at.
    pub(super) fn pass_over(&mut self, count: u64) {
        if count > 0 {
            bump(&mut self.decisions, "passed-over", count);
        }
    }

    /// How many ended so.
    pub(super) fn count(&self, word: &str) -> u64 {
        self.decisions.get(word).copied().unwrap_or_default()
    }

    /// For people, on one line.
    pub(super) fn text(&self) -> String {
        if self.decisions.is_empty() {
            return "no requests".to_owned();
        }
        let counts = self.decisions.iter();
        let counts: Vec<String> = counts
            .map(|(word, count)| format!("{count} {word}"))
            .collect();
        let mut text = counts.join(", ");
        for (code, count) in &self.refused {
            let _ = write!(text, " [{code}: {count}]");
        }
        text
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({ "decisions": self.decisions, "refused": self.refused })
    }
}

/// What became of these requests, one by one and in all, and what is to be done next. `account` may have counted others.
pub(super) fn report(judged: &[Judged], mut account: Account) -> Report {
    let mut lines = Vec::new();
    for judged in judged {
        account.enter(judged);
        lines.push(tell(judged));
    }
    lines.push(account.text());
    if account.count("enrolled") > 0 || account.count("rotated") > 0 {
        lines.push("Next: edgeseal publish --keys DIR".to_owned());
    }
    if account.count("pending") > 0 {
        lines.push("Next: edgeseal device pending".to_owned());
    }
    let rows: Vec<Value> = judged.iter().map(told).collect();
    let json = json!({ "requests": rows, "account": account.json() });
    Report::new(lines.join("\n"), json)
}

/// A request, and what became of it, on one line for people.
pub(super) fn tell(judged: &Judged) -> String {
    let who = match (&judged.device, judged.kid) {
        (Some(device), _) => device.to_string(),
        (None, Some(kid)) => format!("the key {kid}"),
        (None, None) => format!("request {}", judged.request),
    };
    match &judged.decision {
        Decision::Again => format!("{who}: enrolled already"),
        Decision::Enrolled => format!("{who}: enrolled"),
        Decision::Pending { why } => format!("{who}: waits for the operator [{why}]"),
        Decision::Refused(refusal) => {
            format!(
                "{who}: refused: {} [{}]",
                escaped(&refusal.reason),
                refusal.code
            )
        }
        Decision::Rejected { reason } => format!("{who}: rejected before: {}", escaped(reason)),
        Decision::Rotated => format!("{who}: has a new key"),
    }
}

/// The same for programs.
pub(super) fn told(judged: &Judged) -> Value {
    let mut object = json!({
        "request": judged.request,
        "kid": judged.kid,
        "device": judged.device,
        "words": judged.words,
        "decision": judged.decision.word(),
    });
    let (code, reason) = match &judged.decision {
        Decision::Pending { why } => (Some(*why), None),
        Decision::Refused(refusal) => (Some(refusal.code), Some(&refusal.reason)),
        Decision::Rejected { reason } => (None, Some(reason)),
        Decision::Again | Decision::Enrolled | Decision::Rotated => (None, None),
    };
    if let Some(object) = object.as_object_mut() {
        object.extend(code.map(|code| ("code".to_owned(), code.into())));
        object.extend(reason.map(|reason| ("reason".to_owned(), reason.as_str().into())));
    }
    object
}

fn bump(counts: &mut BTreeMap<&'static str, u64>, word: &'static str, by: u64) {
    let count = counts.entry(word).or_default();
    *count = count.saturating_add(by);
}
