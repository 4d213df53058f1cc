//! Writes the data types of MQTT, each in its shortest form.

use super::properties::Properties;
use super::{Version, varint};
use bytes::{BufMut, BytesMut};

/// What was to be written cannot be said in MQTT: a field of more than 65,535 octets, or a packet whose
/// remaining length is more than 268,435,455.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more octets than MQTT can frame: a field holds at most 65,535, a packet 268,435,455")]
pub struct TooLarge;

/// Appends one packet. `body` runs twice, first to count, so `out` is left alone when it fails.
pub(super) fn packet(
    first_octet: u8,
    out: &mut BytesMut,
    body: impl Fn(&mut Writer<'_>) -> Result<(), TooLarge>,
) -> Result<(), TooLarge> {
    let remaining = count(&body)?;
    let mut writer = Writer {
        out: Some(out),
        octets: 0,
    };
    writer.u8(first_octet);
    writer.varint(remaining);
    body(&mut writer)
}

/// How many octets a part of a packet has.
pub(super) fn count(
    part: impl Fn(&mut Writer<'_>) -> Result<(), TooLarge>,
) -> Result<u32, TooLarge> {
    let mut counter = Writer {
        out: None,
        octets: 0,
    };
    part(&mut counter)?;
    remaining_length(counter.octets)
}

/// Appends what is no packet; `out` is left alone when it fails.
pub(super) fn append(
    out: &mut BytesMut,
    part: impl Fn(&mut Writer<'_>) -> Result<(), TooLarge>,
) -> Result<(), TooLarge> {
    part(&mut Writer {
        out: None,
        octets: 0,
    })?;
    part(&mut Writer {
        out: Some(out),
        octets: 0,
    })
}

/// Counts octets, and keeps them where there is an `out`.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: Option<&'a mut BytesMut>,
    octets: usize,
}

impl Writer<'_> {
    pub(super) fn u8(&mut self, octet: u8) {
        self.raw(&[octet]);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// `value` is at most [`varint::MAXIMUM`].
    pub(super) fn varint(&mut self, value: u32) {
        for octet in varint::octets(value) {
            self.u8(octet);
        }
    }

    /// Refuses a value above [`varint::MAXIMUM`].
    pub(super) fn checked_varint(&mut self, value: u32) -> Result<(), TooLarge> {
        if value > varint::MAXIMUM {
            return Err(TooLarge);
        }
        self.varint(value);
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), TooLarge> {
        self.binary(text.as_bytes())
    }

    pub(super) fn binary(&mut self, octets: &[u8]) -> Result<(), TooLarge> {
        self.u16(u16::try_from(octets.len()).map_err(|_| TooLarge)?);
        self.raw(octets);
        Ok(())
    }

    /// The length of the properties and themselves in MQTT 5, nothing in 3.1.1.
    pub(super) fn properties(
        &mut self,
        properties: Properties<'_>,
        version: Version,
    ) -> Result<(), TooLarge> {
        if version == Version::V5 {
            self.varint(remaining_length(properties.octets().len())?);
            self.raw(properties.octets());
        }
        Ok(())
    }

    pub(super) fn raw(&mut self, octets: &[u8]) {
        self.octets = self.octets.saturating_add(octets.len());
        if let Some(out) = &mut self.out {
            out.put_slice(octets);
        }
    }
}

fn remaining_length(octets: usize) -> Result<u32, TooLarge> {
    match u32::try_from(octets) {
        Ok(octets) if octets <= varint::MAXIMUM => Ok(octets),
        _ => Err(TooLarge),
    }
}
