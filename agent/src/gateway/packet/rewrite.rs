//! A PUBLISH with other parts than it came with, written without putting it together first.

use super::property::Property;
use super::publish::Publish;
use super::writer::{self, TooLarge, Writer};
use super::{Version, varint};
use crate::wire::Qos;
use bytes::BytesMut;

/// A PUBLISH that is changed while it is written: nothing of it is copied but into the output.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'a> {
    /// The message. Its flags and its packet identifier are written.
    pub publish: &'a Publish<'a>,
    /// What comes before its topic name.
    pub topic_head: &'a [&'a str],
    /// Which of its properties are written.
    pub keep: fn(&Property<'_>) -> bool,
    /// Properties behind these.
    pub added: &'a [Property<'a>],
    /// What comes before its payload.
    pub payload_head: &'a [&'a [u8]],
}

impl<'a> Rewrite<'a> {
    /// The message with those of its properties that are to be kept.
    #[must_use]
    pub const fn of(publish: &'a Publish<'a>, keep: fn(&Property<'_>) -> bool) -> Self {
        Self {
            publish,
            topic_head: &[],
            keep,
            added: &[],
            payload_head: &[],
        }
    }

    /// Appends the packet to `out`, in 3.1.1 without properties.
    ///
    /// # Errors
    /// [`TooLarge`] for what cannot be said in MQTT and for a packet of more than `longest` octets, and then nothing
    /// has been appended.
    pub fn write(
        &self,
        version: Version,
        longest: u32,
        out: &mut BytesMut,
    ) -> Result<(), TooLarge> {
        let properties = match version {
            Version::V311 => None,
            Version::V5 => Some(writer::count(|out| self.properties(out))?),
        };
        let body = |out: &mut Writer<'_>| self.body(properties, out);
        let remaining = writer::count(body)?;
        let head = varint::octets(remaining).count().saturating_add(1);
        let octets = u32::try_from(head)
            .map_err(|_| TooLarge)?
            .saturating_add(remaining);
        if octets > longest {
            return Err(TooLarge);
        }
        writer::packet(self.publish.first_octet(), out, body)
    }

    fn body(&self, properties: Option<u32>, out: &mut Writer<'_>) -> Result<(), TooLarge> {
        let topic = self.topic_head.iter().chain([&self.publish.topic]);
        let length = topic
            .clone()
            .fold(0, |length: usize, part| length.saturating_add(part.len()));
        out.u16(u16::try_from(length).map_err(|_| TooLarge)?);
        topic.for_each(|part| out.raw(part.as_bytes()));
        if self.publish.qos != Qos::AtMostOnce {
            out.u16(self.publish.packet_id.unwrap_or_default());
        }
        if let Some(octets) = properties {
            out.checked_varint(octets)?;
            self.properties(out)?;
        }
        for part in self.payload_head {
            out.raw(part);
        }
        out.raw(self.publish.payload);
        Ok(())
    }

    fn properties(&self, out: &mut Writer<'_>) -> Result<(), TooLarge> {
        let kept = self.publish.properties.iter();
        kept.filter(self.keep)
            .chain(self.added.iter().copied())
            .try_for_each(|property| property.write(out))
    }
}
