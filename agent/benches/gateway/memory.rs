//! Memory of a gateway: for each idle connection, and over many messages.

use crate::clients::{self, Load};
use crate::process::resident_kib;
use crate::routes::{Gateway, Route, World};
use rumqttc::v5::mqttbytes::QoS;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) fn measure(world: &World) {
    let (plain, secure) = world.gateways();
    for (what, gateway) in [("in clear", plain), ("TLS upstream", secure)] {
        // What the first connections cost once is not theirs.
        drop(idle(gateway, 20));
        std::thread::sleep(Duration::from_millis(700));
        let before = resident_kib(gateway.process);
        let connections = idle(gateway, CONNECTIONS);
        std::thread::sleep(Duration::from_millis(300));
        let each = (resident_kib(gateway.process) - before) / CONNECTIONS as f64;
        println!("| memory of an idle connection, {what} | 40 KiB | {each:.1} KiB |");
        drop(connections);
        std::thread::sleep(Duration::from_millis(700));
    }
    let messages = crate::setting("FLAT", 0);
    if messages > 0 {
        let load = |messages| Load {
            qos: QoS::AtMostOnce,
            messages,
            window: 1024,
            batch: 64,
        };
        clients::run(world, Route::Gateways, load(messages / 10));
        let before = resident_kib(plain.process);
        clients::run(world, Route::Gateways, load(messages));
        let after = resident_kib(plain.process);
        println!("| memory over {messages} messages | flat | {before:.0} to {after:.0} KiB |");
    }
}

/// Connections that say nothing after CONNECT.
fn idle(gateway: &Gateway, number: usize) -> Vec<TcpStream> {
    let connect = |at: usize| {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let id = format!("idle{at:04}");
        let mut packet = vec![0x10, 21, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 0, 0, 0, 8];
        packet.extend_from_slice(id.as_bytes());
        stream.write_all(&packet).unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        assert_eq!((head[0], head[3]), (0x20, 0), "CONNACK");
        stream
    };
    (0..number).map(connect).collect()
}

const CONNECTIONS: usize = 200;
