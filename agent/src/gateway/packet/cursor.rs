//! Reads the data types of MQTT (3.1.1 section 1.5, 5.0 section 1.5) from borrowed octets.

use super::Version;
use super::malformed::{Clause, Malformed};
use super::varint::{self, Varint};
use std::num::NonZeroU16;

/// What is left of a packet's body, and the version whose statements refusals name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    octets: &'a [u8],
    version: Version,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(octets: &'a [u8], version: Version) -> Self {
        Self { octets, version }
    }

    pub(super) const fn version(&self) -> Version {
        self.version
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Everything that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.octets
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(TRAILING.broken(self.version))
        }
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let [octet] = self.chunk()?;
        Ok(octet)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        self.chunk().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        self.chunk().map(u32::from_be_bytes)
    }

    /// A Variable Byte Integer in its shortest form.
    pub(super) fn varint(&mut self) -> Result<u32, Malformed> {
        match varint::parse(self.octets) {
            Varint::Incomplete => Err(TRUNCATED.broken(self.version)),
            Varint::TooLong => Err(VARINT_TOO_LONG.broken(self.version)),
            Varint::Whole { value, octets } if octets == varint::length(value) => {
                self.take(octets)?;
                Ok(value)
            }
            Varint::Whole { .. } => Err(VARINT_NOT_MINIMAL.broken(self.version)),
        }
    }

    /// The identifier of a property: a Variable Byte Integer of which one octet is used.
    pub(super) fn property_id(&mut self) -> Result<u8, Malformed> {
        Ok(u8::try_from(self.varint()?).unwrap_or(u8::MAX)) // 0xFF is no property either
    }

    /// A UTF-8 Encoded String. U+FEFF is left where it stands, as 1.5.3-3 and 1.5.4-3 want.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let octets = self.binary()?;
        let text = std::str::from_utf8(octets).map_err(|_| ILL_FORMED.broken(self.version))?;
        if octets.contains(&0) {
            return Err(NULL.broken(self.version));
        }
        Ok(text)
    }

    /// Binary Data: two octets of length, then as many.
    pub(super) fn binary(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    pub(super) fn packet_id(&mut self) -> Result<u16, Malformed> {
        let id = NonZeroU16::new(self.u16()?);
        id.map(NonZeroU16::get)
            .ok_or_else(|| PACKET_ID_ZERO.broken(self.version))
    }

    pub(super) fn take(&mut self, octets: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .octets
            .split_at_checked(octets)
            .ok_or_else(|| TRUNCATED.broken(self.version))?;
        self.octets = rest;
        Ok(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (chunk, rest) = self
            .octets
            .split_first_chunk()
            .ok_or_else(|| TRUNCATED.broken(self.version))?;
        self.octets = rest;
        Ok(*chunk)
    }
}

pub(super) const PACKET_ID_ZERO: Clause =
    Clause::protocol_error("MQTT-2.3.1-1", "MQTT-2.2.1-3", "the packet identifier is 0");

pub(super) const TRUNCATED: Clause = Clause::malformed(
    "MQTT-4.8.0-1",
    "MQTT-4.13.1-1",
    "the packet ends before its last field",
);

const TRAILING: Clause = Clause::malformed(
    "MQTT-4.8.0-1",
    "MQTT-4.13.1-1",
    "octets follow the last field of the packet",
);

const ILL_FORMED: Clause =
    Clause::malformed("MQTT-1.5.3-1", "MQTT-1.5.4-1", "a string is not UTF-8");

const NULL: Clause = Clause::malformed("MQTT-1.5.3-2", "MQTT-1.5.4-2", "a string contains U+0000");

pub(super) const VARINT_TOO_LONG: Clause = Clause::malformed(
    "section 2.2.3",
    "section 1.5.5",
    "a variable length of more than 4 octets",
);

pub(super) const VARINT_NOT_MINIMAL: Clause = Clause::malformed(
    "section 2.2.3",
    "MQTT-1.5.5-1",
    "a variable length in more octets than it needs",
);
