//! Packets: framing, and one form for both protocol levels over rumqttc's codecs.
//!
//! Framing is our own, so that a packet is refused by its first octets, before it is received; the codecs only ever see
//! one complete packet. Everything that they cannot read closes the connection.

mod v4;
mod v5;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{DisconnectReasonCode, RetainForwardRule};

use super::message::{Message, Stored};

/// The protocol level of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// MQTT 3.1.1
    V4,
    /// MQTT 5
    V5,
}

impl Level {
    /// The protocol level that a CONNECT asks for.
    pub(super) fn of_connect(frame: &Frame) -> Result<Self, ConnectRefusal> {
        match frame.body() {
            // MQTT 5, 3.1.2.3: the reserved flag must be 0; the codec does not look.
            [0, 4, b'M', b'Q', b'T', b'T', 4 | 5, flags, ..] if flags & 1 == 1 => {
                Err(ConnectRefusal::Malformed)
            }
            [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => Ok(Self::V4),
            [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => Ok(Self::V5),
            [0, 4, b'M', b'Q', b'T', b'T', ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => {
                Err(ConnectRefusal::Level)
            }
            _ => Err(ConnectRefusal::Malformed),
        }
    }

    pub(super) fn decode(self, frame: Frame) -> Result<Incoming, DisconnectReasonCode> {
        match self {
            Self::V4 => v4::decode(frame),
            Self::V5 => v5::decode(frame),
        }
    }

    pub(super) fn encode(self, packet: &Outgoing, output: &mut BytesMut) {
        // The codecs fail on a missing packet identifier and on a size that cannot occur here; both would be a bug,
        // and then a packet less is better than half a packet.
        let before = output.len();
        let written = match self {
            Self::V4 => v4::encode(packet, output),
            Self::V5 => v5::encode(packet, output),
        };
        if !written {
            output.truncate(before);
        }
    }

    /// The octets that `publication` takes on the wire, for the client's maximum packet size.
    pub(super) fn publication_bytes(self, publication: &Publication) -> usize {
        match self {
            Self::V4 => v4::publish(publication).size(),
            Self::V5 => v5::publish(publication).size(),
        }
    }
}

/// One complete packet as received.
#[derive(Debug)]
pub(super) struct Frame {
    header_bytes: usize,
    bytes: BytesMut,
}

impl Frame {
    fn body(&self) -> &[u8] {
        self.bytes.get(self.header_bytes..).unwrap_or_default()
    }

    fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }
}

/// Takes the first packet off `input`, if it is complete. Leaves `input` as it is otherwise.
pub(super) fn take_frame(input: &mut BytesMut) -> Result<Option<Frame>, DisconnectReasonCode> {
    let Some(&first) = input.first() else {
        return Ok(None);
    };
    check_first(first)?;
    let mut remaining = 0_usize;
    let mut weight = 1_usize;
    for (header_bytes, &byte) in (2..).zip(input.iter().skip(1).take(4)) {
        let digit = usize::from(byte & 0x7f).saturating_mul(weight);
        remaining = remaining.saturating_add(digit);
        weight = weight.saturating_mul(128);
        if byte & 0x80 != 0 {
            continue;
        }
        let packet_bytes = remaining.saturating_add(header_bytes);
        if packet_bytes > MAX_PACKET_BYTES {
            return Err(DisconnectReasonCode::PacketTooLarge);
        }
        return Ok((input.len() >= packet_bytes).then(|| Frame {
            header_bytes,
            bytes: input.split_to(packet_bytes),
        }));
    }
    if input.len() > 4 {
        return Err(DisconnectReasonCode::MalformedPacket);
    }
    Ok(None)
}

/// Packet type and flags: MQTT 5, 2.1.2 and 2.1.3. AUTH (15) is refused: no client here has asked for it.
fn check_first(first: u8) -> Result<(), DisconnectReasonCode> {
    match (first >> 4, first & 0x0f) {
        (3, flags) if flags & 0b0110 == 0b0110 => Err(DisconnectReasonCode::MalformedPacket),
        (3, flags) if flags & 0b1110 == 0b1000 => Err(DisconnectReasonCode::MalformedPacket),
        (3, _) | (1 | 4 | 5 | 7 | 12 | 14, 0) | (6 | 8 | 10, 2) => Ok(()),
        (15, _) => Err(DisconnectReasonCode::ProtocolError),
        // The rest is sent by servers only, or has the wrong flags.
        _ => Err(DisconnectReasonCode::MalformedPacket),
    }
}

/// A packet from a client.
#[derive(Debug)]
pub(super) enum Incoming {
    Connect(Box<Connect>),
    Disconnect {
        /// The will is to be published all the same (reason 0x04).
        with_will: bool,
        session_expiry: Option<u32>,
    },
    PingReq,
    PubAck(u16),
    PubComp(u16),
    PubRec {
        packet_id: u16,
        accepted: bool,
    },
    PubRel(u16),
    Publish {
        message: Message,
        packet_id: u16,
    },
    Subscribe {
        packet_id: u16,
        requests: Vec<SubscribeRequest>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
}

/// What a CONNECT asks for.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) level: Level,
    pub(super) client_id: String,
    pub(super) clean_start: bool,
    /// Seconds; 0 is none.
    pub(super) keep_alive: u16,
    /// Seconds that the session outlives the connection; `u32::MAX` is for ever.
    pub(super) session_expiry: u32,
    /// Publications at QoS 1 and 2 that the client takes unacknowledged.
    pub(super) receive_maximum: u16,
    /// Octets.
    pub(super) max_packet_bytes: usize,
    pub(super) will: Option<WillRequest>,
    /// The client wants extended authentication (MQTT 5, 4.12), which is not offered.
    pub(super) wants_auth: bool,
}

#[derive(Debug)]
pub(super) struct WillRequest {
    pub(super) message: Message,
    /// Seconds between the loss of the connection and the publication.
    pub(super) delay: u32,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug)]
pub(super) struct SubscribeRequest {
    pub(super) filter: String,
    pub(super) qos: QoS,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) retain_handling: RetainForwardRule,
    pub(super) identifier: Option<usize>,
}

