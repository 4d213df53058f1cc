//! What people and programs read: results on standard output, errors on standard error, each as
//! text or as one line of JSON.

use crate::error::CommandError;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

/// What a verb has to say: for people, and for programs.
#[derive(Debug)]
pub(crate) struct Report {
    /// Lines for people, without a line feed at the end.
    pub(crate) text: String,
    /// One object for programs.
    pub(crate) json: Value,
    /// The answer is no (exit code 1), and this report says why.
    pub(crate) is_no: bool,
}

impl Report {
    /// A verb that did what it was asked to.
    pub(crate) fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            text: text.into(),
            json,
            is_no: false,
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// One JSON object instead of text.
    pub(crate) json: bool,
    /// Bold and colour on standard output.
    colour_out: bool,
    /// Bold and colour on standard error.
    colour_err: bool,
}

impl Style {
    /// As asked for on the command line; colour only on a terminal that wants it
    /// (<https://no-color.org>).
    pub(crate) fn detect(json: bool) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let colour = !json && !refused && !dumb;
        Self {
            json,
            colour_out: colour && io::stdout().is_terminal(),
            colour_err: colour && io::stderr().is_terminal(),
        }
    }
}

/// Prints how a verb ended and gives the exit code.
pub(crate) fn finish(style: Style, result: Result<Report, CommandError>) -> ExitCode {
    match result {
        Ok(report) => {
            let printed = if style.json {
                print(&format!("{}\n", report.json))
            } else {
                print(&format!("{}\n", report.text))
            };
            match printed {
                Ok(()) if report.is_no => ExitCode::from(1),
                Ok(()) => ExitCode::SUCCESS,
                // Nobody reads on (`edgeseal device list | head`): no reason for alarm.
                Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
                Err(why) => fail(style, &CommandError::io("write to", "-".as_ref(), &why)),
            }
        }
        Err(error) => fail(style, &error),
    }
}

/// A line on standard error that is neither result nor error.
pub(crate) fn notice(style: Style, line: &str) {
    if !style.json {
        // Standard error may be closed: a notice is not worth failing for.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// A line on standard output before the last one: what a verb that goes on for long has done by now.
///
/// # Errors
/// Nobody reads on, or the system refuses.
pub(crate) fn line(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// `text` in bold where standard output shows it.
pub(crate) fn bold(style: Style, text: &str) -> String {
    if style.colour_out {
        format!("\u{1b}[1m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

/// A progress bar on standard error, where somebody looks at it.
pub(crate) fn progress(style: Style, of: usize, what: &str) -> ProgressBar {
    if style.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(u64::try_from(of).unwrap_or_default());
    match ProgressStyle::with_template("{bar:40} {pos} of {len} {msg}") {
        Ok(shown) => bar.with_style(shown).with_message(what.to_owned()),
        Err(_) => bar,
    }
}

/// Eight words as a person reads them aloud: capitals, four to a line, in a frame.
pub(crate) fn big_words(words: &str) -> String {
    let words: Vec<String> = words.split(' ').map(str::to_uppercase).collect();
    let lines: Vec<String> = words
        .chunks(4)
        .map(|four| {
            let four: Vec<String> = four.iter().map(|word| format!("{word:<8}")).collect();
            four.join("   ")
        })
        .collect();
    let width = lines.iter().map(String::len).max().unwrap_or_default();
    let rule = "=".repeat(width.saturating_add(4));
    let mut out = format!("  {rule}\n");
    for line in lines {
        let _ = writeln!(out, "    {}", line.trim_end());
    }
    out.push_str("  ");
    out.push_str(&rule);
    out
}

/// Foreign text on a terminal: control characters are shown, not obeyed.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn fail(style: Style, error: &CommandError) -> ExitCode {
    let mut stderr = io::stderr().lock();
    let written = if style.json {
        let mut object = json!({
            "error": error.exit.as_str(),
            "code": error.code,
            "reason": error.reason,
        });
        if let (Some(hint), Some(object)) = (&error.hint, object.as_object_mut()) {
            object.insert("hint".into(), hint.as_str().into());
        }
        writeln!(stderr, "{object}")
    } else {
        let (red, plain) = if style.colour_err {
            ("\u{1b}[31m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let hint = error.hint.iter().fold(String::new(), |mut lines, hint| {
            let _ = write!(lines, "\nhint: {hint}");
            lines
        });
        writeln!(
            stderr,
            "{red}error{plain}: {} [{}]{hint}",
            escaped(&error.reason),
            error.code
        )
    };
    // The exit code says it even where standard error is closed.
    drop(written);
    error.exit.into()
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::{big_words, escaped};

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(
            escaped("a\u{1b}[2Jb\n\u{202e}ü"),
            "a\\u{1b}[2Jb\\n\\u{202e}ü"
        );
    }

    #[test]
    fn words_are_big_and_four_to_a_line() {
        let shown = big_words("one two three four five six seven eight");
        assert_eq!(shown.lines().count(), 4);
        assert!(shown.contains("FOUR"), "{shown}");
    }
}
