//! A publish that is cut off after any packet: what the broker has then is whole, and the next run completes it.

use crate::operator::Place;
use crate::publishing::{Farm, PUBLISH, lacking, shards};
use edgeseal_trust::document::{Document, Manifest};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Lies between the program and the broker, lets so many packets of the program pass, then kills the program or cuts the line.
struct Scissors {
    port: u16,
    left: Arc<AtomicUsize>,
    victim: Arc<Mutex<Option<Child>>>,
}

impl Scissors {
    fn lay(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let victim = Arc::new(Mutex::new(None::<Child>));
        let shared = (Arc::clone(&left), Arc::clone(&victim));
        std::thread::spawn(move || {
            for program in listener.incoming().map_while(Result::ok) {
                let broker = TcpStream::connect(("127.0.0.1", broker)).unwrap();
                let mut back = (broker.try_clone().unwrap(), program.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut back.0, &mut back.1);
                    let _ = back.1.shutdown(Shutdown::Both);
                });
                let (left, victim) = shared.clone();
                std::thread::spawn(move || pass(program, broker, &left, &victim));
            }
        });
        Self { port, left, victim }
    }
}

fn pass(
    mut program: TcpStream,
    mut broker: TcpStream,
    left: &AtomicUsize,
    victim: &Mutex<Option<Child>>,
) {
    while let Some(packet) = packet(&mut program) {
        let passes = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        if passes.is_err() {
            match victim.lock().unwrap().as_mut() {
                Some(child) => child.kill().unwrap(),
                // Cut once, the line is whole again.
                None => left.store(usize::MAX, Ordering::SeqCst),
            }
            break;
        }
        if broker.write_all(&packet).is_err() {
            break;
        }
    }
    let _ = broker.shutdown(Shutdown::Both);
    let _ = program.shutdown(Shutdown::Both);
}

/// One packet whole (MQTT 5, 2.1).
fn packet(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0];
    from.read_exact(&mut packet).ok()?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let mut octet = [0];
        from.read_exact(&mut octet).ok()?;
        packet.push(octet[0]);
        length |= usize::from(octet[0] & 0x7f) << shift;
        shift += 7;
        if octet[0] & 0x80 == 0 {
            break;
        }
    }
    let start = packet.len();
    packet.resize(start + length, 0);
    from.read_exact(&mut packet[start..]).ok()?;
    Some(packet)
}

/// Whatever the broker has as manifest is one of these, and all of its shards are there.
fn is_sound(farm: &Farm, olds: &[Document<Manifest>]) {
    let there = farm.retained();
    let Some(octets) = there.get("edgeseal/farm/manifest") else {
        return;
    };
    let manifest = Document::<Manifest>::load(octets).unwrap();
    let known = olds.iter().any(|old| old.octets() == manifest.octets());
    assert!(known, "sequence {}", manifest.content().sequence);
    assert_eq!(lacking(&there, &manifest), BTreeSet::new());
}

fn change(place: &Place, round: usize) {
    let verb = if round.is_multiple_of(2) {
        "suspend"
    } else {
        "resume"
    };
    place
        .run(&format!("device {verb} device-000 --no-publish"))
        .succeeded();
}

#[test]
fn killed_after_any_packet_the_broker_is_sound_and_the_next_run_completes_it() {
    let farm = Farm::start();
    farm.publish("");
    let scissors = Scissors::lay(farm.broker.port());
    let to = format!("{PUBLISH} --to mqtt://127.0.0.1:{}", scissors.port);
    let args: Vec<&str> = to.split(' ').collect();
    let mut manifests = vec![farm.manifest()];
    for round in 0.. {
        change(&farm.place, round);
        scissors.left.store(round, Ordering::SeqCst);
        let mut command = farm.place.command(&args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        *scissors.victim.lock().unwrap() = Some(child.unwrap());
        let ended = loop {
            let ended = scissors.victim.lock().unwrap().as_mut().unwrap().try_wait();
            if let Some(ended) = ended.unwrap() {
                break ended;
            }
            std::thread::sleep(crate::process::POLL);
        };
        *scissors.victim.lock().unwrap() = None;
        manifests.push(farm.manifest());
        is_sound(&farm, &manifests);
        if ended.success() {
            assert!(round > 10, "nothing was cut");
            break;
        }
        assert_eq!(ended.code(), None, "killed");
        let before = manifests[manifests.len().saturating_sub(2)].clone();
        scissors.left.store(usize::MAX, Ordering::SeqCst);
        let to = format!("publish --again --to mqtt://127.0.0.1:{}", scissors.port);
        farm.place.run(&to).succeeded();
        farm.is_complete(&shards(&before));
    }
}

#[test]
fn a_connection_that_is_cut_after_any_packet_is_made_again() {
    let farm = Farm::start();
    farm.publish("");
    let scissors = Scissors::lay(farm.broker.port());
    let mut manifests = vec![farm.manifest()];
    for round in 0.. {
        change(&farm.place, round);
        let before = farm.manifest();
        scissors.left.store(round, Ordering::SeqCst);
        let to = format!("{PUBLISH} --to mqtt://127.0.0.1:{}", scissors.port);
        let outcome = farm.place.run(&to);
        let was_cut = scissors.left.swap(usize::MAX, Ordering::SeqCst) > round;
        manifests.push(farm.manifest());
        is_sound(&farm, &manifests);
        if outcome.code != 0 {
            // It never was connected: the registry has it, and says so.
            let said = outcome.refused(69, "no-broker");
            assert!(said.contains("edgeseal publish --again"), "{said}");
            let to = format!("publish --again --to mqtt://127.0.0.1:{}", scissors.port);
            farm.place.run(&to).succeeded();
        }
        farm.is_complete(&shards(&before));
        if !was_cut {
            assert!(round > 10, "nothing was cut");
            break;
        }
    }
}
