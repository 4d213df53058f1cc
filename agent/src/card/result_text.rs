//! What `edgeseal-result.txt` says: for somebody who holds the card in another computer, and sees no log.
//!
//! No secret is in it. Nor is anything that changes by itself, a time for one: it is written when it says
//! something else, and cards wear out.

use super::standing::{Refusal, Standing};
use crate::enroll::EnrollState;
use crate::log::Escaped;

/// The text, its lines parted by `\n`.
pub(crate) fn result_text(standing: &Standing) -> String {
    if standing.is_enrolled() {
        return enrolled(standing);
    }
    let (wrong, next) = wrong(standing);
    let mut text = Text::new("NOT ENROLLED YET");
    text.paragraph("", &wrong);
    text.paragraph("What to do: ", &next);
    if !standing.has_clock {
        text.paragraph("", NO_CLOCK);
    }
    if let (Some(words), Some(key)) = (standing.words(), &standing.key) {
        text.paragraph(
            "",
            "This device asks with the key and the words below; the operator sees the same.",
        );
        text.line(&format!("  key    {key}"));
        text.line(&format!("  words  {words}"));
    }
    text.end(LATER)
}

/// The join file is there and is none that can be read.
pub(super) fn unreadable(why: &str) -> String {
    let mut text = Text::new("NOT ENROLLED YET");
    text.paragraph("", &format!("join.json cannot be read: {why}."));
    text.paragraph("What to do: ", COPY_AGAIN);
    text.end(LATER)
}

/// A join file has another name than it must have.
pub(super) fn misnamed(names: &[String]) -> String {
    let mut text = Text::new("NOT ENROLLED YET");
    let names = names.join(", ");
    text.paragraph(
        "",
        &format!("There is no join.json in this folder, but {names}."),
    );
    text.paragraph(
        "What to do: ",
        "rename the join file of this device to join.json, and start the device with this card.",
    );
    text.end(LATER)
}

/// The agent does not start.
pub(super) fn not_starting(why: &str) -> String {
    let mut text = Text::new("NOT ENROLLED YET");
    text.paragraph("", why);
    text.end(LATER)
}

fn enrolled(standing: &Standing) -> String {
    let device = standing.device.as_ref().map_or("", |id| id.as_str());
    let domain = standing.domain.as_ref().map_or("", |name| name.as_str());
    let mut text = Text::new(&format!("ENROLLED as {device}"));
    text.paragraph(
        "",
        &format!("This device is {device} in the trust domain {domain}. Its join file did its work and is deleted."),
    );
    if let Some(key) = &standing.key {
        text.line("");
        text.line(&format!("  key    {key}"));
    }
    text.paragraph(
        "What to do: ",
        "nothing. To see how it is, on the device: sudo edgeseal-agent doctor",
    );
    text.end("")
}

/// What is wrong, and what to do about it.
fn wrong(standing: &Standing) -> (String, String) {
    if let Some(why) = standing.blocked() {
        return match why.code.as_str() {
            "board-mismatch" => (
                format!(
                    "This card was copied or put into another board, so the device signs nothing: {} [board-mismatch].",
                    shown(&why.reason)
                ),
                ENROLL_ANEW.to_owned(),
            ),
            "state-lost" => (sentence(why).0, ENROLL_ANEW.to_owned()),
            "state-not-durable" => (sentence(why).0, DURABLE.to_owned()),
            _ => sentence(why),
        };
    }
    if let Some(why) = &standing.problem {
        return match join_file_step(&why.code) {
            Some(step) => (sentence(why).0, step.to_owned()),
            None => sentence(why),
        };
    }
    match standing.state {
        EnrollState::Waiting => waiting(standing),
        _ => match &standing.device {
            Some(device) => (
                format!(
                    "The operator's list has this device as {device}, and its key may not be used now."
                ),
                "ask the operator: edgeseal device list".to_owned(),
            ),
            None => (
            "The agent runs and has found no join file.".to_owned(),
            "put the join file of this device into this folder, named join.json, and start the device with this card.".to_owned(),
        ),
        },
    }
}

/// A request is stored, and nothing is wrong here.
fn waiting(standing: &Standing) -> (String, String) {
    if let Some(reason) = standing.answer.as_deref().and_then(rejected) {
        return (
            format!("The registrar refuses this device: {}.", shown(reason)),
            registrar_step(reason).to_owned(),
        );
    }
    if !standing.connected {
        let broker = standing.broker.as_deref().map_or_else(
            || "the broker".to_owned(),
            |url| format!("the broker {}", shown(url)),
        );
        let why = standing.why.as_deref();
        let why = why.map_or_else(String::new, |why| format!(" The last try: {}.", shown(why)));
        return (
            format!("It waits for the network: there is no connection to {broker} yet.{why}"),
            "see that the device has a network (cable, Wi-Fi name and password) and that the broker runs and can be reached from there. It tries on by itself.".to_owned(),
        );
    }
    let answer = standing.answer.as_deref().unwrap_or_default();
    let waits = match answer.split(':').next() {
        Some("approved") => "The registrar says that it has approved; the published list does not have this device yet.".to_owned(),
        _ => "The broker is connected. It waits for the registrar, or for the operator to approve.".to_owned(),
    };
    (
        waits,
        "the operator runs: edgeseal registrar serve (or: edgeseal device pending, edgeseal device approve, edgeseal publish)".to_owned(),
    )
}

