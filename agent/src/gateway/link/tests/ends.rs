//! Connections that begin, and how they end.

use super::rig::{Broker, Rig, connect, listener, rule};
use crate::gateway::packet::{PacketType, Version};
use crate::gateway::rules::{Mode, Permissions, Rules};
use std::sync::Arc;

#[tokio::test]
async fn octets_travel_both_ways_and_a_good_bye_is_passed_on() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    program.publish("site/x", b"up").await;
    assert_eq!(remote.payload().await, b"up");
    remote.publish("site/y", b"down").await;
    assert_eq!(program.payload().await, b"down");
    let status = rig.status();
    let shown = &status.connections[0];
    assert_eq!(shown.client_id.as_deref(), Some("a"));
    assert_eq!(shown.identity.as_deref(), Some("apps/anyone"));
    assert_eq!(
        (shown.version.as_deref(), &*shown.upstream_version),
        (Some("5"), "5")
    );
    assert_eq!(
        (&*shown.state, status.listeners[0].connections),
        ("runs", 1)
    );
    assert_eq!(status.upstreams[0].state, "up");
    program.send(&[0xE0, 0]).await;
    assert_eq!(remote.packet().await.packet_type(), PacketType::Disconnect);
    assert!(remote.next().await.is_none());
    assert!(program.next().await.is_none());
    rig.until(|status| status.connections.is_empty() && status.buffered_octets == 0)
        .await;
}

#[tokio::test]
async fn a_program_that_just_goes_takes_its_broker_with_it_without_good_bye() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    program.publish("site/x", b"last").await;
    drop(program);
    assert_eq!(
        remote.payload().await,
        b"last",
        "what came before the end counts"
    );
    assert!(
        remote.next().await.is_none(),
        "no DISCONNECT: the will is due"
    );
}

#[tokio::test]
async fn while_the_broker_is_away_programs_are_told_so_at_once() {
    let broker = Broker::open().await;
    let port = broker.port;
    drop(broker);
    let rig = Rig::with(port, |_| {});
    let closed = async |version| {
        let mut program = rig.program(version).await;
        program.connect("a").await;
        assert!(program.next().await.is_none(), "no CONNACK");
    };
    let began = std::time::Instant::now();
    closed(Version::V5).await;
    let upstream = rig.status().upstreams.remove(0);
    assert_eq!((&*upstream.state, upstream.failures), ("down", 1));
    assert!(upstream.why.unwrap().contains("refused"));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
    let broker = Broker {
        listener: listener.unwrap(),
        port,
    };
    // It is there again, and nobody looks: the shortest wait is a quarter of a second.
    if began.elapsed().as_millis() < 150 {
        closed(Version::V311).await;
        broker.expect_nobody().await;
    }
    // Half a second later at most somebody may try.
    loop {
        let mut program = rig.program(Version::V5).await;
        program.connect("a").await;
        let answered = tokio::select! {
            answer = program.next() => { assert!(answer.is_none(), "no CONNACK"); false }
            mut remote = broker.accept() => {
                remote.packet().await;
                remote.accept_connect().await;
                true
            }
        };
        if answered {
            assert_eq!(program.packet().await.octets()[3], 0);
            break;
        }
    }
    assert_eq!(rig.status().upstreams[0].state, "up");
    assert_eq!(rig.status().upstreams[0].why, None);
}

#[tokio::test]
async fn a_broker_that_closes_before_it_answers_is_away_too() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let mut program = rig.program(Version::V311).await;
    program.connect("a").await;
    // It may be one that knows no MQTT 5: the gateway tries 3.1.1 as well before it believes it.
    loop {
        tokio::select! {
            answer = program.next() => {
                assert!(answer.is_none(), "no CONNACK");
                break;
            }
            remote = broker.accept() => drop(remote),
        }
    }
    let upstream = rig.status().upstreams.remove(0);
    assert_eq!(upstream.state, "down");
    assert!(upstream.why.unwrap().contains("closes"));
}

#[tokio::test]
async fn a_broker_that_goes_is_told_to_the_program() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    remote.publish("site/x", b"last").await;
    drop(remote);
    assert_eq!(program.payload().await, b"last");
    let farewell = program.packet().await;
    assert_eq!(farewell.octets()[..3], [0xE0, farewell.octets()[1], 0x89]);
    assert!(program.next().await.is_none());
    assert_eq!(rig.counted("upstream-closed"), 1);
}

#[tokio::test]
async fn whoever_is_one_too_many_is_told_so_in_its_own_words() {
    let broker = Broker::open().await;
    let rig = Rig::with(broker.port, |config| {
        config.listeners[0].max_connections = 1
    });
    let (program, _remote) = rig.connected(&broker, "a").await;
    for (version, code) in [(Version::V5, 0x97), (Version::V311, 3)] {
        let mut other = rig.program(version).await;
        other.connect("b").await;
        assert_eq!(other.packet().await.octets()[3], code);
        assert!(other.next().await.is_none());
    }
    assert_eq!(rig.counted("too-many-connections"), 2);
    broker.expect_nobody().await;
    drop(program);
    rig.until(|status| status.listeners[0].connections == 0)
        .await;
    rig.connected(&broker, "b").await;
}

