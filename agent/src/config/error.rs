//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::PathBuf;

use crate::log::Escaped;

/// All problems of one load, in the order of the sources. Never empty. Exit code:
/// [`crate::exit::Exit::Configuration`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfigError {
    /// What is wrong, at most [`MAX_PROBLEMS`] of it.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Stable short code.
    pub code: ProblemCode,
    /// Where.
    pub place: Place,
    /// A sentence for people. Text from the files is escaped and bounded in it.
    pub message: String,
    /// What to do next, where that is known.
    pub hint: Option<String>,
}

/// Kind of a problem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProblemCode {
    /// Keys that contradict each other, or one that needs another.
    Conflict,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// A number outside its limits, or too many entries.
    OutOfRange,
    /// Not TOML (<https://toml.io>): also duplicate keys and nesting without end.
    Syntax,
    /// A file that is larger than a configuration can be, or too many files.
    TooLarge,
    /// A key or section that does not exist.
    UnknownKey,
    /// A user or group that is not on this machine.
    UnknownName,
    /// A file that cannot be opened or read.
    Unreadable,
    /// A value of the right type that means nothing here.
    Value,
    /// A value of another type than the key's.
    WrongType,
}

/// Where a problem is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// An environment variable of this name.
    Environment(String),
    /// A whole file or directory.
    File(PathBuf),
    /// A place in a file.
    Text {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
    },
    /// No single place: the values together.
    Whole,
}

impl ProblemCode {
    /// The code in text, as shown to people and programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "config-conflict",
            Self::NotUtf8 => "config-not-utf8",
            Self::OutOfRange => "config-out-of-range",
            Self::Syntax => "config-syntax",
            Self::TooLarge => "config-too-large",
            Self::UnknownKey => "config-unknown-key",
            Self::UnknownName => "config-unknown-name",
            Self::Unreadable => "config-unreadable",
            Self::Value => "config-value",
            Self::WrongType => "config-wrong-type",
        }
    }
}

impl ConfigError {
    /// Whether a file could not be read, for which the disk may be to blame.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        let mut codes = self.problems.iter().map(|problem| problem.code);
        codes.any(|code| code == ProblemCode::Unreadable)
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            write!(out, "{problem}")?;
        }
        if self.problems.len() >= MAX_PROBLEMS {
            write!(out, "\n(only the first {MAX_PROBLEMS} problems are shown)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{}{} [{}]",
            self.place,
            self.message,
            self.code.as_str()
        )?;
        match &self.hint {
            Some(hint) => write!(out, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(name) => write!(out, "environment {}: ", Escaped::new(name)),
            Self::File(path) => write!(out, "{}: ", path.display()),
            Self::Text { path, line, column } => {
                write!(out, "{}:{line}:{column}: ", path.display())
            }
            Self::Whole => Ok(()),
        }
    }
}

/// Problems kept of one load; a hostile file makes no endless report.
pub const MAX_PROBLEMS: usize = 50;
