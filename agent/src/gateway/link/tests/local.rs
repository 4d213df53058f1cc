//! Unix sockets: who is at the other end, and whose the name is.

use super::rig::{Broker, Rig, Talk, listener};
use crate::config::{ListenAddress, LocalIdentity, LocalUser, UpstreamUrl};
use crate::gateway::packet::{PacketType, Version};
use crate::gateway::rules::Permissions;
use edgeseal_trust::topic::TopicFilter;
use rustix::process::{getegid, geteuid};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

fn at(path: PathBuf) -> ListenAddress {
    ListenAddress::Unix {
        path,
        mode: 0o620,
        group: None,
    }
}

fn may_publish(filter: &str) -> Permissions {
    Permissions {
        publish: vec![TopicFilter::parse(filter).unwrap()],
        subscribe: Vec::new(),
    }
}

#[tokio::test]
async fn a_process_is_known_by_its_user_and_group_and_held_to_their_lists() {
    let broker = Broker::open().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mqtt.sock");
    let rig = Rig::with(broker.port, |config| {
        let only = &mut config.listeners[0];
        only.address = at(path.clone());
        only.permissions = Permissions::default();
        let own = geteuid().as_raw();
        only.users = [
            (Some(own), None, "mine/#"),
            (None, Some(getegid().as_raw()), "group/#"),
            (Some(own + 1), None, "theirs/#"),
        ]
        .map(|(uid, gid, filter)| LocalUser {
            who: LocalIdentity::System { uid, gid },
            permissions: may_publish(filter),
        })
        .into();
    });
    let found = std::fs::metadata(&path).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o620);
    let mut program = Talk::unix(&path).await;
    program.connect("a").await;
    let mut remote = broker.accept().await;
    remote.packet().await;
    remote.accept_connect().await;
    assert_eq!(program.packet().await.packet_type(), PacketType::ConnAck);
    for (topic, payload) in [
        ("theirs/x", b"1"),
        ("mine/x", b"2"),
        ("x", b"3"),
        ("group/x", b"4"),
    ] {
        program.publish(topic, payload).await;
    }
    assert_eq!(remote.payload().await, b"2");
    assert_eq!(remote.payload().await, b"4");
    let shown = rig.status().connections.remove(0);
    let uid = geteuid().as_raw();
    assert_eq!(shown.peer, format!("uid {uid}"));
    assert_eq!(shown.identity.unwrap(), format!("apps/uid:{uid}"));
}

#[tokio::test]
async fn a_client_identifier_of_one_listener_is_refused_on_another() {
    let broker = Broker::open().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mqtt.sock");
    let rig = Rig::with(broker.port, |config| {
        config.listeners.push(listener("unix"));
        config.listeners[1].address = at(path.clone());
    });
    let (mut first, _remote) = rig.connected(&broker, "a").await;
    let mut second = Talk::unix(&path).await;
    second.connect("a").await;
    assert_eq!(second.packet().await.octets()[3], 0x85);
    assert!(second.next().await.is_none());
    first.ping().await;
    drop(first);
    rig.until(|status| status.connections.is_empty()).await;
    let mut second = Talk::unix(&path).await;
    second.connect("a").await;
    assert_eq!(second.packet().await.octets()[3], 0x85, "for an hour");
}

#[tokio::test]
async fn a_dead_socket_is_replaced_a_living_one_is_not_and_a_stop_removes_it() {
    let broker = Broker::open().await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("mqtt.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let dead = std::fs::metadata(&path).unwrap().ino();
    let rig = Rig::with(broker.port, |config| {
        config.listeners[0].address = at(path.clone())
    });
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), dead);
    let (_, second) = Rig::try_with(broker.port, |config| {
        config.listeners[0].address = at(path.clone());
    });
    assert_eq!(second.unwrap_err().code(), "socket-in-use");
    rig.gateway.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_broker_may_be_on_a_unix_socket() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("broker.sock");
    let socket = tokio::net::UnixListener::bind(&path).unwrap();
    let rig = Rig::with(1, |config| {
        config.upstreams[0].url = UpstreamUrl::Unix(path.clone())
    });
    let mut program = rig.program(Version::V5).await;
    program.connect("a").await;
    let (stream, _) = socket.accept().await.unwrap();
    let mut remote = Talk::new(stream, Version::V5);
    remote.packet().await;
    remote.accept_connect().await;
    assert_eq!(program.packet().await.octets()[3], 0);
    assert_eq!(
        rig.status().upstreams[0].url,
        format!("unix:{}", path.display())
    );
}
