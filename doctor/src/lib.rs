//! How `doctor` of both programs looks at a machine, and the form of what it reports.
//!
//! A program gathers facts, and its checks judge them: pure, the same facts give the same report. What
//! may not be seen by this user is *unknown*, never *ok*.

// The parts that look at a machine are an edge.
#![allow(clippy::disallowed_methods)]

pub mod look;
mod machine;
mod redact;
mod report;
#[cfg(test)]
mod tests;

pub use machine::{MachineFacts, Space};
pub use redact::Redactor;
pub use report::{Entry, Finding, Report, State};

/// One thing that is looked at.
pub struct Check<F: 'static> {
    /// Stable short code.
    pub name: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// One finding, or one for each broker, listener or file.
    pub judge: fn(&F) -> Vec<Finding>,
}

/// Judges facts by every check, in their order.
#[must_use]
pub fn examine<F>(checks: &[Check<F>], facts: &F) -> Report {
    let entries = checks.iter().flat_map(|check| {
        let findings = (check.judge)(facts);
        findings
            .into_iter()
            .map(|finding| finding.entry(check.name, check.why))
    });
    Report::new(entries.collect())
}

/// The target that this program was built for.
pub const TARGET: &str = env!("EDGESEAL_TARGET");
