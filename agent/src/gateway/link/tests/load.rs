//! Many connections, slow ones, full buffers.

use super::rig::{Broker, Rig, publish};
use crate::gateway::packet::{Framed, Framer, PacketType, Version};
use bytes::BytesMut;
use std::os::unix::fs::MetadataExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// Answers CONNECT and PINGREQ of everybody.
async fn serve(broker: Broker) {
    let mut served = JoinSet::new();
    loop {
        let (mut stream, _) = broker.listener.accept().await.unwrap();
        served.spawn(async move {
            let (mut framer, mut input) = (Framer::new(1 << 24), BytesMut::new());
            while stream.read_buf(&mut input).await.is_ok_and(|read| read > 0) {
                while let Some(Framed::Packet(frame)) = framer.next(&mut input).unwrap() {
                    let answer: &[u8] = match frame.packet_type() {
                        PacketType::Connect => &[0x20, 3, 0, 0, 0],
                        PacketType::PingReq => &[0xD0, 0],
                        _ => &[],
                    };
                    stream.write_all(answer).await.ok();
                }
            }
        });
    }
}

#[tokio::test]
async fn a_thousand_programs_are_served() {
    let broker = Broker::open().await;
    let rig = Rig::with(broker.port, |config| {
        config.listeners[0].max_connections = 1000
    });
    let serving = tokio::spawn(serve(broker));
    let mut programs = Vec::new();
    for each in 0..1000 {
        let mut program = rig.program(Version::V5).await;
        program.connect(&format!("app-{each}")).await;
        programs.push(program);
    }
    for program in &mut programs {
        assert_eq!(program.packet().await.octets()[3], 0);
    }
    for program in &mut programs {
        program.ping().await;
    }
    let status = rig.status();
    assert_eq!(status.connections.len(), 1000);
    assert_eq!(status.buffered_octets, 0, "idle connections hold nothing");
    drop(programs);
    rig.until(|status| status.connections.is_empty()).await;
    serving.abort();
}

#[tokio::test]
async fn one_that_does_not_read_holds_up_nobody_and_no_more_memory_than_allowed() {
    let broker = Broker::open().await;
    let rig = Rig::with(broker.port, |config| {
        config.max_message_bytes = 100_000;
        config.max_buffered_bytes = 4 << 20;
    });
    let (slow, mut slow_remote) = rig.connected(&broker, "slow").await;
    let (mut quick, mut quick_remote) = rig.connected(&broker, "quick").await;
    let message = publish(Version::V5, "site/x", &[7; 50_000]);
    // Sent until the gateway has dropped some: what the systems' buffers hold is not known.
    let dropped = || {
        let counts = rig.gateway.counts();
        counts
            .listeners()
            .map(|(_, listener)| listener.dropped_qos0)
            .sum::<u64>()
    };
    while dropped() < 20 {
        slow_remote.send(&message).await;
        assert!(rig.status().buffered_octets <= 4 << 20);
        quick.ping().await;
        quick_remote.publish("site/y", b"on time").await;
        assert_eq!(quick.payload().await, b"on time");
    }
    drop(slow);
    rig.until(|status| status.connections.len() == 1).await;
    quick.ping().await;
}

#[tokio::test]
async fn whoever_holds_most_of_a_full_memory_is_closed() {
    let broker = Broker::open().await;
    let rig = Rig::with(broker.port, |config| {
        config.max_message_bytes = 1 << 20;
        config.max_buffered_bytes = 300_000;
    });
    let (mut quick, _quick_remote) = rig.connected(&broker, "quick").await;
    let (mut greedy, mut greedy_remote) = rig.connected(&broker, "greedy").await;
    // A packet of 1 MB that never ends.
    let mut head = vec![0x30, 0xC0, 0x84, 0x3D, 0, 1, b'x', 0];
    head.resize(400_000, 7);
    greedy.send(&head).await;
    assert!(greedy.next().await.is_none());
    assert!(greedy_remote.next().await.is_none());
    assert_eq!(rig.counted("buffers-full"), 1);
    quick.ping().await;
    rig.until(|status| status.buffered_octets == 0).await;
}

#[tokio::test]
async fn the_file_of_what_is_in_flight_is_begun_anew() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker); // whose flows have no file, as after a start without room
    let runtime = tempfile::tempdir().unwrap();
    let file = runtime.path().join("flows");
    rig.gateway.keep_flows(&runtime.path().join("missing"));
    assert!(!file.exists());
    rig.gateway.keep_flows(runtime.path());
    let begun = std::fs::metadata(&file).unwrap();
    rig.gateway.keep_flows(runtime.path());
    let kept = std::fs::metadata(&file).unwrap();
    assert_eq!(begun.ino(), kept.ino(), "nothing is to be done");
}
