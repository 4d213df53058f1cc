//! The bundle file.

#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::super::{BundleError, BundleReader, BundleRejection, BundleWriter};
use crate::limits;
use std::io::{self, BufReader, Read};

fn file() -> Vec<u8> {
    let mut writer =
        BundleWriter::begin(Vec::new(), &[b"root 1", b"root 2\n"], b"manifest", 2).unwrap();
    writer.shard(b"shard 0").unwrap();
    writer.shard(b"shard 1").unwrap();
    writer.finish().unwrap()
}

/// Reads all of it.
fn read(source: impl Read) -> Result<Vec<Vec<u8>>, BundleError> {
    let mut reader = BundleReader::open(BufReader::with_capacity(3, source))?;
    let mut parts: Vec<Vec<u8>> = reader.roots().map(<[u8]>::to_vec).collect();
    parts.push(reader.manifest().to_vec());
    while let Some(shard) = reader.next_shard()? {
        parts.push(shard.to_vec());
    }
    assert_eq!(
        reader.shards() as usize,
        parts.iter().filter(|p| p.starts_with(b"shard")).count()
    );
    Ok(parts)
}

fn code(octets: &[u8]) -> &'static str {
    match read(octets) {
        Ok(_) => "accepted",
        Err(BundleError::Rejected(why)) => why.code(),
        Err(BundleError::Read(why)) => panic!("{why}"),
    }
}

#[test]
fn a_file_is_read_back_as_it_was_written() {
    let expected: [&[u8]; 5] = [b"root 1", b"root 2", b"manifest", b"shard 0", b"shard 1"];
    assert_eq!(read(&*file()).unwrap(), expected);
    let first = file().split(|b| *b == b'\n').next().unwrap().to_vec();
    assert_eq!(first, br#"{"edgeseal_bundle":1,"roots":2,"shards":2}"#);
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_says_what_is_missing() {
    let whole = file();
    for length in 0..whole.len() {
        assert_eq!(
            code(&whole[..length]),
            "bundle-truncated",
            "cut at {length}"
        );
    }
    let missing = |length: usize| match read(&whole[..length]) {
        Err(BundleError::Rejected(BundleRejection::Truncated { missing })) => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(0), "the first line");
    let place = |text: &str| {
        whole
            .windows(text.len())
            .position(|w| w == text.as_bytes())
            .unwrap()
    };
    assert_eq!(missing(place("root 2")), "root document 2 of 2");
    assert_eq!(missing(place("manifest") + 3), "the manifest");
    assert_eq!(missing(whole.len() - 1), "shard 2 of 2");
    let with_more = [&*whole, b"\n"].concat();
    assert_eq!(code(&with_more), "bundle-trailing");
}

#[test]
fn the_first_line_says_what_follows() {
    let with = |header: &str| code(format!("{header}\nm\n").as_bytes());
    assert_eq!(
        with(r#"{"edgeseal_bundle":1,"roots":0,"shards":0}"#),
        "accepted"
    );
    for header in [
        "",
        "{}",
        "[1,0,0]",
        r#"{"edgeseal_bundle":2,"roots":0,"shards":0}"#,
        r#"{"edgeseal_bundle":1,"roots":0,"shards":0,"x":1}"#,
        r#"{"edgeseal_bundle":1,"roots":0,"roots":0,"shards":0}"#,
        r#"{"edgeseal_bundle":1,"roots":257,"shards":0}"#,
        r#"{"edgeseal_bundle":1,"roots":0,"shards":4097}"#,
        r#"{"edgeseal_bundle":1,"roots":0,"shards":-1}"#,
        &"x".repeat(300),
    ] {
        assert_eq!(with(header), "bundle-header", "{header:.60}");
    }
    let endless = io::repeat(b'x');
    assert!(matches!(
        read(endless),
        Err(BundleError::Rejected(BundleRejection::Header(_)))
    ));
}

#[test]
fn no_line_is_longer_than_its_document_may_be() {
    let header = |roots, shards| {
        format!("{{\"edgeseal_bundle\":1,\"roots\":{roots},\"shards\":{shards}}}\n")
    };
    let line = |length: usize| format!("{}\n", "x".repeat(length));
    for (before, limit) in [
        (header(1, 0), limits::ROOT_OCTETS),
        (header(0, 0), limits::MANIFEST_OCTETS),
        (format!("{}m\n", header(0, 1)), limits::SHARD_OCTETS),
    ] {
        let rest = if before.contains("roots\":1") {
            "m\n"
        } else {
            ""
        };
        let fits = format!("{before}{}{rest}", line(limit));
        let mut reader = BundleReader::open(fits.as_bytes()).unwrap();
        while reader.next_shard().unwrap().is_some() {}
        let long = format!("{before}{}{rest}", line(limit + 1));
        assert_eq!(code(long.as_bytes()), "bundle-line");
    }
}

#[test]
fn a_file_larger_than_any_bundle_is_refused_before_its_end() {
    let header = b"{\"edgeseal_bundle\":1,\"roots\":0,\"shards\":4096}\nm\n";
    let line = [vec![b'x'; limits::SHARD_OCTETS], vec![b'\n']].concat();
    let source = header.chain(Lines { line, at: 0 });
    let mut reader = BundleReader::open(BufReader::new(source)).unwrap();
    let mut read = 0;
    let why = loop {
        match reader.next_shard() {
            Ok(shard) => assert!(shard.is_some()),
            Err(why) => break why,
        }
        read += 1;
    };
    assert!(matches!(why, BundleError::Rejected(BundleRejection::Size)));
    assert_eq!(read, 255);
}

/// One line, again and again.
struct Lines {
    line: Vec<u8>,
    at: usize,
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&self.line[self.at..]).read(buffer)?;
        self.at = (self.at + count) % self.line.len();
        Ok(count)
    }
}

#[test]
fn a_medium_that_fails_is_no_rejection() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("input/output error"))
        }
    }
    let half = file();
    let source = half[..60].chain(Broken);
    assert!(matches!(read(source), Err(BundleError::Read(_))));
}

#[test]
fn a_writer_keeps_what_it_announced() {
    let begin = |shards| BundleWriter::begin(Vec::new(), &[], b"m", shards).unwrap();
    assert!(begin(1).finish().is_err());
    assert!(begin(0).shard(b"s").is_err());
    assert!(begin(1).shard(b"a\nb").is_err());
    assert!(BundleWriter::begin(Vec::new(), &[b"a\nb"], b"m", 0).is_err());
    let codes = BundleRejection::CODES;
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
}