/// A packet to a client.
#[derive(Debug)]
pub(super) enum Outgoing {
    ConnAck(Result<Accepted, ConnectRefusal>),
    /// Written to MQTT 5 clients alone.
    Disconnect(DisconnectReasonCode),
    PingResp,
    PubAck(u16, Receipt),
    PubComp {
        packet_id: u16,
        found: bool,
    },
    PubRec(u16, Receipt),
    PubRel {
        packet_id: u16,
        found: bool,
    },
    Publish(Publication),
    SubAck {
        packet_id: u16,
        results: Vec<Result<QoS, SubscribeRefusal>>,
    },
    UnsubAck {
        packet_id: u16,
        /// For each filter whether there was such a subscription.
        existed: Vec<bool>,
    },
}

/// The good CONNACK.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) session_present: bool,
    /// The client identifier, where the broker chose it.
    pub(super) assigned: Option<String>,
}

/// Why a CONNECT is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectRefusal {
    Auth,
    ClientIdentifier,
    Level,
    Malformed,
    NoRoom,
}

/// What became of a publication at QoS 1 or 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receipt {
    NoRoom,
    Taken,
}

/// Why a filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SubscribeRefusal {
    Filter,
    NoRoom,
    Shared,
}

/// A message on its way to one subscriber.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) stored: Arc<Stored>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) subscription_identifiers: Vec<usize>,
    /// 0 at QoS 0.
    pub(super) packet_id: u16,
    pub(super) dup: bool,
    /// When it is sent: what is left of the message expiry interval depends on it.
    pub(super) now: Instant,
}

/// The largest packet that is taken, octets with its header. Announced to MQTT 5 clients.
pub(super) const MAX_PACKET_BYTES: usize = 1024 * 1024;
/// Publications at QoS 2 that a client may leave unreleased. Announced to MQTT 5 clients.
pub(super) const RECEIVE_MAXIMUM: u16 = 1024;
