//! A stream of MQTT: cut up as it comes, it holds the same packets as at once, and no more is buffered than the limit.
#![no_main]

use bytes::BytesMut;
use edgeseal_agent::gateway::packet::{Framed, Framer, Malformed, Version};
use libfuzzer_sys::fuzz_target;

// The first octet picks version and limit, the second how the rest is cut.
fuzz_target!(|data: &[u8]| {
    let [how, cut, stream @ ..] = data else {
        return;
    };
    let version = if how & 1 == 0 { Version::V311 } else { Version::V5 };
    let limit = u32::from(how >> 1);
    let at_once = frames(version, limit, std::iter::once(stream));
    let in_parts = frames(version, limit, stream.chunks(usize::from(*cut).max(1)));
    assert_eq!(at_once, in_parts);
});

fn frames<'a>(
    version: Version,
    limit: u32,
    parts: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Framed>, Option<Malformed>) {
    let mut framer = Framer::new(limit);
    framer.set_version(version);
    let (mut input, mut found) = (BytesMut::new(), Vec::new());
    for part in parts {
        input.extend_from_slice(part);
        loop {
            match framer.next(&mut input) {
                Ok(Some(Framed::Packet(frame))) => {
                    assert!(frame.octets().len() <= limit as usize);
                    found.push(Framed::Packet(frame));
                }
                Ok(Some(Framed::Oversized(oversized))) => {
                    assert!(oversized.octets > limit);
                    found.push(Framed::Oversized(oversized));
                }
                Ok(None) => break,
                Err(malformed) => return (found, Some(malformed)),
            }
        }
        // An incomplete fixed header of an oversized packet is all that may be there beyond the limit.
        assert!(input.len() < (limit as usize).max(5));
    }
    (found, None)
}