fn rejected(answer: &str) -> Option<&str> {
    let rest = answer.strip_prefix("rejected")?;
    let reason = rest.trim_start_matches(':').trim();
    Some(if reason.is_empty() {
        "it gives no reason"
    } else {
        reason
    })
}

/// The registrar's reason begins with its code.
fn registrar_step(reason: &str) -> &'static str {
    match reason.split(':').next().unwrap_or_default() {
        "join-used" => {
            "one join file is for one device. Put a new one here, named join.json: edgeseal join create. If this was the only device with that file, find out who used it: edgeseal join list."
        }
        "join-serial" | "join-device" | "serial" => {
            "the join file is for another device: put the right card into the right board."
        }
        code if code.starts_with("join-") => {
            "let the operator make a new join file (edgeseal join create) and put it here, named join.json."
        }
        _ => {
            "ask the operator: edgeseal join list, edgeseal device pending. A new join file here, named join.json, asks anew."
        }
    }
}

/// What to do about a join file that the agent does not take.
fn join_file_step(code: &str) -> Option<&'static str> {
    Some(match code {
        "join-serial" => {
            "this join file belongs to another board: put the card into that one, or a join file without a serial here."
        }
        "join-root" => {
            "this join file is of another trust domain, or of another root of it. Take the file that this domain's operator made; if the device is to change its domain, on the device: sudo edgeseal-agent identity reset"
        }
        "join-file-unreadable" | "join-file-form" | "join-file-seed" => COPY_AGAIN,
        code if code.starts_with("join-file-") => {
            "this join file is no whole one: let the operator make a new one (edgeseal join create) and put it here, named join.json."
        }
        _ => return None,
    })
}

/// The refusal with its code. What to do about it says the device itself.
fn sentence(why: &Refusal) -> (String, String) {
    let mut code = why.code.chars();
    let code = match code.all(|char| char.is_ascii_lowercase() || char == '-') {
        true => why.code.get(..CODE_OCTETS).unwrap_or(&why.code),
        false => "no code",
    };
    let reason = format!("{} [{code}].", shown(&why.reason));
    (
        reason,
        "on the device: sudo edgeseal-agent doctor says it and what to do".to_owned(),
    )
}

/// What others say, within a sentence of this program.
fn shown(text: &str) -> String {
    Escaped::new(text).limit(OTHERS_CHARACTERS).to_string()
}

struct Text(String);

impl Text {
    fn new(headline: &str) -> Self {
        Self(format!("Edgeseal: {headline}\n"))
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Wrapped, since some programs show a line of any length as one.
    fn paragraph(&mut self, what: &str, text: &str) {
        self.line("");
        let mut line = what.to_owned();
        for word in text.split_whitespace() {
            let length = line.chars().count().saturating_add(word.chars().count());
            if length >= COLUMNS && !line.trim().is_empty() {
                self.line(line.trim_end());
                line.clear();
            }
            line.push_str(word);
            line.push(' ');
        }
        self.line(line.trim_end());
    }

    fn end(mut self, last: &str) -> String {
        if !last.is_empty() {
            self.paragraph("", last);
        }
        self.0
    }
}

const NO_CLOCK: &str = "The clock of the device is not set by a time server. It enrolls without one, but a \
    broker's certificate may look as if it were not valid yet, and messages are neither signed nor accepted \
    before the clock is set.";
const COPY_AGAIN: &str = "copy the file that edgeseal join create wrote here again, named join.json, and \
    eject the card before you pull it out; or let the operator make another one.";
const ENROLL_ANEW: &str = "give this copy an identity of its own. On the device: sudo systemctl stop \
    edgeseal-agent.socket edgeseal-agent.service && sudo edgeseal-agent identity reset --yes && sudo systemctl \
    start edgeseal-agent.socket edgeseal-agent.service. Then put a new join file here, named join.json \
    (edgeseal join create).";
const DURABLE: &str = "the state must lie where it outlives a power cut: on a disk, on the card, or on a partition of \
    its own that is mounted writable. The document raspberry-pi.md has it under: Read-only root.";
const LATER: &str = "This file is written anew when something changes.";
const COLUMNS: usize = 78;
const OTHERS_CHARACTERS: usize = 200;
const CODE_OCTETS: usize = 40;

#[cfg(test)]
mod tests;
