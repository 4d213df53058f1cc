//! Copies of one message on one connection: where subscriptions overlap, a broker may send one for each (MQTT
//! 5.0 section 3.3.4), and a program that tells them by their subscription identifiers needs them all.

use super::{FirstVerdict, MessageHash};
use crate::gateway::packet::{Property, Publish};
use std::collections::VecDeque;
use std::num::NonZeroU32;

/// What one connection was handed under which subscription identifiers. It begins empty with every connection
/// to the broker; what the program does not subscribe with an identifier of its own costs nothing.
#[derive(Debug, Default)]
pub struct Copies {
    subscribed: Vec<NonZeroU32>,
    recent: VecDeque<Recent>,
}

/// Some of the subscription identifiers, one bit each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Identifiers(u64);

#[derive(Debug)]
struct Recent {
    seen: Identifiers,
    first: FirstVerdict,
}

impl Copies {
    /// The program subscribes with this identifier. Of the first 64 a connection gets copies.
    pub fn subscribed(&mut self, identifier: NonZeroU32) {
        if self.subscribed.len() < IDENTIFIERS && !self.subscribed.contains(&identifier) {
            self.subscribed.push(identifier);
        }
    }

    /// The identifiers of a message; nothing where it has none, or one that the program does not use.
    pub(super) fn identifiers(&self, publish: &Publish<'_>) -> Option<Identifiers> {
        if self.subscribed.is_empty() {
            return None;
        }
        let mut bits: u64 = 0;
        for property in publish.properties.iter() {
            if let Property::SubscriptionIdentifier(identifier) = property {
                let index = self
                    .subscribed
                    .iter()
                    .position(|known| *known == identifier)?;
                bits |= 1_u64.checked_shl(u32::try_from(index).ok()?)?;
            }
        }
        (bits != 0).then_some(Identifiers(bits))
    }

    /// A message was handed on under these identifiers.
    pub(super) fn handed_on(&mut self, seen: Identifiers, first: FirstVerdict) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { seen, first });
    }

    /// The verdict by which this message was handed on under other identifiers: it is handed on once under each.
    pub(super) fn another(
        &mut self,
        hash: MessageHash,
        identifiers: Identifiers,
    ) -> Option<FirstVerdict> {
        let recent = self
            .recent
            .iter_mut()
            .find(|recent| recent.first.hash == hash && recent.seen.0 & identifiers.0 == 0)?;
        recent.seen.0 |= identifiers.0;
        Some(recent.first.clone())
    }
}

const IDENTIFIERS: usize = 64;
/// Messages of a connection whose copies are told from replays.
const RECENT: usize = 64;
