//! Text from outside, made harmless for logs and terminals.

use std::fmt::{self, Write};

/// Shows text of a peer, a file or a caller: control, formatting (also right-to-left overrides) and
/// unassigned characters are escaped as in Rust source, bytes that are not UTF-8 as `\xNN`,
/// backslash as `\\`, and what exceeds the limit is cut off with the number of bytes left out.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    limit_chars: usize,
}

impl<'a> Escaped<'a> {
    /// Shows at most [`DEFAULT_LIMIT_CHARS`] characters of text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self::bytes(text.as_bytes())
    }

    /// Shows at most [`DEFAULT_LIMIT_CHARS`] characters of bytes that may not be text.
    #[must_use]
    pub fn bytes(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            limit_chars: DEFAULT_LIMIT_CHARS,
        }
    }

    /// Shows at most this many characters of the original.
    #[must_use]
    pub fn limit(self, limit_chars: usize) -> Self {
        Self {
            limit_chars,
            ..self
        }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown_chars = 0_usize;
        let mut shown_bytes = 0_usize;
        for chunk in self.bytes.utf8_chunks() {
            for char in chunk.valid().chars() {
                if shown_chars == self.limit_chars {
                    return self.rest(out, shown_bytes);
                }
                escape(out, char)?;
                shown_chars = shown_chars.saturating_add(1);
                shown_bytes = shown_bytes.saturating_add(char.len_utf8());
            }
            for byte in chunk.invalid() {
                if shown_chars == self.limit_chars {
                    return self.rest(out, shown_bytes);
                }
                write!(out, "\\x{byte:02x}")?;
                shown_chars = shown_chars.saturating_add(1);
                shown_bytes = shown_bytes.saturating_add(1);
            }
        }
        Ok(())
    }
}

impl Escaped<'_> {
    fn rest(&self, out: &mut fmt::Formatter<'_>, shown_bytes: usize) -> fmt::Result {
        write!(
            out,
            "... ({} bytes more)",
            self.bytes.len().saturating_sub(shown_bytes)
        )
    }
}

/// Quotes stay as they are: they end nothing in a log line.
fn escape(out: &mut fmt::Formatter<'_>, char: char) -> fmt::Result {
    match char {
        '"' | '\'' => out.write_char(char),
        other => write!(out, "{}", other.escape_debug()),
    }
}

/// Characters of the original that are shown unless told otherwise.
pub const DEFAULT_LIMIT_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_others_kept() {
        for (given, shown) in [
            ("site/pümpe/温度", "site/pümpe/温度"),
            ("it's \"fine\"", "it's \"fine\""),
            ("a\nREADY=1", "a\\nREADY=1"),
            ("\u{1b}[31mred\u{7}", "\\u{1b}[31mred\\u{7}"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
            (
                "\u{9b}31m\u{2028}\u{feff}\u{200b}",
                "\\u{9b}31m\\u{2028}\\u{feff}\\u{200b}",
            ),
            ("back\\slash", "back\\\\slash"),
            ("", ""),
        ] {
            assert_eq!(Escaped::new(given).to_string(), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_numbers() {
        assert_eq!(Escaped::bytes(b"a\xff\xc3").to_string(), "a\\xff\\xc3");
    }

    #[test]
    fn length_is_bounded_and_the_rest_counted() {
        let long = "ä".repeat(100_000);
        assert_eq!(
            Escaped::new(&long).limit(3).to_string(),
            "äää... (199994 bytes more)"
        );
        assert_eq!(Escaped::new("äää").limit(3).to_string(), "äää");
        assert_eq!(
            Escaped::bytes(&[0xff; 10]).limit(2).to_string(),
            "\\xff\\xff... (8 bytes more)"
        );
        assert!(Escaped::new(&"\u{1}".repeat(1_000_000)).to_string().len() < 3_000);
    }
}
