//! The first 512 octets of a replay file: what it is, of which epoch, and whether it is complete.

use edgeseal_trust::limits::WINDOW_OCTETS;

/// What a replay file says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Boot epoch of the process that wrote it.
    pub(super) epoch: u64,
    /// The kernel's boot that it was written in: what is in use when the power goes is not whole,
    /// wherever it lies.
    pub(super) boot: BootId,
    /// Whether it was written as a whole.
    pub(super) state: State,
}

/// A boot of the kernel, by the text of its `boot_id` (random(4)).
pub(crate) type BootId = [u8; 36];

/// Whether a file was written as a whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// At a clean stop; exactly this number of records follows.
    Clean {
        /// Records.
        records: u64,
    },
    /// In use: records are written as they change.
    Open,
}

/// Why octets are no header of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BadHeader {
    /// The checksum is wrong, or no replay file at all.
    Damaged,
    /// Of another version of the format.
    Version(u32),
}

impl Header {
    pub(super) fn encode(self) -> [u8; WINDOW_OCTETS] {
        let (clean, records) = match self.state {
            State::Clean { records } => (1, records),
            State::Open => (0, 0),
        };
        let fields: [&[u8]; 6] = [
            MAGIC,
            &VERSION.to_be_bytes(),
            &self.epoch.to_be_bytes(),
            &self.boot,
            &[clean],
            &records.to_be_bytes(),
        ];
        let mut header = [0; WINDOW_OCTETS];
        let (body, sum) = header.split_at_mut(BODY_OCTETS);
        let octets = fields.into_iter().flatten();
        body.iter_mut()
            .zip(octets)
            .for_each(|(to, from)| *to = *from);
        sum.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
        header
    }

    /// Reads a header. The version comes first: a later format need not keep anything else.
    pub(super) fn decode(header: &[u8; WINDOW_OCTETS]) -> Result<Self, BadHeader> {
        let (body, sum) = header.split_at(BODY_OCTETS);
        let rest = body.strip_prefix(MAGIC).ok_or(BadHeader::Damaged)?;
        let (version, rest) = field(rest)?;
        let version = u32::from_be_bytes(version);
        if version != VERSION {
            return Err(BadHeader::Version(version));
        }
        if crc32fast::hash(body).to_be_bytes() != *sum {
            return Err(BadHeader::Damaged);
        }
        let (epoch, rest) = field(rest)?;
        let (boot, rest) = field(rest)?;
        let ([clean], rest) = field(rest)?;
        let (records, _) = field(rest)?;
        let state = match clean {
            0 => State::Open,
            _ => State::Clean {
                records: u64::from_be_bytes(records),
            },
        };
        Ok(Self {
            epoch: u64::from_be_bytes(epoch),
            boot,
            state,
        })
    }
}

fn field<const OCTETS: usize>(octets: &[u8]) -> Result<([u8; OCTETS], &[u8]), BadHeader> {
    let (field, rest) = octets.split_first_chunk().ok_or(BadHeader::Damaged)?;
    Ok((*field, rest))
}

const MAGIC: &[u8] = b"edgeseal replay\n";
const VERSION: u32 = 1;
const BODY_OCTETS: usize = WINDOW_OCTETS - 4;

#[cfg(test)]
mod tests {
    use super::{BadHeader, Header, State};

    #[test]
    fn a_header_is_read_as_written_and_no_other() {
        for state in [State::Open, State::Clean { records: 77 }] {
            let boot = [7; 36];
            let header = Header {
                epoch: 9,
                boot,
                state,
            };
            let octets = header.encode();
            assert_eq!(Header::decode(&octets), Ok(header));
            for bit in 0..octets.len() * 8 {
                let mut changed = octets;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(Header::decode(&changed).is_err(), "{bit}");
            }
        }
        assert_eq!(Header::decode(&[0; 512]), Err(BadHeader::Damaged));
        let mut next = [0; 512];
        next[..20].copy_from_slice(b"edgeseal replay\n\0\0\0\x02");
        assert_eq!(Header::decode(&next), Err(BadHeader::Version(2)));
    }
}
