//! What the agent tells `card-sync`, in its own runtime directory.

use super::standing::Standing;
use super::{Directory, result_text};
use edgeseal_trust::document::Digest;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// What the agent tells. It holds no secret: everybody on the device may read it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    format: u32,
    /// SHA-256 of the join files that did their work and are to be shredded.
    pub(crate) used: Vec<Digest>,
    standing: Standing,
}

impl Report {
    pub(crate) const fn new(used: Vec<Digest>, standing: Standing) -> Self {
        Self {
            format: FORMAT,
            used,
            standing,
        }
    }

    /// This device is enrolled: no join file is of use to it.
    pub(crate) fn is_enrolled(&self) -> bool {
        self.standing.is_enrolled()
    }

    /// What a person is to read, lines parted by `\n`.
    pub(crate) fn text(&self) -> String {
        result_text(&self.standing)
    }

    /// Reads it from the agent's runtime directory; nothing where there is none that makes sense.
    pub(crate) fn read(directory: &Path) -> Option<Self> {
        let directory = Directory::open(directory).ok()??;
        let octets = directory.read(NAME, OCTETS).ok()??;
        let report: Self = serde_json::from_slice(&octets).ok()?;
        (report.format == FORMAT).then_some(report)
    }

    /// Writes it there, whole or not at all.
    ///
    /// # Errors
    /// The directory does not take it.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        let Some(directory) = Directory::open(directory)? else {
            return Err(io::ErrorKind::NotFound.into());
        };
        directory.replace(NAME, &serde_json::to_vec(self)?, 0o644)
    }
}

/// A text as a file for every computer: lines end with CR LF, nothing else controls anything, and it is
/// short.
pub(crate) fn to_lines(text: &str) -> Vec<u8> {
    let mut lines = String::new();
    for line in text.lines().take(LINES) {
        if lines.len() >= TEXT_OCTETS {
            break;
        }
        let shown = line.chars().take(COLUMNS).map(|char| match char {
            ' '..='~' => char,
            char if char.is_alphanumeric() => char,
            _ => '?',
        });
        lines.extend(shown);
        lines.push_str("\r\n");
    }
    lines.into_bytes()
}

const NAME: &str = "card.json";
/// 1 had a text of the agent's own in place of what it stands for.
const FORMAT: u32 = 2;
const OCTETS: usize = 16 << 10;
const LINES: usize = 40;
/// Lines are wrapped, but for a word that is longer.
const COLUMNS: usize = 220;
const TEXT_OCTETS: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_report_is_read_as_it_was_written_and_nothing_else_is_one() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Report::read(directory.path()), None);
        let standing = Standing {
            has_clock: true,
            ..Standing::default()
        };
        let report = Report::new(vec![Digest::of(b"file")], standing);
        report.write(directory.path()).unwrap();
        assert_eq!(Report::read(directory.path()), Some(report));
        let name = directory.path().join(NAME);
        let good = fs::read_to_string(&name).unwrap();
        let bad = [
            "",
            "{}",
            &good.replace("\"format\":2", "\"format\":1"),
            &good.replace("\"used\":[\"", "\"used\":[\"x"),
            &good.replace("\"device\":null", "\"device\":\"Pump 1\""),
            &good.replace("\"device\":null", "\"device\":null,\"text\":\"x\""),
            &good.replace("\"key\":null", "\"key\":\"run this\""),
        ];
        for bad in bad {
            assert_ne!(bad, good);
            fs::write(&name, bad).unwrap();
            assert_eq!(Report::read(directory.path()), None, "{bad}");
        }
        fs::write(&name, vec![b' '; OCTETS + 1]).unwrap();
        assert_eq!(Report::read(directory.path()), None);
    }

    #[test]
    fn a_text_becomes_lines_that_control_nothing() {
        assert_eq!(to_lines("a\nb"), b"a\r\nb\r\n");
        assert_eq!(to_lines("a\r\nb\u{1b}[2J\u{202e}\n"), b"a\r\nb?[2J?\r\n");
        assert_eq!(to_lines("gr\u{fc}n"), "gr\u{fc}n\r\n".as_bytes());
        assert!(to_lines(&"x".repeat(100_000)).len() < 1000);
        assert!(to_lines(&"\n".repeat(100_000)).len() < 1000);
        let long = format!("{}\n", "\u{fc}".repeat(1000)).repeat(1000);
        assert!(to_lines(&long).len() < 5000);
    }
}
