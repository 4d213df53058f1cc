//! Whoever is one too many is told so in the words of its own version.

use super::side::Side;
use super::stream::Stream;
use crate::gateway::packet::{ConnAck, Framed, Framer, Properties, Version, read_connect};
use bytes::BytesMut;
use std::future::poll_fn;
use std::time::Duration;
use tokio::time::timeout;

/// Reads the CONNECT and answers it: Quota exceeded (0x97, MQTT 5, 3.2.2.2), or Server unavailable
/// (3, MQTT 3.1.1, table 3.1). Gives up after a moment.
pub(super) async fn refuse(stream: Stream) {
    let mut side = Side::new(stream);
    if let Ok(Some(version)) = timeout(PATIENCE, version(&mut side)).await {
        let answer = ConnAck {
            session_present: false,
            code: match version {
                Version::V5 => QUOTA_EXCEEDED,
                Version::V311 => SERVER_UNAVAILABLE,
            },
            properties: Properties::EMPTY,
        };
        let mut octets = BytesMut::new();
        if answer.write(version, &mut octets).is_ok() {
            side.part(octets).await;
        }
    }
    side.linger().await;
}

async fn version(side: &mut Side) -> Option<Version> {
    let mut framer = Framer::new(CONNECT_OCTETS);
    while !side.has_ended {
        poll_fn(|cx| side.poll_in(cx)).await;
        match framer.next(&mut side.input) {
            Ok(Some(Framed::Packet(frame))) => {
                return read_connect(&frame).ok().map(|connect| connect.version);
            }
            Ok(None) => {}
            Ok(Some(Framed::Oversized(_))) | Err(_) => return None,
        }
    }
    None
}

const PATIENCE: Duration = Duration::from_secs(1);
/// A larger CONNECT than this is not waited for.
const CONNECT_OCTETS: u32 = 4096;
const QUOTA_EXCEEDED: u8 = 0x97;
const SERVER_UNAVAILABLE: u8 = 3;
