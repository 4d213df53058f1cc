//! Token ids (`jti`): boot epoch, stream and counter of the sender.

use std::fmt;

/// A token's id: `<boot epoch>.<stream>.<counter>`, each a decimal u64 without sign or leading zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TokenId {
    /// The sender's boot epoch: grows with every start of its agent.
    pub epoch: u64,
    /// The stream within the epoch.
    pub stream: Stream,
    /// The counter within the stream.
    pub counter: u64,
}

/// The two series of counters that a sender keeps: QoS 0 overtakes the others by nature.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Stream {
    /// Stream 0: published at QoS 0.
    AtMostOnce,
    /// Stream 1: QoS 1 and 2, and the local API.
    #[default]
    Reliable,
}

impl Stream {
    /// The stream's number in a `jti`.
    pub const fn number(self) -> u8 {
        match self {
            Self::AtMostOnce => 0,
            Self::Reliable => 1,
        }
    }
}

/// Why a text is no token id.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a jti is EPOCH.STREAM.COUNTER, decimal, the stream 0 or 1")]
pub struct InvalidTokenId;

impl TokenId {
    /// Parses a `jti`.
    ///
    /// # Errors
    /// [`InvalidTokenId`] for everything but the one way to write an id.
    pub fn parse(text: &str) -> Result<Self, InvalidTokenId> {
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(InvalidTokenId);
        let (epoch, stream, counter) = (number(part()?)?, part()?, number(part()?)?);
        let stream = match stream {
            "0" => Stream::AtMostOnce,
            "1" => Stream::Reliable,
            _ => return Err(InvalidTokenId),
        };
        if parts.next().is_some() {
            return Err(InvalidTokenId);
        }
        Ok(Self {
            epoch,
            stream,
            counter,
        })
    }

    /// Appends the id as a `jti` has it, which is also how it is shown; without the formatter, since
    /// every signature needs it.
    pub fn push_to(self, text: &mut String) {
        let mut digits = itoa::Buffer::new();
        text.push_str(digits.format(self.epoch));
        text.push('.');
        text.push_str(digits.format(self.stream.number()));
        text.push('.');
        text.push_str(digits.format(self.counter));
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.push_to(&mut text);
        f.write_str(&text)
    }
}

fn number(text: &str) -> Result<u64, InvalidTokenId> {
    let canonical =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if !canonical {
        return Err(InvalidTokenId);
    }
    text.parse().map_err(|_| InvalidTokenId)
}

#[cfg(test)]
mod tests {
    use super::TokenId;

    #[test]
    fn there_is_one_way_to_write_an_id() {
        for good in [
            "0.0.0",
            "7.1.42",
            "18446744073709551615.1.18446744073709551615",
        ] {
            assert_eq!(TokenId::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "1",
            "1.1",
            "1.1.1.1",
            "01.1.1",
            "1.01.1",
            "1.1.01",
            "+1.1.1",
            "-1.1.1",
            "1.2.1",
            "1.1.18446744073709551616",
            " 1.1.1",
            "1.1.1 ",
            "1..1",
            ".1.1",
            "1.1.",
            "a.1.1",
            "1.1.١",
        ] {
            assert!(TokenId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
