//! Cuts a stream of octets into packets.

use super::Version;
use super::cursor::{PACKET_ID_ZERO, TRUNCATED};
use super::frame::{FixedHeader, Frame, PacketIdPlace, PacketType, place_of_packet_id};
use super::malformed::Malformed;
use bytes::{Buf, BytesMut};

/// Cuts a stream of octets into packets of limited size.
///
/// Between two calls `input` holds less than one packet within the limit: nothing else is buffered. A packet above
/// the limit is thrown away as it streams through. After a refusal the stream has no more boundaries: close it.
#[derive(Debug)]
pub struct Framer {
    max_octets: u32,
    version: Version,
    discard: Option<Discard>,
}

/// What a [`Framer`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Framed {
    /// A whole packet within the limit.
    Packet(Frame),
    /// A packet above the limit, reported once it has been thrown away whole.
    Oversized(Oversized),
}

/// What is known of a packet that was thrown away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Oversized {
    /// The type.
    pub packet_type: PacketType,
    /// The lower four bits of the first octet, as [`Frame::flags`].
    pub flags: u8,
    /// The size of the packet with its fixed header.
    pub octets: u32,
    /// The packet identifier, always there where packets of this type have one (PUBLISH with QoS 1 and 2).
    pub packet_id: Option<u16>,
}

impl Framer {
    /// A framer of packets of at most `max_octets` octets, the fixed header included (as Maximum Packet Size counts,
    /// 5.0 section 3.1.2.11.4). Until [`Framer::set_version`] refusals name statements of MQTT 5.
    #[must_use]
    pub const fn new(max_octets: u32) -> Self {
        Self {
            max_octets,
            version: Version::V5,
            discard: None,
        }
    }

    /// The version of the connection, once it is known: 3.1.1 has no AUTH, and numbers its statements differently.
    pub const fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// Takes the next packet from the front of `input`; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`Malformed`] as soon as the octets that are there are enough to say so: for reserved types and flags the
    /// first octet is.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Framed>, Malformed> {
        if let Some(discard) = &mut self.discard {
            let ended = discard.advance(input, self.version)?;
            return Ok(self.ended(ended));
        }
        let Some(header) = FixedHeader::read(input, self.version)? else {
            return Ok(None);
        };
        let header_octets = u32::try_from(header.octets).unwrap_or(u32::MAX);
        let octets = header_octets.saturating_add(header.remaining);
        if octets > self.max_octets {
            input.advance(header.octets);
            let mut discard = Discard::new(header, octets);
            let ended = discard.advance(input, self.version)?;
            self.discard = Some(discard);
            return Ok(self.ended(ended));
        }
        match usize::try_from(octets) {
            Ok(octets) if octets <= input.len() => {
                let octets = input.split_to(octets).freeze();
                Ok(Some(Framed::Packet(Frame::new(header, octets))))
            }
            _ => Ok(None),
        }
    }

    fn ended(&mut self, oversized: Option<Oversized>) -> Option<Framed> {
        let oversized = oversized?;
        self.discard = None;
        Some(Framed::Oversized(oversized))
    }
}

/// A packet that is being thrown away; of what went by only its identifier is kept.
#[derive(Debug)]
struct Discard {
    header: FixedHeader,
    octets: u32,
    remaining: u32,
    seek: Seek,
}

impl Discard {
    const fn new(header: FixedHeader, octets: u32) -> Self {
        Self {
            header,
            octets,
            remaining: header.remaining,
            seek: match place_of_packet_id(header.packet_type, header.flags) {
                PacketIdPlace::BehindTopic => Seek::TopicLength,
                PacketIdPlace::First => Seek::PacketId,
                PacketIdPlace::Nowhere => Seek::Done(None),
            },
        }
    }

    /// Throws away what has come of the packet; says what it was once all of it has.
    fn advance(
        &mut self,
        input: &mut BytesMut,
        version: Version,
    ) -> Result<Option<Oversized>, Malformed> {
        while self.remaining > 0
            && !matches!(self.seek, Seek::Done(_))
            && let Ok(octet) = input.try_get_u8()
        {
            self.remaining = self.remaining.saturating_sub(1);
            self.seek = self.seek.after(octet);
            if let Seek::Done(Some(0)) = self.seek {
                return Err(PACKET_ID_ZERO.broken(version));
            }
        }
        let available = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let thrown = self.remaining.min(available);
        input.advance(usize::try_from(thrown).unwrap_or(input.len()));
        self.remaining = self.remaining.saturating_sub(thrown);
        if self.remaining > 0 {
            return Ok(None);
        }
        let Seek::Done(packet_id) = self.seek else {
            return Err(TRUNCATED.broken(version));
        };
        Ok(Some(Oversized {
            packet_type: self.header.packet_type,
            flags: self.header.flags,
            octets: self.octets,
            packet_id,
        }))
    }
}

/// What the next octet is, on the way to the packet identifier.
#[derive(Clone, Copy, Debug)]
enum Seek {
    Done(Option<u16>),
    PacketId,
    PacketIdLow { high: u8 },
    Topic { left: u16 },
    TopicLength,
    TopicLengthLow { high: u8 },
}

impl Seek {
    const fn after(self, octet: u8) -> Self {
        match self {
            Self::Done(id) => Self::Done(id),
            Self::PacketId => Self::PacketIdLow { high: octet },
            Self::PacketIdLow { high } => Self::Done(Some(u16::from_be_bytes([high, octet]))),
            Self::Topic { left: 0 | 1 } => Self::PacketId,
            Self::Topic { left } => Self::Topic {
                left: left.saturating_sub(1),
            },
            Self::TopicLength => Self::TopicLengthLow { high: octet },
            Self::TopicLengthLow { high } => match u16::from_be_bytes([high, octet]) {
                0 => Self::PacketId,
                left => Self::Topic { left },
            },
        }
    }
}
