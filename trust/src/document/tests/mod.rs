//! Both sides of every rule of the documents.

mod bundle;
mod content;
mod shard;
mod signatures;

use super::fixture::{manifest, root, shards, signed_manifest, signed_root};
use super::{Document, DocumentRejection, Manifest, Root, Shard};

/// The code of a refusal.
fn code<T>(result: Result<T, DocumentRejection>) -> &'static str {
    result.err().map_or("accepted", |why| why.code())
}

fn judge_root(octets: &[u8]) -> Result<Document<Root>, DocumentRejection> {
    Document::verified(octets, &root(1).root)
}

fn judge_manifest(octets: &[u8]) -> Result<Document<Manifest>, DocumentRejection> {
    Document::verified(octets, &root(1).registrar)
}

#[test]
fn documents_are_read_back_as_they_were_written() {
    let octets = signed_root(&root(1), &[1, 2]);
    let read = judge_root(&octets).unwrap();
    assert_eq!((read.content(), read.octets()), (&root(1), &*octets));
    assert_eq!(Document::<Root>::load(&octets).unwrap().content(), &root(1));

    let content = manifest(1, 7, &shards(&[], 4));
    let octets = signed_manifest(&content, &[12]);
    assert_eq!(judge_manifest(&octets).unwrap().content(), &content);
}

#[test]
fn a_document_cut_off_or_altered_anywhere_is_refused() {
    let octets = signed_root(&root(1), &[1, 2]);
    for length in 0..octets.len() {
        assert!(judge_root(&octets[..length]).is_err(), "cut at {length}");
    }
    for place in 0..octets.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut altered = octets.clone();
            altered[place] ^= bit;
            assert!(judge_root(&altered).is_err(), "bit {bit:#x} of {place}");
        }
    }
    let shard = &shards(&[super::fixture::entry("pump-1", 21)], 1)[0];
    for length in 0..shard.len() {
        assert!(Shard::parse(&shard[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn codes_are_listed_once_in_order() {
    let codes = DocumentRejection::CODES;
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
}