#[tokio::test]
async fn a_second_connection_takes_over_once_the_first_is_closed() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let (mut first, mut first_remote) = rig.connected(&broker, "a").await;
    let mut second = rig.program(Version::V5).await;
    second.connect("a").await;
    assert_eq!(first.packet().await.octets()[2], 0x8E, "session taken over");
    assert!(first.next().await.is_none());
    assert!(first_remote.next().await.is_none(), "without DISCONNECT");
    let mut remote = broker.accept().await;
    remote.packet().await;
    remote.accept_connect().await;
    assert_eq!(second.packet().await.octets()[3], 0);
    second.ping().await;
}

#[tokio::test]
async fn a_stop_closes_brokers_without_good_bye() {
    let broker = Broker::open().await;
    let rig = Rig::at(&broker);
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    let address = rig.address();
    rig.gateway.stop().await;
    assert_eq!(program.packet().await.octets()[..3], [0xE0, 1, 0x8B]);
    assert!(program.next().await.is_none());
    assert!(remote.next().await.is_none());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    assert!(rig.status().connections.is_empty());
}

#[tokio::test]
async fn a_reload_keeps_connections_unless_their_listener_has_changed() {
    let broker = Broker::open().await;
    let mut rig = Rig::at(&broker);
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    let address = rig.address();
    let mut relay = rule("site/#", Mode::Enforce);
    relay.outgoing.relay = true;
    rig.config.rules = Arc::new(Rules::new(vec![relay, rule("#", Mode::Pass)]));
    rig.gateway.reload(&rig.config).unwrap();
    program.publish("site/x", b"it has no token").await;
    program.publish("other/x", b"passes").await;
    program.ping().await;
    assert_eq!(
        remote.payload().await,
        b"passes",
        "the new rules count at once"
    );
    rig.config.rules = Arc::new(Rules::new(vec![rule("#", Mode::Pass)]));
    rig.config.listeners[0].permissions = Permissions::default();
    rig.gateway.reload(&rig.config).unwrap();
    assert_eq!(program.packet().await.octets()[2], 0x8B);
    assert!(
        program.next().await.is_none(),
        "nobody keeps what was taken away"
    );
    assert_eq!(rig.address(), address, "the socket stayed open");
    rig.config.listeners.push(listener("more"));
    rig.config.listeners[1].upstream = "nowhere".to_owned();
    assert_eq!(
        rig.gateway.reload(&rig.config).unwrap_err().code(),
        "no-upstream"
    );
    assert_eq!(rig.status().listeners.len(), 1);
    rig.config.listeners.clear();
    rig.gateway.reload(&rig.config).unwrap();
    assert!(rig.status().listeners.is_empty());
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_no_reason_to_change_anything() {
    let broker = Broker::open().await;
    let mut rig = Rig::at(&broker);
    let taken = crate::config::ListenAddress::Tcp(([127, 0, 0, 1], broker.port).into());
    rig.config.listeners[0].permissions = Permissions::default();
    rig.config.listeners.push(listener("more"));
    rig.config.listeners[1].address = taken;
    let refused = rig.gateway.reload(&rig.config).unwrap_err();
    assert_eq!(refused.code(), "listen");
    assert!(refused.to_string().contains("another port"), "{refused}");
    let (mut program, mut remote) = rig.connected(&broker, "a").await;
    program.publish("site/x", b"as before").await;
    assert_eq!(remote.payload().await, b"as before");
}

#[tokio::test]
async fn passwords_of_local_users_are_checked_beside_the_others_and_not_sent_on() {
    use crate::config::{LocalIdentity, LocalUser};
    use crate::gateway::password::PasswordHash;
    let broker = Broker::open().await;
    let rig = Rig::with(broker.port, |config| {
        config.listeners[0].users.push(LocalUser {
            who: LocalIdentity::Password {
                name: "nodered".to_owned(),
                hash: PasswordHash::of(b"secret", [7; 16], 0),
            },
            permissions: Permissions::default(),
        });
    });
    for login in [None, Some(("nodered", "wrong")), Some(("nobody", "secret"))] {
        let mut program = rig.program(Version::V5).await;
        program.send(&connect(Version::V5, "a", login)).await;
        assert_eq!(program.packet().await.octets()[3], 0x86, "{login:?}");
        assert!(program.next().await.is_none());
    }
    broker.expect_nobody().await;
    let mut program = rig.program(Version::V5).await;
    let login = Some(("nodered", "secret"));
    program.send(&connect(Version::V5, "a", login)).await;
    let mut remote = broker.accept().await;
    let frame = remote.packet().await;
    let sent = crate::gateway::packet::read_connect(&frame).unwrap();
    assert_eq!((sent.username, sent.password), (None, None));
    remote.accept_connect().await;
    assert_eq!(program.packet().await.octets()[3], 0);
    let identity = rig.status().connections.remove(0).identity;
    assert_eq!(identity.as_deref(), Some("apps/user:nodered"));
}
