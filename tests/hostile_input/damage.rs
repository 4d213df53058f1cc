//! Ways to damage what a program reads. The same in every run.

/// What somebody might send instead of what is expected.
pub(crate) struct Damaged {
    /// What was done to it.
    pub(crate) how: String,
    pub(crate) octets: Vec<u8>,
    /// It cannot be right by luck: a flipped bit may make another public key, or another number.
    pub(crate) is_wrong: bool,
}

/// Every damage to something good.
pub(crate) fn damages(good: &[u8]) -> Vec<Damaged> {
    let wrong = |how: &str, octets: Vec<u8>| Damaged {
        how: how.to_owned(),
        octets,
        is_wrong: true,
    };
    let middle = good.len() / 2;
    let (head, tail) = good.split_at(middle);
    let mut all = vec![
        wrong("empty", Vec::new()),
        wrong("a zero octet", vec![0]),
        wrong("zeros", vec![0; 5000]),
        wrong("twice", [good, good].concat()),
        wrong("no UTF-8 within", [head, b"\xff\xfe", tail].concat()),
        wrong("no UTF-8 first", [b"\xff", good].concat()),
        wrong("a zero within", [head, b"\0", tail].concat()),
        wrong(
            "UTF-16",
            good.iter().flat_map(|octet| [*octet, 0]).collect(),
        ),
        wrong("deep arrays", nested("[", "]")),
        wrong("deep arrays without end", vec![b'['; DEPTH]),
        wrong("deep objects", nested("{\"a\":", "}")),
        wrong(
            "a deep member",
            [b"{\"a\":", &nested("[", "]")[..], b"}"].concat(),
        ),
        wrong("a long line", vec![b'A'; LONG]),
        wrong("a long number", vec![b'9'; LONG]),
        wrong("a number beyond any", b"1e999999999".to_vec()),
        wrong(
            "too much behind it",
            [good, &vec![b' '; LONG], b"x"].concat(),
        ),
    ];
    if let Some(rest) = good.strip_prefix(b"{") {
        all.push(wrong(
            "a member twice",
            [b"{", first_member(rest), b",", rest].concat(),
        ));
    }
    for size in [1, 16, 1000, 100_000] {
        let mut octets = random(size as u64, size);
        octets[0] |= 0x80; // so that a single one is no text
        all.push(wrong(&format!("{size} random octets"), octets));
    }
    for part in 1..CUTS {
        let end = good.len() * part / CUTS;
        all.push(wrong(&format!("cut at {end}"), good[..end].to_vec()));
    }
    for part in 0..FLIPS {
        let place = good.len() * part / FLIPS;
        let mut octets = good.to_vec();
        octets[place] ^= 1 << (part % 7);
        all.push(Damaged {
            how: format!("a bit flipped at {place}"),
            octets,
            is_wrong: false,
        });
    }
    all
}

/// Octets that look like chance (xorshift64).
pub(crate) fn random(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..count).map(|_| next()).collect()
}

fn nested(open: &str, close: &str) -> Vec<u8> {
    format!("{}0{}", open.repeat(DEPTH), close.repeat(DEPTH)).into_bytes()
}

/// `"name":value` up to the comma behind it, of an object whose first value is plain.
fn first_member(object: &[u8]) -> &[u8] {
    let end = object.iter().position(|octet| matches!(octet, b',' | b'}'));
    &object[..end.unwrap_or_default()]
}

const DEPTH: usize = 100_000;
/// More than any limit but that of a bundle file and of a CSV file.
const LONG: usize = 5 << 20;
const CUTS: usize = 8;
const FLIPS: usize = 16;
