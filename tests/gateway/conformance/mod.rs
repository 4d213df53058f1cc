//! About a hundred cases from both specifications, played against the broker alone and through a gateway: the same is heard, or the
//! difference and its reason stand in `docs/conformance.md`. `EDGESEAL_TESTS_WRITE=1` writes that page anew.

mod connecting;
mod publishing;
mod refused;
mod subscribing;
mod talk;

use crate::world::World;
use std::collections::VecDeque;
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use talk::{Talk, Transcript};

/// What a specification says, as a conversation.
pub(crate) struct Case {
    /// Statement of MQTT 5.0, or of 3.1.1 where it has another.
    pub(crate) clause: &'static str,
    pub(crate) name: &'static str,
    /// 4 is MQTT 3.1.1.
    pub(crate) versions: &'static [u8],
    pub(crate) play: fn(&mut Talk<'_>),
    /// Why a gateway does otherwise, for these versions.
    pub(crate) differs: Option<(&'static [u8], &'static str)>,
}

pub(crate) const BOTH: &[u8] = &[4, 5];
pub(crate) const FOUR: &[u8] = &[4];
pub(crate) const FIVE: &[u8] = &[5];

/// A case that is the same through a gateway.
pub(crate) const fn case(
    clause: &'static str,
    name: &'static str,
    versions: &'static [u8],
    play: fn(&mut Talk<'_>),
) -> Case {
    Case {
        clause,
        name,
        versions,
        play,
        differs: None,
    }
}

impl Case {
    /// The same, but for a difference that is wanted.
    pub(crate) const fn differs(mut self, versions: &'static [u8], why: &'static str) -> Self {
        self.differs = Some((versions, why));
        self
    }
}

#[test]
fn a_gateway_speaks_mqtt_as_the_broker_does() {
    let mut world = World::new();
    if world.broker.mosquitto().is_none() {
        return; // the differences are listed against mosquitto, which CI has
    }
    let is_direct = world.is_direct();
    let (broker, gateway) = (world.broker.port(), world.device("alpha").port);
    let due: VecDeque<(&Case, u8)> = CASES
        .iter()
        .copied()
        .flatten()
        .flat_map(|case| case.versions.iter().map(move |version| (case, *version)))
        .collect();
    let count = due.len();
    let (due, complaints) = (Mutex::new(due), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((case, version)) = { due.lock().unwrap().pop_front() } {
                    if let Some(complaint) = compare(case, version, broker, gateway, is_direct) {
                        complaints.lock().unwrap().push(complaint);
                    }
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(
        complaints.is_empty(),
        "of {count}:\n{}",
        complaints.join("\n")
    );
    assert!(count >= 100, "{count} cases");
}

#[test]
fn the_page_of_differences_is_true() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    if std::env::var_os("EDGESEAL_TESTS_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "EDGESEAL_TESTS_WRITE=1 writes it anew");
}

/// In the order of the page.
const CASES: &[&[Case]] = &[
    connecting::CASES,
    publishing::FLOWS,
    publishing::RETAINED,
    publishing::PROPERTIES,
    refused::BEFORE_CONNACK,
    refused::AFTER_CONNACK,
    refused::PROPERTIES,
    subscribing::CASES,
];

fn compare(case: &Case, version: u8, broker: u16, gateway: u16, is_direct: bool) -> Option<String> {
    let mut direct = Talk::new("direct", broker, case.name, version, None);
    (case.play)(&mut direct);
    let direct = direct.end();
    let mut through = Talk::new("gateway", gateway, case.name, version, Some(&direct));
    (case.play)(&mut through);
    let through = through.end();
    let is_same = text(&direct) == text(&through);
    let reason = case
        .differs
        .filter(|(versions, _)| versions.contains(&version) && !is_direct);
    match (is_same, reason) {
        (true, None) | (false, Some(_)) => None,
        (true, Some((_, why))) => Some(format!(
            "{} (version {version}) is the same, and listed as different: {why}",
            case.name
        )),
        (false, None) => Some(format!(
            "{} [{}] (version {version})\n  broker:\n{}  gateway:\n{}",
            case.name,
            case.clause,
            text(&direct),
            text(&through)
        )),
    }
}

/// What a program can see; the gateway's own annotations are said once in the page, and CONNACK's limits too.
fn text(transcript: &Transcript) -> String {
    let mut text = String::new();
    for (step, heard) in transcript.iter().enumerate() {
        for (name, told) in heard {
            for (at, line) in told.iter().enumerate() {
                // It may say why before it closes, or not.
                let is_reason =
                    line.starts_with("DISCONNECT") && !line.starts_with("DISCONNECT 00");
                if is_reason && told.get(at + 1).is_some_and(|next| next == "closed") {
                    continue;
                }
                let shown = line.split(" edgeseal-").next().unwrap_or_default();
                let shown = match shown.strip_prefix("CONNACK ") {
                    Some(rest) => format!("CONNACK {}", rest.get(..5).unwrap_or(rest)),
                    None => shown.to_owned(),
                };
                writeln!(text, "    {step} {name}: {shown}").unwrap();
            }
        }
    }
    text
}

fn page() -> String {
    let mut page = String::from(HEAD);
    for case in CASES.iter().copied().flatten() {
        let versions: Vec<&str> = case.versions.iter().map(|at| version(*at)).collect();
        let result = match case.differs {
            None => "same".to_owned(),
            Some((differing, why)) if differing.len() < case.versions.len() => {
                let named: Vec<&str> = differing.iter().map(|at| version(*at)).collect();
                format!("{} differs: {why}", named.join(", "))
            }
            Some((_, why)) => format!("differs: {why}"),
        };
        writeln!(
            page,
            "| {} | {} | {} | {result} |",
            case.clause,
            case.name,
            versions.join(", ")
        )
        .unwrap();
    }
    page
}

fn version(version: u8) -> &'static str {
    if version == 5 { "5" } else { "3.1.1" }
}

const AT_ONCE: usize = 8;
const HEAD: &str = "# Conformance

Conversations from the specifications (statement of MQTT 5.0, or of 3.1.1 where only that has it), played twice as raw packets: against
mosquitto 2.0.11 alone, and through a gateway in front of it. Written by `tests/gateway/conformance/`, which fails when it is not true.

Everywhere a program of MQTT 5 also sees what the gateway adds: user properties `edgeseal-...` behind its own, and in CONNACK the limits of the
gateway where they are lower (Receive Maximum, Maximum Packet Size) and its own Topic Alias Maximum (16). Before a close, broker or gateway may
send DISCONNECT with a reason, and not always the same one.

| statement | conversation | versions | through the gateway |
| --- | --- | --- | --- |
";
