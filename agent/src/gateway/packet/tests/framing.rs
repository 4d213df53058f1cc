use super::super::{Framed, Framer, Oversized, PacketType, Version};
use super::generate::{self, Random};
use super::{VERSIONS, framed, written};
use bytes::{BufMut, BytesMut};

#[test]
fn octet_by_octet_is_the_same_as_at_once() {
    for version in VERSIONS {
        for max_octets in [0, 1, 2, 20, 100, 1_000_000] {
            let mut random = Random(9);
            let mut stream = BytesMut::new();
            for _ in 0..200 {
                stream.put(written(&generate::packet(&mut random, version), version));
            }
            let at_once = frames(max_octets, [&stream[..]]);
            assert_eq!(at_once.len(), 200);
            assert_eq!(frames(max_octets, stream.chunks(1)), at_once);
            assert_eq!(frames(max_octets, stream.chunks(7)), at_once);
            for found in &at_once {
                match found {
                    Framed::Packet(frame) => assert!(frame.octets().len() <= max_octets as usize),
                    Framed::Oversized(oversized) => assert!(oversized.octets > max_octets),
                }
            }
        }
    }
}

#[test]
fn an_oversized_packet_keeps_what_names_it_and_nothing_is_buffered() {
    let mut random = Random(10);
    for _ in 0..1_000 {
        let packet = generate::packet(&mut random, Version::V5);
        let octets = written(&packet, Version::V5);
        let frame = super::frame(&octets);
        let expected = Oversized {
            packet_type: frame.packet_type(),
            flags: frame.flags(),
            octets: u32::try_from(octets.len()).unwrap(),
            packet_id: frame.packet_id(),
        };
        let mut framer = Framer::new(1);
        let mut input = BytesMut::new();
        let mut found = Vec::new();
        for octet in &octets {
            input.put_u8(*octet);
            found.extend(framer.next(&mut input).unwrap());
            assert!(input.len() < 5, "only a fixed header is waited for");
        }
        assert_eq!(found, [Framed::Oversized(expected)]);
    }
}

#[test]
fn the_limit_counts_the_whole_packet() {
    let packet = framed(0x30, b"\0\x01ax");
    assert_eq!(packet.len(), 6);
    let found = frames(6, [&packet[..]]);
    assert!(matches!(&found[..], [Framed::Packet(_)]));
    let found = frames(5, [&packet[..]]);
    assert!(matches!(&found[..], [Framed::Oversized(_)]));
}

#[test]
fn the_first_octet_alone_is_enough_to_refuse() {
    for version in VERSIONS {
        for first in 0..=u8::MAX {
            let flags_of = |packet_type: u8| match packet_type {
                6 | 8 | 10 => 0b0010,
                _ => 0,
            };
            let right = match first >> 4 {
                0 => false,
                3 => first & 0b0110 != 0b0110 && first & 0b1110 != 0b1000,
                15 if version == Version::V311 => false,
                packet_type => first & 0x0F == flags_of(packet_type),
            };
            let mut framer = Framer::new(100);
            framer.set_version(version);
            let found = framer.next(&mut BytesMut::from(&[first][..]));
            assert_eq!(found.is_ok(), right, "{first:#04x}: {found:?}");
        }
    }
}

#[test]
fn a_length_of_five_octets_is_refused_before_the_fifth() {
    let mut input = BytesMut::from(&b"\x30\x80\x80\x80"[..]);
    assert_eq!(Framer::new(100).next(&mut input), Ok(None));
    input.put_u8(0x80);
    for (version, statement) in [
        (Version::V311, "section 2.2.3"),
        (Version::V5, "section 1.5.5"),
    ] {
        let mut framer = Framer::new(100);
        framer.set_version(version);
        let refusal = framer.next(&mut input.clone()).unwrap_err();
        assert_eq!(refusal.statement, statement);
    }
}

#[test]
fn a_ping_with_a_body_is_refused_before_the_body() {
    for first in [0xC0, 0xD0] {
        let refusal = Framer::new(100).next(&mut BytesMut::from(&[first, 1][..]));
        assert_eq!(refusal.unwrap_err().statement, "MQTT-4.13.1-1");
    }
}

#[test]
fn an_oversized_packet_that_lacks_its_identifier_is_refused() {
    for (octets, statement) in [
        (framed(0x32, b"\0\x02ab\0"), "MQTT-4.13.1-1"),
        (framed(0x32, b"\0\x05ab"), "MQTT-4.13.1-1"),
        (framed(0x32, b"\0\x02ab\0\0x"), "MQTT-2.2.1-3"),
        (framed(0x82, b"\0\0\0\0\x01a\0"), "MQTT-2.2.1-3"),
        (framed(0x40, b""), "MQTT-4.13.1-1"),
    ] {
        let refusal = Framer::new(1).next(&mut BytesMut::from(&octets[..]));
        assert_eq!(refusal.unwrap_err().statement, statement, "{octets:02x?}");
    }
}

#[test]
fn a_packet_of_the_largest_length_streams_through() {
    let mut framer = Framer::new(1 << 20);
    let mut input = BytesMut::from(&b"\x34\xff\xff\xff\x7f\0\x01t\x12\x34"[..]);
    let chunk = vec![0; 1 << 20];
    let mut left = 268_435_455 - 5;
    while left > 0 {
        assert_eq!(framer.next(&mut input), Ok(None));
        assert!(input.is_empty());
        let some = chunk.len().min(left);
        input.put(&chunk[..some]);
        left -= some;
    }
    input.put(&framed(0xC0, b"")[..]);
    let expected = Oversized {
        packet_type: PacketType::Publish,
        flags: 0b0100,
        octets: 268_435_460,
        packet_id: Some(0x1234),
    };
    assert_eq!(
        framer.next(&mut input),
        Ok(Some(Framed::Oversized(expected)))
    );
    assert!(matches!(
        framer.next(&mut input),
        Ok(Some(Framed::Packet(_)))
    ));
}

fn frames<'a>(max_octets: u32, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Framed> {
    let mut framer = Framer::new(max_octets);
    let mut input = BytesMut::new();
    let mut found = Vec::new();
    for chunk in chunks {
        input.put(chunk);
        while let Some(framed) = framer.next(&mut input).unwrap() {
            found.push(framed);
        }
    }
    assert!(input.is_empty());
    found
}

#[test]
fn a_detached_frame_holds_no_buffer_but_its_own() {
    let mut input = BytesMut::from(&[0xC0, 0, 0xD0, 0][..]);
    let mut framer = Framer::new(16);
    let Ok(Some(Framed::Packet(kept))) = framer.next(&mut input) else {
        panic!("no packet");
    };
    assert!(!kept.octets().is_unique());
    let detached = kept.detached();
    assert!(detached.octets().is_unique());
    assert_eq!(detached.octets(), kept.octets());
    assert_eq!(detached.packet_type(), kept.packet_type());
}
