//! What the demo prints: one line a step, and the count at the end.

use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// Collects the steps, prints them as they happen, counts.
pub(super) struct Report {
    json: bool,
    colour: bool,
    steps: Vec<Value>,
    honest: Count,
    hostile: Count,
    surprises: usize,
}

#[derive(Default)]
struct Count {
    right: usize,
    all: usize,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        let colour =
            !json && std::env::var_os("NO_COLOR").is_none() && std::io::stdout().is_terminal();
        Self {
            json,
            colour,
            steps: Vec::new(),
            honest: Count::default(),
            hostile: Count::default(),
            surprises: 0,
        }
    }

    /// A heading.
    pub(super) fn heading(&self, text: &str) {
        self.print(&format!("\n{text}"));
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) {
        self.print(text);
    }

    /// Where what runs on is to be found, for programs.
    pub(super) fn running(&self, at: &Value) {
        if self.json {
            let _ = writeln!(std::io::stdout(), "{at}");
        }
    }

    /// Something that an operator or a device did.
    pub(super) fn note(&mut self, who: &str, what: &str) {
        self.print(&format!("  {who:<9} {what}"));
        self.steps.push(json!({ "who": who, "what": what }));
    }

    /// A message with an honest sender: `code` is what its receivers said.
    pub(super) fn honest(&mut self, who: &str, what: &str, judges: &str, code: &str) {
        self.honest.all = self.honest.all.saturating_add(1);
        let right = code == "verified";
        self.honest.right = self.honest.right.saturating_add(usize::from(right));
        self.step(who, what, judges, code, right);
    }

    /// A message that must be refused as `expected`.
    pub(super) fn hostile(
        &mut self,
        who: &str,
        what: &str,
        judges: &str,
        code: &str,
        expected: &str,
    ) {
        self.hostile.all = self.hostile.all.saturating_add(1);
        let right = code == expected;
        self.hostile.right = self.hostile.right.saturating_add(usize::from(right));
        self.step(who, what, judges, code, right);
    }

    /// Something that should not have happened.
    pub(super) fn surprise(&mut self, what: &str) {
        self.surprises = self.surprises.saturating_add(1);
        self.print(&format!("  {what}  <- WRONG"));
        self.steps.push(json!({ "what": what, "ok": false }));
    }

    /// The last line, and whether all was as it should be.
    pub(super) fn finish(&mut self) -> bool {
        let Count {
            right: accepted,
            all: honest,
        } = &self.honest;
        let Count {
            right: refused,
            all: hostile,
        } = &self.hostile;
        let all = accepted == honest && refused == hostile && *honest > 0 && *hostile > 0;
        let good = all && self.surprises == 0;
        if self.json {
            let summary = json!({
                "ok": good,
                "honest": { "sent": honest, "accepted": accepted },
                "hostile": { "sent": hostile, "refused": refused },
                "steps": self.steps,
            });
            let _ = writeln!(std::io::stdout(), "{summary}");
        } else {
            self.print(&format!(
                "\n{accepted} of {honest} honest messages accepted, {refused} of {hostile} hostile ones refused or unmasked."
            ));
        }
        good
    }

    fn step(&mut self, who: &str, what: &str, judges: &str, code: &str, right: bool) {
        let outcome = format!("{judges}: {code}");
        let mark = if right { "" } else { "  <- WRONG" };
        let shown = match (self.colour, right, code) {
            (false, ..) => outcome,
            (true, false, _) => format!("\x1b[1;31m{outcome}\x1b[0m"),
            (true, true, "verified") => format!("\x1b[32m{outcome}\x1b[0m"),
            (true, true, _) => format!("\x1b[33m{outcome}\x1b[0m"),
        };
        self.print(&format!("  {who:<9} {what:<38} {shown}{mark}"));
        self.steps
            .push(json!({ "who": who, "what": what, "judges": judges, "code": code, "ok": right }));
    }

    fn print(&self, line: &str) {
        if !self.json {
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }
}
