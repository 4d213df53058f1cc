//! Fingerprint words: how people compare a root or an enrollment request over the telephone.

use crate::document::without_line_end;
use bip39::Language;
use sha2::{Digest, Sha256};
use std::fmt;

/// The fingerprint of a document: the first 88 bits of a SHA-256 over its type and its octets, as
/// eight words of BIP-39's English list, 11 bits each, big-endian.
#[derive(Clone, Copy, Debug)]
pub struct Words([u16; COUNT]);

/// Why a text is no eight words of the list.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[must_use]
pub enum InvalidWords {
    /// Not eight words.
    #[error("{found} words, where {COUNT} are needed: type all of them, in order")]
    Count {
        /// How many there are.
        found: usize,
    },
    /// A word that is not on the list.
    #[error("word {position}, {word:?}, is not on the list{}", suggested(*.suggestion))]
    Unknown {
        /// Its place, from 1.
        position: usize,
        /// The word as typed, its beginning.
        word: String,
        /// The nearest word of the list, where one is near.
        suggestion: Option<&'static str>,
    },
}

impl InvalidWords {
    /// The stable short code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Count { .. } => "words-count",
            Self::Unknown { .. } => "word-unknown",
        }
    }
}

impl Words {
    /// The words of a whole root document. The end of its line does not count.
    pub fn of_root(document: &[u8]) -> Self {
        Self::of(b"edgeseal-root\0", document)
    }

    /// The words of a whole enrollment request. The end of its line does not count.
    pub fn of_request(document: &[u8]) -> Self {
        Self::of(b"edgeseal-request\0", document)
    }

    /// Reads words as a person types them: letters of either case, parted by spaces, hyphens,
    /// commas or line ends.
    ///
    /// # Errors
    /// [`InvalidWords`] when there are not eight, or one is not on the list.
    pub fn parse(text: &str) -> Result<Self, InvalidWords> {
        let parted = |c: char| c.is_whitespace() || matches!(c, '-' | ',');
        let typed = || text.split(parted).filter(|word| !word.is_empty());
        let found = typed().count();
        if found != COUNT {
            return Err(InvalidWords::Count { found });
        }
        let mut numbers = [0; COUNT];
        for ((place, number), word) in numbers.iter_mut().enumerate().zip(typed()) {
            let word: String = word.chars().take(SHOWN_CHARACTERS).collect();
            let word = word.to_lowercase();
            let known = Language::English.find_word(&word);
            *number = known.ok_or_else(|| unknown(place, word))?;
        }
        Ok(Self(numbers))
    }

    fn of(prefix: &[u8], document: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(prefix);
        hash.update(without_line_end(document));
        let digest: [u8; 32] = hash.finalize().into();
        Self::of_digest(&digest)
    }

    fn of_digest(digest: &[u8; 32]) -> Self {
        let first = digest.iter().take(BITS / 8);
        let mut bits = first.fold(0_u128, |bits, octet| (bits << 8) | u128::from(*octet));
        let mut numbers = [0; COUNT];
        for number in numbers.iter_mut().rev() {
            *number = u16::try_from(bits & 0x7ff).unwrap_or(0);
            bits >>= 11;
        }
        Self(numbers)
    }
}

/// Compares all eight words, wherever they differ.
impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(0, |different, (a, b)| different | (a ^ b)) == 0
    }
}

impl Eq for Words {}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = Language::English.word_list();
        for (place, number) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(list.get(usize::from(*number)).copied().unwrap_or_default())?;
        }
        Ok(())
    }
}

fn unknown(place: usize, word: String) -> InvalidWords {
    let list = Language::English.word_list();
    let nearest = list
        .iter()
        .map(|known| (distance(&word, known), *known))
        .min();
    InvalidWords::Unknown {
        position: place.saturating_add(1),
        suggestion: nearest
            .filter(|(apart, _)| *apart <= NEAR)
            .map(|(_, known)| known),
        word,
    }
}

