//! Right packets, cut short or with one wrong octet.

use super::super::{Framed, Framer, LONGEST_PACKET_OCTETS, Packet, Version, read, read_connect};
use super::generate::{self, Random};
use super::{VERSIONS, frame, framed, written};
use bytes::BytesMut;

#[test]
fn a_packet_cut_short_is_incomplete_and_reframed_it_is_refused() {
    for version in VERSIONS {
        let mut random = Random(6);
        for _ in 0..400 {
            let packet = generate::packet(&mut random, version);
            let octets = written(&packet, version);
            expect_incomplete(&octets);
            let whole = frame(&octets);
            let body = whole.body();
            for length in 0..body.len() {
                let cut = framed(octets[0], &body[..length]);
                let Ok(frame) = framer(version).next(&mut BytesMut::from(&cut[..])) else {
                    continue;
                };
                let Some(Framed::Packet(frame)) = frame else {
                    panic!("{cut:02x?}");
                };
                let taken = read(&frame, version).is_ok();
                let right = may_end(&packet, body, length, version);
                assert_eq!(taken, right, "{packet:?} cut to {length} of {body:02x?}");
            }
        }
    }
}

#[test]
fn a_connect_cut_short_is_incomplete_and_reframed_it_is_refused() {
    for version in VERSIONS {
        let mut random = Random(7);
        for _ in 0..200 {
            let mut octets = BytesMut::new();
            let connect = generate::connect(&mut random, version);
            connect.write(version, &mut octets).unwrap();
            expect_incomplete(&octets);
            let whole = frame(&octets);
            for length in 0..whole.body().len() {
                let cut = frame(&framed(0x10, &whole.body()[..length]));
                assert!(read_connect(&cut).is_err(), "{connect:?} cut to {length}");
            }
        }
    }
}

#[test]
fn one_wrong_octet_is_refused_or_another_packet() {
    for version in VERSIONS {
        let mut random = Random(8);
        for _ in 0..30 {
            let packet = generate::packet(&mut random, version);
            let octets = written(&packet, version);
            corrupt_each(&octets, version);
            let mut octets = BytesMut::new();
            let connect = generate::connect(&mut random, version);
            connect.write(version, &mut octets).unwrap();
            corrupt_each(&octets, version);
        }
    }
}

/// Every wrong value in every place of a small packet, every flipped bit in a larger one.
fn corrupt_each(octets: &[u8], version: Version) {
    let bits = [1, 2, 4, 8, 16, 32, 64, 128];
    let all: Vec<u8> = (1..=u8::MAX).collect();
    let differences = if octets.len() < 50 { &all[..] } else { &bits };
    for place in 0..octets.len() {
        for difference in differences {
            let mut octets = octets.to_vec();
            octets[place] ^= difference;
            expect_sound(&octets, version);
        }
    }
}

/// Whatever is taken can be written, and says the same again.
fn expect_sound(octets: &[u8], version: Version) {
    let mut input = BytesMut::from(octets);
    let Ok(Some(Framed::Packet(frame))) = framer(version).next(&mut input) else {
        return;
    };
    let mut out = BytesMut::new();
    if let Ok(packet) = read(&frame, version) {
        packet.write(version, &mut out).unwrap();
        assert_eq!(read(&super::frame(&out), version), Ok(packet));
    }
    out.clear();
    if let Ok(connect) = read_connect(&frame) {
        connect.write(connect.version, &mut out).unwrap();
        assert_eq!(read_connect(&super::frame(&out)), Ok(connect));
    }
}

fn expect_incomplete(octets: &[u8]) {
    for length in 0..octets.len() {
        let mut input = BytesMut::from(&octets[..length]);
        let found = Framer::new(LONGEST_PACKET_OCTETS).next(&mut input);
        assert_eq!(found, Ok(None), "{length} of {octets:02x?}");
        assert_eq!(input, octets[..length], "nothing is taken from it");
    }
}

/// Whether a packet of this type may end there: within a payload of the application, between two elements of a
/// list, or where MQTT 5 lets the rest be left out.
fn may_end(packet: &Packet<'_>, body: &[u8], length: usize, version: Version) -> bool {
    match packet {
        Packet::Publish(publish) => length >= body.len() - publish.payload.len(),
        Packet::SubAck(suback) | Packet::UnsubAck(suback) => {
            length > body.len() - suback.codes.len()
        }
        Packet::Subscribe(subscribe) => {
            let sizes = subscribe.filters().map(|(filter, _)| filter.len() + 3);
            ends_after_one_of(sizes.collect(), body, length)
        }
        Packet::Unsubscribe(unsubscribe) => {
            let sizes = unsubscribe.filters().map(|filter| filter.len() + 2);
            ends_after_one_of(sizes.collect(), body, length)
        }
        Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
            version == Version::V5 && matches!(length, 2 | 3)
        }
        Packet::Disconnect(_) => version == Version::V5 && matches!(length, 0 | 1),
        Packet::Auth(_) => length == 0,
        Packet::ConnAck(_) | Packet::PingReq | Packet::PingResp => false,
    }
}

fn ends_after_one_of(sizes: Vec<usize>, body: &[u8], length: usize) -> bool {
    let mut end = body.len() - sizes.iter().sum::<usize>();
    sizes.into_iter().any(|size| {
        end += size;
        end == length
    })
}

fn framer(version: Version) -> Framer {
    let mut framer = Framer::new(LONGEST_PACKET_OCTETS);
    framer.set_version(version);
    framer
}
