//! Variable Byte Integers (5.0 section 1.5.5) and the remaining length of 3.1.1 (section 2.2.3), the same octets.

/// The largest value.
pub(super) const MAXIMUM: u32 = 268_435_455;

/// What stands at the beginning of some octets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Varint {
    /// More octets are needed.
    Incomplete,
    /// A fourth octet says that a fifth follows.
    TooLong,
    /// `value`, in `octets` octets.
    Whole { value: u32, octets: usize },
}

pub(super) fn parse(octets: &[u8]) -> Varint {
    let mut value = 0;
    for ((octet, shift), length) in octets.iter().zip(SHIFTS).zip(1..) {
        value |= u32::from(octet & 0x7F).wrapping_shl(shift);
        if octet & 0x80 == 0 {
            let octets = length;
            return Varint::Whole { value, octets };
        }
    }
    if octets.len() < SHIFTS.len() {
        Varint::Incomplete
    } else {
        Varint::TooLong
    }
}

/// How many octets the shortest form of `value` takes.
pub(super) const fn length(value: u32) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// The octets of the shortest form of `value`, in order.
pub(super) fn octets(value: u32) -> impl Iterator<Item = u8> {
    let length = length(value);
    SHIFTS
        .into_iter()
        .zip(1..=length)
        .map(move |(shift, place)| {
            let [.., seven] = (value.wrapping_shr(shift) & 0x7F).to_be_bytes();
            if place < length { seven | 0x80 } else { seven }
        })
}

const SHIFTS: [u32; 4] = [0, 7, 14, 21];
