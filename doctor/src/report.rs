//! What the checks found, for people and as JSON.

use crate::TARGET;
use serde::Serialize;

/// How one thing is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be seen, or cannot be told before something else is repaired.
    Unknown,
    /// It works, but not as it should, or not for long.
    Warning,
    /// It does not work.
    Broken,
}

/// What one check found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// Stable short code of the check.
    pub check: &'static str,
    /// How it is.
    pub state: State,
    /// What was seen, in a sentence.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// The command that repairs it, or lets it be seen. Nothing where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repair: Option<String>,
}

/// Everything that was found. JSON schema: the members are stable, entries may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    doctor: u32,
    /// Version of this program.
    version: &'static str,
    /// The target that it was built for.
    target: &'static str,
    /// The worst of all entries, where an unknown one counts as ok.
    pub state: State,
    /// Every finding.
    pub checks: Vec<Entry>,
}

/// What a check found, before it knows its name.
#[derive(Clone, Debug)]
#[must_use]
pub struct Finding {
    state: State,
    what: String,
    repair: Option<String>,
}

impl State {
    /// The word, as JSON has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

impl Report {
    /// The report of these findings.
    #[must_use]
    pub fn new(checks: Vec<Entry>) -> Self {
        let worst = checks.iter().map(|entry| entry.state).max();
        Self {
            doctor: FORM,
            version: env!("CARGO_PKG_VERSION"),
            target: TARGET,
            state: match worst {
                Some(state @ (State::Broken | State::Warning)) => state,
                _ => State::Ok,
            },
            checks,
        }
    }

    /// How many findings are in this state.
    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.checks
            .iter()
            .filter(|entry| entry.state == state)
            .count()
    }

    /// The report as lines for a person: what is well on one line, everything else with why it
    /// matters and what repairs it.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in &self.checks {
            let (state, check) = (entry.state.as_str(), entry.check);
            lines.push(format!("{state:<8} {check:<22} {}", entry.what));
            if entry.state == State::Ok {
                continue;
            }
            lines.push(format!("{INDENT}why     {}", entry.why));
            if let Some(repair) = &entry.repair {
                lines.push(format!("{INDENT}repair  {repair}"));
            }
        }
        lines.push(format!(
            "{} broken, {} warnings, {} unknown, {} ok",
            self.count(State::Broken),
            self.count(State::Warning),
            self.count(State::Unknown),
            self.count(State::Ok)
        ));
        lines
    }
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn ok(what: impl Into<String>) -> Vec<Self> {
        vec![Self::good(what)]
    }

    /// One of several: this is well.
    pub fn good(what: impl Into<String>) -> Self {
        Self {
            state: State::Ok,
            what: what.into(),
            repair: None,
        }
    }

    /// It could not be seen; `repair` lets it be seen.
    #[must_use]
    pub fn unknown(what: impl Into<String>, repair: impl Into<String>) -> Vec<Self> {
        vec![Self::new(State::Unknown, what, repair)]
    }

    /// It works, but not as it should, or not for long.
    #[must_use]
    pub fn warning(what: impl Into<String>, repair: impl Into<String>) -> Vec<Self> {
        vec![Self::new(State::Warning, what, repair)]
    }

    /// It does not work.
    #[must_use]
    pub fn broken(what: impl Into<String>, repair: impl Into<String>) -> Vec<Self> {
        vec![Self::new(State::Broken, what, repair)]
    }

    /// One of several: this is not well.
    pub fn new(state: State, what: impl Into<String>, repair: impl Into<String>) -> Self {
        Self {
            state,
            what: what.into(),
            repair: Some(repair.into()),
        }
    }

    pub(crate) fn entry(self, check: &'static str, why: &'static str) -> Entry {
        Entry {
            check,
            state: self.state,
            what: self.what,
            why,
            repair: self.repair,
        }
    }
}

const FORM: u32 = 1;
const INDENT: &str = "         ";
