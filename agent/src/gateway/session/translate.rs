//! What a program of MQTT 3.1.1 is told where upstream speaks MQTT 5, and what neither side
//! says in our name.

use crate::gateway::message;
use crate::gateway::packet::{Ack, Packet, PacketType, Properties, PropertiesBuf, Property};

/// The CONNACK return code (3.1.1, 3.2.2.3) for a reason code (5, 3.2.2.2). Never 1: programs that
/// are told of a wrong version fall back to MQTT 3.1.
pub(super) const fn connack_code(reason: u8) -> u8 {
    match reason {
        0x00 => 0,
        0x85 => 2,               // Client Identifier not valid
        0x86 => 4,               // Bad User Name or Password
        0x87 | 0x8A | 0x8C => 5, // Not authorized, Banned, Bad authentication method
        _ => 3,                  // Server unavailable
    }
}

/// The reason code (5, 3.2.2.2) for a CONNACK return code of an upstream that speaks 3.1.1.
pub(super) const fn connack_reason(code: u8) -> u8 {
    match code {
        0 => 0x00,
        1 => 0x84,
        2 => 0x85,
        4 => 0x86,
        5 => 0x87,
        _ => 0x88,
    }
}

/// The SUBACK return code (3.1.1, 3.9.3) for a reason code (5, 3.9.3).
pub(super) const fn suback_code(reason: u8) -> u8 {
    if reason < 0x80 { reason } else { 0x80 }
}

/// A redirect is not for programs: they would go round the gateway (5, 4.13).
pub(super) const fn without_redirect(reason: u8, instead: u8) -> u8 {
    match reason {
        0x9C | 0x9D => instead,
        other => other,
    }
}

/// Whether anything in it is ours to say.
pub(super) fn has_ours(properties: &Properties<'_>) -> bool {
    properties.user().any(|(name, _)| message::is_ours(name))
}

/// The same without what is ours to say.
pub(super) fn without_ours(properties: &Properties<'_>) -> PropertiesBuf {
    let mut kept = PropertiesBuf::new();
    let theirs = properties.iter().filter(
        |property| !matches!(property, Property::UserProperty(name, _) if message::is_ours(name)),
    );
    kept.extend(theirs).ok(); // no longer than it was
    kept
}

/// The acknowledgement as the packet that it is.
pub(super) const fn ack_packet<'a>(packet_type: PacketType, ack: &Ack<'a>) -> Packet<'a> {
    match packet_type {
        PacketType::PubAck => Packet::PubAck(*ack),
        PacketType::PubRec => Packet::PubRec(*ack),
        PacketType::PubRel => Packet::PubRel(*ack),
        _ => Packet::PubComp(*ack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table() {
        let connack = [
            (0x00, 0),
            (0x80, 3),
            (0x81, 3),
            (0x82, 3),
            (0x83, 3),
            (0x84, 3),
            (0x85, 2),
            (0x86, 4),
            (0x87, 5),
            (0x88, 3),
            (0x89, 3),
            (0x8A, 5),
            (0x8C, 5),
            (0x90, 3),
            (0x95, 3),
            (0x97, 3),
            (0x99, 3),
            (0x9A, 3),
            (0x9B, 3),
            (0x9C, 3),
            (0x9D, 3),
            (0x9F, 3),
        ];
        for (reason, code) in connack {
            assert_eq!(connack_code(reason), code, "{reason:#x}");
        }
        for reason in 1..=u8::MAX {
            assert!(![0, 1].contains(&connack_code(reason)), "{reason:#x}");
        }
        for (code, reason) in [
            (0, 0),
            (1, 0x84),
            (2, 0x85),
            (3, 0x88),
            (4, 0x86),
            (5, 0x87),
            (6, 0x88),
        ] {
            assert_eq!(connack_reason(code), reason);
        }
        for (reason, code) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (0x80, 0x80),
            (0x87, 0x80),
            (0xA2, 0x80),
        ] {
            assert_eq!(suback_code(reason), code);
        }
        assert_eq!(without_redirect(0x9C, 0x88), 0x88);
        assert_eq!(without_redirect(0x9D, 0x89), 0x89);
        assert_eq!(without_redirect(0x87, 0x88), 0x87);
    }
}
