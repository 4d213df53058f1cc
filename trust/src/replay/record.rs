//! Records of the replay memory as fixed octets: a type, the fields (big-endian), a CRC-32.

use super::window::{Counters, Epoch, Mark, Newest, Window};
use crate::key::KeyId;
use crate::limits;
use crate::time::UnixTime;
use crate::token::Stream;

/// One record as it is stored. A free slot has one too: octets that nobody wrote are damage.
pub type Record = [u8; limits::WINDOW_OCTETS];

/// What a record says.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for the length of a write, on the stack: a verification allocates nothing for it"
)]
pub(super) enum Content {
    Consumer {
        number: u64,
        digest: [u8; 32],
        created_at: UnixTime,
    },
    Free,
    Key {
        kid: KeyId,
        newest: Newest,
        epoch: u64,
        last_accepted: UnixTime,
        expires_at: UnixTime,
    },
    Past {
        since: Option<UnixTime>,
    },
    Seeds {
        consumer: u64,
        seeds: Vec<(KeyId, Newest)>,
    },
    Wills {
        consumer: u64,
        kid: KeyId,
        epoch: u64,
        expires_at: UnixTime,
        spent: Vec<(Stream, u64)>,
    },
    Window {
        consumer: u64,
        kid: KeyId,
        window: Window,
    },
}

/// Why octets are no record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Damaged;

impl Content {
    /// The content as a record.
    pub(super) fn encode(&self) -> Record {
        let mut record = Writer::default();
        match self {
            Self::Free => record.octet(FREE),
            Self::Past { since } => {
                record.octet(PAST);
                record.counter(since.map(UnixTime::seconds));
            }
            Self::Consumer {
                number,
                digest,
                created_at,
            } => {
                record.octet(CONSUMER);
                record.number(*number);
                record.put(digest);
                record.time(*created_at);
            }
            Self::Key {
                kid,
                newest,
                epoch,
                last_accepted,
                expires_at,
            } => {
                record.octet(KEY);
                record.put(kid.octets());
                record.newest(newest);
                record.number(*epoch);
                record.time(*last_accepted);
                record.time(*expires_at);
            }
            Self::Seeds { consumer, seeds } => {
                record.octet(SEEDS);
                record.number(*consumer);
                record.count(seeds.len());
                for (kid, newest) in seeds {
                    record.put(kid.octets());
                    record.newest(newest);
                }
            }
            Self::Wills {
                consumer,
                kid,
                epoch,
                expires_at,
                spent,
            } => {
                record.octet(WILLS);
                record.number(*consumer);
                record.put(kid.octets());
                record.number(*epoch);
                record.time(*expires_at);
                record.count(spent.len());
                for (stream, counter) in spent {
                    record.octet(stream.number());
                    record.number(*counter);
                }
            }
            Self::Window {
                consumer,
                kid,
                window,
            } => {
                record.octet(WINDOW);
                record.number(*consumer);
                record.put(kid.octets());
                record.time(window.last_accepted);
                record.time(window.expires_at);
                record.epoch(window.current.as_ref());
                record.epoch(window.previous.as_ref());
                record.epoch(window.live.as_ref());
            }
        }
        record.sealed()
    }

    /// Reads a record.
    pub(super) fn decode(record: &Record) -> Result<Self, Damaged> {
        let mut reader = Reader::unsealed(record)?;
        Ok(match reader.octet()? {
            FREE => Self::Free,
            PAST => Self::Past {
                since: reader.counter()?.map(UnixTime::from_seconds),
            },
            CONSUMER => Self::Consumer {
                number: reader.number()?,
                digest: reader.take()?,
                created_at: reader.time()?,
            },
            KEY => Self::Key {
                kid: reader.kid()?,
                newest: reader.newest()?,
                epoch: reader.number()?,
                last_accepted: reader.time()?,
                expires_at: reader.time()?,
            },
            SEEDS => Self::Seeds {
                consumer: reader.number()?,
                seeds: reader.list(|reader| Ok((reader.kid()?, reader.newest()?)))?,
            },
            WILLS => Self::Wills {
                consumer: reader.number()?,
                kid: reader.kid()?,
                epoch: reader.number()?,
                expires_at: reader.time()?,
                spent: reader.list(|reader| Ok((reader.stream()?, reader.number()?)))?,
            },
            WINDOW => Self::Window {
                consumer: reader.number()?,
                kid: reader.kid()?,
                window: Window {
                    last_accepted: reader.time()?,
                    expires_at: reader.time()?,
                    current: reader.epoch()?,
                    previous: reader.epoch()?,
                    live: reader.epoch()?,
                },
            },
            _ => return Err(Damaged),
        })
    }
}

