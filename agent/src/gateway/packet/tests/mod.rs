#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

mod codec_of_rumqttc;
mod damage;
mod framing;
mod generate;
mod round_trip;
mod statements_311;
mod statements_5;

use super::{
    ConnectRefused, Frame, Framed, Framer, LONGEST_PACKET_OCTETS, Malformed, Packet, PacketType,
    Version, read, read_connect,
};
use bytes::BytesMut;

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// One packet that breaks a statement: first octet, body, statement, reason code.
type Row = (u8, &'static [u8], &'static str, u8);

/// What the framer or the reader says against these octets.
fn refusal(version: Version, octets: &[u8]) -> Option<Malformed> {
    let mut framer = Framer::new(LONGEST_PACKET_OCTETS);
    framer.set_version(version);
    let frame = match framer.next(&mut BytesMut::from(octets)) {
        Ok(Some(Framed::Packet(frame))) => frame,
        Ok(other) => panic!("{octets:02x?}: {other:?}"),
        Err(malformed) => return Some(malformed),
    };
    if frame.packet_type() != PacketType::Connect {
        return read(&frame, version).err();
    }
    match read_connect(&frame) {
        Err(ConnectRefused::Malformed(malformed)) => Some(malformed),
        Err(other) => panic!("{octets:02x?}: {other:?}"),
        Ok(_) => None,
    }
}

/// A packet of any octets, its remaining length in the shortest form.
fn framed(first_octet: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = vec![first_octet];
    octets.extend(super::varint::octets(u32::try_from(body.len()).unwrap()));
    octets.extend(body);
    octets
}

fn frame(octets: &[u8]) -> Frame {
    Frame::from_octets(octets).unwrap_or_else(|| panic!("{octets:02x?}"))
}

fn written(packet: &Packet<'_>, version: Version) -> BytesMut {
    let mut out = BytesMut::new();
    packet.write(version, &mut out).unwrap();
    out
}

/// Each row is refused, and by the statement that it names.
fn expect_refusals(version: Version, rows: &[Row]) {
    for (first_octet, body, statement, reason) in rows {
        let octets = framed(*first_octet, body);
        let Some(refusal) = refusal(version, &octets) else {
            panic!("{statement}: {octets:02x?} is taken");
        };
        assert_eq!(refusal.statement, *statement, "{octets:02x?}: {refusal}");
        assert_eq!(refusal.reason, *reason, "{octets:02x?}: {refusal}");
        assert!(!refusal.what.is_empty());
    }
}
