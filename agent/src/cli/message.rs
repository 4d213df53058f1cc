//! The message that a verb is about: topic, payload, properties.

use super::input;
use super::output::Complaint;
use crate::exit::Exit;
use crate::wire::{Octets, PropertiesBody};
use clap::Args;
use data_encoding::BASE64;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct PayloadArgs {
    /// The payload as text
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    payload: Option<String>,
    /// File with the payload; - for standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// MQTT 5 properties of the message.
#[derive(Args, Debug)]
pub(super) struct PropertyArgs {
    /// Response topic of the message
    #[arg(long, value_name = "TOPIC", help_heading = "MQTT 5 properties")]
    response_topic: Option<String>,
    /// Correlation data of the message, in base64
    #[arg(long, value_name = "BASE64", help_heading = "MQTT 5 properties")]
    correlation_data: Option<String>,
    /// Content type of the message
    #[arg(long, value_name = "TYPE", help_heading = "MQTT 5 properties")]
    content_type: Option<String>,
    /// User property of the message; may be given more than once, in order
    #[arg(long, value_name = "NAME=VALUE", help_heading = "MQTT 5 properties")]
    user: Vec<String>,
}

impl PayloadArgs {
    /// Whether the payload, or where it is, is stated.
    pub(super) fn is_stated(&self) -> bool {
        self.payload.is_some() || self.file.is_some()
    }

    /// The payload, from standard input unless said otherwise.
    pub(super) fn read(&self) -> Result<Vec<u8>, Complaint> {
        match (&self.payload, &self.file) {
            (Some(text), _) => Ok(text.clone().into_bytes()),
            (None, Some(path)) => input::read(path, PAYLOAD_OCTETS),
            (None, None) => input::read(Path::new("-"), PAYLOAD_OCTETS),
        }
    }
}

impl PropertyArgs {
    /// The properties; nothing where none is stated.
    pub(super) fn read(&self) -> Result<Option<PropertiesBody>, Complaint> {
        let correlation_data = self.correlation_data.as_deref().map(octets).transpose()?;
        let user = self.user.iter().map(|text| pair(text));
        let properties = PropertiesBody {
            response_topic: self.response_topic.clone(),
            correlation_data_b64: correlation_data,
            content_type: self.content_type.clone(),
            user: user.collect::<Result<_, _>>()?,
        };
        Ok((properties != PropertiesBody::default()).then_some(properties))
    }
}

/// Takes an envelope apart: `ES1 `, the token, a line feed, the payload.
pub(super) fn open_envelope(octets: &[u8]) -> Result<(String, Vec<u8>), Complaint> {
    let inner = octets.strip_prefix(ENVELOPE);
    let parts = inner.and_then(|inner| {
        let end = inner.iter().position(|octet| *octet == b'\n')?;
        let (token, rest) = inner.split_at_checked(end)?;
        let token = String::from_utf8(token.to_vec()).ok()?;
        Some((token, rest.get(1..)?.to_vec()))
    });
    parts.ok_or_else(|| {
        Complaint::new(
            Exit::No,
            "envelope",
            "the input is no envelope: it must begin with \"ES1 \", a token and a line feed",
            "give the token by --token, and leave out --envelope",
        )
    })
}

/// Puts token and payload into an envelope.
pub(super) fn envelope(token: &str, payload: &[u8]) -> Vec<u8> {
    [ENVELOPE, token.as_bytes(), b"\n", payload].concat()
}

fn octets(text: &str) -> Result<Octets, Complaint> {
    let octets = BASE64.decode(text.as_bytes());
    octets.map(Octets).map_err(|_| {
        Complaint::new(
            Exit::Usage,
            "base64",
            "--correlation-data is not standard base64 with padding",
            "for example: --correlation-data \"$(printf 42 | base64)\"",
        )
    })
}

fn pair(text: &str) -> Result<(String, String), Complaint> {
    let pair = text.split_once('=');
    let (name, value) = pair.ok_or_else(|| {
        Complaint::new(
            Exit::Usage,
            "user-property",
            format!("--user {text:?} has no ="),
            "for example: --user unit=celsius",
        )
    })?;
    Ok((name.to_owned(), value.to_owned()))
}

const ENVELOPE: &[u8] = b"ES1 ";
/// Most that MQTT carries in one packet (MQTT 5.0 section 2.1.4).
const PAYLOAD_OCTETS: u64 = 268_435_455;

#[cfg(test)]
mod tests {
    use super::{envelope, open_envelope};

    #[test]
    fn exactly_one_outer_envelope_is_read() {
        for payload in [&b""[..], b"21.5", b"ES1 x\ny", b"\n\n\0\xff"] {
            let (token, inner) = open_envelope(&envelope("a.b.c", payload)).unwrap();
            assert_eq!((token.as_str(), &*inner), ("a.b.c", payload));
        }
        for bad in [&b""[..], b"ES1 ", b"ES1 a.b.c", b"ES2 a\nb", b"ES1 \xff\nb"] {
            assert!(open_envelope(bad).is_err(), "{bad:?}");
        }
    }
}