/// Fills a record from the front; what does not fit makes it unreadable.
struct Writer {
    octets: [u8; BODY_OCTETS],
    at: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            octets: [0; BODY_OCTETS],
            at: 0,
        }
    }
}

impl Writer {
    fn put(&mut self, octets: &[u8]) {
        let end = self.at.saturating_add(octets.len());
        match self.octets.get_mut(self.at..end) {
            Some(place) => place.copy_from_slice(octets),
            None => self.octets = [u8::MAX; BODY_OCTETS],
        }
        self.at = end;
    }

    fn octet(&mut self, octet: u8) {
        self.put(&[octet]);
    }

    fn number(&mut self, number: u64) {
        self.put(&number.to_be_bytes());
    }

    fn time(&mut self, time: UnixTime) {
        self.number(time.seconds());
    }

    fn count(&mut self, count: usize) {
        self.octet(u8::try_from(count).unwrap_or(u8::MAX));
    }

    fn counter(&mut self, counter: Option<u64>) {
        self.octet(u8::from(counter.is_some()));
        self.number(counter.unwrap_or_default());
    }

    fn newest(&mut self, newest: &Newest) {
        self.mark(newest.message);
        self.mark(newest.live);
    }

    fn mark(&mut self, mark: Option<Mark>) {
        self.counter(mark.map(|mark| mark.epoch));
        self.counter(mark.and_then(|mark| mark.at_most_once));
        self.counter(mark.and_then(|mark| mark.reliable));
    }

    fn epoch<const WORDS: usize>(&mut self, epoch: Option<&Epoch<WORDS>>) {
        self.counter(epoch.map(|epoch| epoch.number));
        if let Some(epoch) = epoch {
            self.counters(&epoch.at_most_once);
            self.counters(&epoch.reliable);
        }
    }

    fn counters<const WORDS: usize>(&mut self, counters: &Counters<WORDS>) {
        self.counter(counters.newest);
        counters.seen.iter().for_each(|word| self.number(*word));
    }