/// How many letters must be put in, taken out or exchanged (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (above, letter) in a.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above.saturating_add(1);
        let (first, rest) = match row.split_first_mut() {
            Some(parts) => parts,
            None => return 0,
        };
        *first = left;
        for (cell, other) in rest.iter_mut().zip(b.chars()) {
            let exchanged = diagonal.saturating_add(usize::from(letter != other));
            diagonal = *cell;
            left = exchanged.min(left.min(diagonal).saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(
        || ": read it again where it was shown".to_owned(),
        |word| format!("; did you mean {word:?}?"),
    )
}

const COUNT: usize = 8;
const BITS: usize = COUNT * 11;
const NEAR: usize = 2;
const SHOWN_CHARACTERS: usize = 32;

#[cfg(test)]
mod tests {
    use super::{InvalidWords, Words};

    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon";

    #[test]
    fn bits_become_words_from_the_most_significant_on() {
        assert_eq!(Words::of_digest(&[0; 32]).to_string(), ABANDON);
        assert_eq!(
            Words::of_digest(&[0xff; 32]).to_string(),
            ["zoo"; 8].join(" ")
        );
        let mut digest = [0; 32];
        digest[1] = 0b0010_0000; // bit 10: the lowest of the first word
        digest[10] = 0x02; // bit 86: the lowest but one of the last
        digest[11] = 0xff; // behind the 88 bits
        assert_eq!(
            Words::of_digest(&digest).to_string(),
            "ability abandon abandon abandon abandon abandon abandon able"
        );
    }

    #[test]
    fn the_type_and_every_octet_count_but_the_line_end_does_not() {
        let words = Words::of_root(b"{}");
        assert_ne!(words, Words::of_request(b"{}"));
        assert_ne!(words, Words::of_root(b"{ }"));
        for same in [b"{}\n".as_slice(), b"{}\r\n"] {
            assert_eq!(words, Words::of_root(same));
        }
        assert_ne!(words, Words::of_root(b"{}\n\n"));
        assert_eq!(Words::parse(&words.to_string()), Ok(words));
        // computed apart, in Python
        assert_eq!(words.to_string(), ROOT_WORDS);
    }

    #[test]
    fn words_are_read_as_people_type_them() {
        let words = Words::of_digest(&[0x5a; 32]);
        let text = words.to_string();
        for typed in [
            text.to_uppercase(),
            text.replace(' ', "-"),
            text.replace(' ', ",  "),
            format!(" \t{}\n", text.replace(' ', "\n")),
        ] {
            assert_eq!(Words::parse(&typed), Ok(words), "{typed:?}");
        }
        for (other, word) in text.split(' ').enumerate() {
            let mut typed: Vec<_> = text.split(' ').collect();
            typed[other] = if word == "zoo" { "zone" } else { "zoo" };
            assert_ne!(Words::parse(&typed.join(" ")), Ok(words));
        }
    }

    #[test]
    fn wrong_words_are_refused_with_the_nearest_right_one() {
        let refused = |text: &str| Words::parse(text).unwrap_err();
        assert_eq!(refused(""), InvalidWords::Count { found: 0 });
        assert_eq!(
            refused(&ABANDON.replacen("abandon ", "", 1)),
            InvalidWords::Count { found: 7 }
        );
        assert_eq!(
            refused(&format!("{ABANDON} zoo")),
            InvalidWords::Count { found: 9 }
        );
        for (typo, meant) in [
            ("abandn", Some("abandon")),
            ("zooo", Some("zoo")),
            ("qqqqqqqq", None),
            ("übermütig", None),
        ] {
            let text = ABANDON.replacen("abandon abandon", &format!("abandon {typo}"), 1);
            let why = refused(&text);
            assert_eq!(why.code(), "word-unknown");
            let InvalidWords::Unknown {
                position,
                suggestion,
                ..
            } = why
            else {
                panic!("{why:?}")
            };
            assert_eq!((position, suggestion), (2, meant));
        }
        let long = ABANDON.replacen("abandon", &"x".repeat(1_000_000), 1);
        assert!(refused(&long).to_string().len() < 200);
    }

    const ROOT_WORDS: &str = "toilet dress craft cupboard option item corn beyond";
}
