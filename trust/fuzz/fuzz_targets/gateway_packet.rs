//! One MQTT packet, read as both versions: what is taken can be written, and says the same when it is read again.
#![no_main]

use bytes::BytesMut;
use edgeseal_agent::gateway::packet::{
    Frame, Framed, Framer, LONGEST_PACKET_OCTETS, Packet, Properties, PropertiesBuf, Version, read,
    read_connect,
};
use libfuzzer_sys::fuzz_target;

// The first octet is the packet's; what follows is its body, so that the fuzzer need not learn lengths.
fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else {
        return;
    };
    let mut octets = BytesMut::from(&[*first][..]);
    let mut left = body.len();
    while left >= 0x80 {
        octets.extend_from_slice(&[(left & 0x7F | 0x80) as u8]);
        left >>= 7;
    }
    octets.extend_from_slice(&[left as u8]);
    octets.extend_from_slice(body);
    let Ok(Some(Framed::Packet(frame))) = Framer::new(LONGEST_PACKET_OCTETS).next(&mut octets) else {
        return;
    };
    for version in [Version::V311, Version::V5] {
        if let Ok(packet) = read(&frame, version) {
            same_again(&frame, packet, version);
        }
    }
    if let Ok(connect) = read_connect(&frame) {
        let mut out = BytesMut::new();
        connect.write(connect.version, &mut out).expect("it fitted");
        assert_eq!(read_connect(&whole(&out)), Ok(connect));
        rewritten(connect.properties);
    }
});

fn same_again(frame: &Frame, packet: Packet<'_>, version: Version) {
    let mut out = BytesMut::new();
    packet.write(version, &mut out).expect("it fitted");
    assert!(out.len() <= frame.octets().len(), "the shortest form");
    let again = whole(&out);
    assert_eq!(read(&again, version), Ok(packet));
    assert_eq!(again.packet_id(), frame.packet_id());
    match packet {
        Packet::Publish(publish) => {
            assert_eq!(publish.packet_id, frame.packet_id());
            rewritten(publish.properties);
        }
        Packet::Subscribe(subscribe) => assert!(subscribe.filters().next().is_some()),
        Packet::Unsubscribe(unsubscribe) => assert!(unsubscribe.filters().next().is_some()),
        Packet::ConnAck(connack) => rewritten(connack.properties),
        _ => {}
    }
}

/// Properties that were taken are the same when they are pushed one by one.
fn rewritten(properties: Properties<'_>) {
    let mut buf = PropertiesBuf::new();
    buf.extend(properties.iter()).expect("they fitted");
    assert_eq!(buf.as_properties(), properties);
}

fn whole(octets: &[u8]) -> Frame {
    Frame::from_octets(octets).expect("one packet")
}