    fn sealed(self) -> Record {
        let mut record = [0; limits::WINDOW_OCTETS];
        let (body, sum) = record.split_at_mut(BODY_OCTETS);
        body.copy_from_slice(&self.octets);
        sum.copy_from_slice(&crc32fast::hash(&self.octets).to_be_bytes());
        record
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn unsealed(record: &'a Record) -> Result<Self, Damaged> {
        let (body, sum) = record.split_at(BODY_OCTETS);
        if crc32fast::hash(body).to_be_bytes() == *sum {
            Ok(Self { rest: body })
        } else {
            Err(Damaged)
        }
    }

    fn take<const OCTETS: usize>(&mut self) -> Result<[u8; OCTETS], Damaged> {
        let (octets, rest) = self.rest.split_first_chunk().ok_or(Damaged)?;
        self.rest = rest;
        Ok(*octets)
    }

    fn octet(&mut self) -> Result<u8, Damaged> {
        self.take().map(u8::from_be_bytes)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        self.take().map(u64::from_be_bytes)
    }

    fn time(&mut self) -> Result<UnixTime, Damaged> {
        self.number().map(UnixTime::from_seconds)
    }

    fn kid(&mut self) -> Result<KeyId, Damaged> {
        self.take().map(KeyId::from_octets)
    }

    fn stream(&mut self) -> Result<Stream, Damaged> {
        match self.octet()? {
            0 => Ok(Stream::AtMostOnce),
            1 => Ok(Stream::Reliable),
            _ => Err(Damaged),
        }
    }

    fn counter(&mut self) -> Result<Option<u64>, Damaged> {
        let (present, counter) = (self.octet()?, self.number()?);
        match present {
            0 => Ok(None),
            1 => Ok(Some(counter)),
            _ => Err(Damaged),
        }
    }

    fn newest(&mut self) -> Result<Newest, Damaged> {
        Ok(Newest {
            message: self.mark()?,
            live: self.mark()?,
        })
    }

    fn mark(&mut self) -> Result<Option<Mark>, Damaged> {
        let epoch = self.counter()?;
        let (at_most_once, reliable) = (self.counter()?, self.counter()?);
        Ok(epoch.map(|epoch| Mark {
            epoch,
            at_most_once,
            reliable,
        }))
    }

    fn epoch<const WORDS: usize>(&mut self) -> Result<Option<Epoch<WORDS>>, Damaged> {
        let Some(number) = self.counter()? else {
            return Ok(None);
        };
        Ok(Some(Epoch {
            number,
            at_most_once: self.counters()?,
            reliable: self.counters()?,
        }))
    }

    fn counters<const WORDS: usize>(&mut self) -> Result<Counters<WORDS>, Damaged> {
        let newest = self.counter()?;
        let mut seen = [0; WORDS];
        for word in &mut seen {
            *word = self.number()?;
        }
        Ok(Counters { newest, seen })
    }

    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Vec<T>, Damaged> {
        let count = self.octet()?;
        (0..count).map(|_| item(self)).collect()
    }
}

/// Seeds in one record: 86 octets each.
pub(super) const SEEDS_PER_RECORD: usize = 5;
/// Wills in one record: 9 octets each.
pub(super) const WILLS_PER_RECORD: usize = 32;

const BODY_OCTETS: usize = limits::WINDOW_OCTETS - 4;
const PAST: u8 = 1;
const CONSUMER: u8 = 2;
const KEY: u8 = 3;
const SEEDS: u8 = 4;
const WILLS: u8 = 5;
const WINDOW: u8 = 6;
const FREE: u8 = 7;

#[cfg(test)]
mod tests {
    use super::{Content, SEEDS_PER_RECORD, WILLS_PER_RECORD};
    use crate::key::KeyId;
    use crate::limits;
    use crate::replay::window::{Mark, Newest, Window};
    use crate::time::UnixTime;
    use crate::token::{Stream, TokenId};

    fn fullest() -> Vec<Content> {
        let (kid, time) = (
            KeyId::from_octets([7; 32]),
            UnixTime::from_seconds(u64::MAX),
        );
        let mark = Some(Mark {
            epoch: u64::MAX,
            at_most_once: Some(u64::MAX),
            reliable: Some(u64::MAX),
        });
        let newest = Newest {
            message: mark,
            live: mark,
        };
        let mut window = Window::begun_at(&newest);
        window.previous = window.current;
        let id = TokenId {
            epoch: u64::MAX,
            stream: Stream::Reliable,
            counter: u64::MAX,
        };
        assert!(window.accept_message(id).is_err());
        (window.last_accepted, window.expires_at) = (time, time);
        let number = u64::MAX;
        vec![
            Content::Free,
            Content::Past { since: Some(time) },
            Content::Past { since: None },
            Content::Consumer {
                number,
                digest: [255; 32],
                created_at: time,
            },
            Content::Key {
                kid,
                newest,
                epoch: number,
                last_accepted: time,
                expires_at: time,
            },
            Content::Seeds {
                consumer: number,
                seeds: vec![(kid, newest); SEEDS_PER_RECORD],
            },
            Content::Wills {
                consumer: number,
                kid,
                epoch: number,
                expires_at: time,
                spent: vec![(Stream::Reliable, number); WILLS_PER_RECORD],
            },
            Content::Window {
                consumer: number,
                kid,
                window,
            },
            Content::Window {
                consumer: 0,
                kid,
                window: Window::default(),
            },
        ]
    }

    #[test]
    fn a_sender_costs_a_consumer_at_most_512_octets() {
        for content in fullest() {
            let record = content.encode();
            assert!(record.len() <= limits::WINDOW_OCTETS);
            assert_eq!(Content::decode(&record), Ok(content)); // nothing was cut off
        }
    }

    #[test]
    fn a_record_with_any_bit_changed_is_damaged() {
        assert!(Content::decode(&[0; 512]).is_err());
        for content in fullest() {
            let record = content.encode();
            for bit in 0..record.len() * 8 {
                let mut changed = record;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(Content::decode(&changed).is_err(), "{content:?} {bit}");
            }
        }
    }
}
