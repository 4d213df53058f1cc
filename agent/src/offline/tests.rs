#![allow(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{BatchSummary, LINE_OCTETS, OfflineError, Options, Replay, Verifier};
use crate::engine::{Engine, InForce, KeyTable, Settings, Signing};
use crate::wire::SignRequest;
use edgeseal_trust::clock::ClockReading;
use edgeseal_trust::document::{
    Authority, BundleWriter, DeviceEntry, Digest, DocumentType, KeyEntry, Manifest, Root, Shard,
    shard_of, sign,
};
use edgeseal_trust::grant::{AudiencePattern, Grant};
use edgeseal_trust::id::{DeviceId, RoleName, TrustDomain};
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::registry::{DeviceState, KeyState, Role};
use edgeseal_trust::time::UnixTime;
use edgeseal_trust::topic::TopicFilter;
use edgeseal_trust::update::view;
use edgeseal_trust::words::Words;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;

const NOW: u64 = 1_800_000_000;

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_seconds(seconds)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn device(seed: u8, id: &str) -> DeviceEntry {
    DeviceEntry {
        id: DeviceId::parse(id).unwrap(),
        state: DeviceState::Active,
        reason: None,
        keys: vec![KeyEntry {
            key: key(seed).public().clone(),
            state: KeyState::Active,
            not_before: at(0),
            retired_at: None,
        }],
        roles: vec![RoleName::parse("sensor").unwrap()],
        groups: Vec::new(),
        serial: None,
    }
}

/// A domain with the devices `one` and `two`: its bundle file, the words of its root, and an
/// engine that signs as `one`.
struct Domain {
    bundle: Vec<u8>,
    words: Words,
    one: Engine,
}

fn domain() -> Domain {
    let name = TrustDomain::parse("farm").unwrap();
    let (root_key, registrar) = (key(101), key(102));
    let authority = |key: &SigningKey| Authority::new(1, vec![key.public().clone()]).unwrap();
    let root = Root {
        domain: name.clone(),
        version: 1,
        issued_at: at(NOW - 1000),
        expires_at: at(NOW + 1_000_000),
        root: authority(&root_key),
        registrar: authority(&registrar),
    };
    let signed_root = sign(
        DocumentType::Root,
        &root.to_payload().unwrap(),
        &[&root_key],
    );
    let entries = [device(1, "one"), device(2, "two")];
    let shards: Vec<Vec<u8>> = (0..2)
        .map(|index| {
            let mine = entries
                .iter()
                .filter(|entry| shard_of(&entry.id, 2) == index);
            let shard = Shard::new(index, 2, mine.cloned().collect()).unwrap();
            shard.to_octets().unwrap()
        })
        .collect();
    let grant = |publish: &str, audience: &str| Grant {
        publish: vec![TopicFilter::parse(publish).unwrap()],
        audiences: vec![AudiencePattern::parse(audience).unwrap()],
        ..Grant::default()
    };
    let manifest = Manifest {
        domain: name,
        root_version: 1,
        sequence: 1,
        issued_at: at(NOW - 100),
        expires_at: at(NOW + 100_000),
        roles: vec![Role {
            name: RoleName::parse("sensor").unwrap(),
            grants: vec![grant("site/{device}", "domain"), grant("cmd", "device:*")],
            manifest_age_seconds: None,
        }],
        groups: Vec::new(),
        shards: shards.iter().map(|shard| Digest::of(shard)).collect(),
    };
    let payload = manifest.to_payload().unwrap();
    let signed_manifest = sign(DocumentType::Manifest, &payload, &[&registrar]);
    let mut writer = BundleWriter::begin(Vec::new(), &[&signed_root], &signed_manifest, 2).unwrap();
    for shard in &shards {
        writer.shard(shard).unwrap();
    }
    let keys: KeyTable = entries.iter().flat_map(DeviceEntry::peer_keys).collect();
    let signing = Signing::Ready {
        epoch: 3,
        key: Box::new(key(1)),
    };
    let mut one = Engine::new(Settings::default(), signing, None);
    one.set_in_force(Some(InForce {
        own: keys.get(key(1).public().id()).map(|key| (&**key).into()),
        view: Arc::new(view(&root, &manifest)),
        keys: Box::new(keys),
    }));
    Domain {
        bundle: writer.finish().unwrap(),
        words: Words::of_root(&signed_root),
        one,
    }
}

impl Domain {
    fn open(&self, options: &Options) -> Result<Verifier, OfflineError> {
        Verifier::open(&self.bundle[..], Settings::default(), options)
    }

    /// A line of a batch with a token of `one`.
    fn line(&mut self, request: Value) -> Value {
        let request: SignRequest = serde_json::from_value(request).unwrap();
        let now = self.one.now(clock());
        let signed = self.one.sign(&request, &now).unwrap();
        json!({
            "token": signed.token, "topic": request.topic, "payload_b64": request.payload_b64,
        })
    }

    fn honest(&mut self) -> Value {
        self.line(json!({ "topic": "site/one", "payload_b64": "MjE=" }))
    }
}

fn clock() -> ClockReading {
    ClockReading {
        time: at(NOW),
        synchronized: true,
    }
}

fn pinned(domain: &Domain) -> Options {
    Options {
        root: Some(domain.words),
        ..Options::default()
    }
}

fn batch(verifier: &mut Verifier, input: &str) -> (Vec<Value>, BatchSummary) {
    let mut output = Vec::new();
    let summary = verifier
        .batch(input.as_bytes(), &mut output, clock)
        .unwrap();
    let lines = std::str::from_utf8(&output).unwrap().lines();
    let lines = lines.map(|line| serde_json::from_str(line).unwrap());
    (lines.collect(), summary)
}

fn outcome(line: &Value) -> &str {
    match line["verdict"].as_str() {
        Some("verified") => "verified",
        _ => line["code"].as_str().unwrap(),
    }
}

#[test]
fn replay_is_remembered_across_the_lines_unless_it_is_to_be_forgotten() {
    let mut domain = domain();
    let honest = domain.honest();
    let panel = {
        let mut line = honest.clone();
        line["consumer"] = "panel".into();
        line
    };
    let input = format!("{honest}\n{honest}\n{panel}\n");
    let mut verifier = domain.open(&pinned(&domain)).unwrap();
    let (lines, summary) = batch(&mut verifier, &input);
    let outcomes: Vec<&str> = lines.iter().map(outcome).collect();
    assert_eq!(outcomes[..2], ["verified", "replay"]);
    assert_ne!(outcomes[2], "verified", "a new consumer gains nothing");
    assert_eq!((summary.verified, summary.rejected), (1, 2));
    assert_eq!(lines[0]["device"], "one");
    assert!(lines[0].get("root_words").is_none());
    let options = Options {
        replay: Replay::Forget,
        ..pinned(&domain)
    };
    let (lines, _) = batch(&mut domain.open(&options).unwrap(), &input);
    assert!(lines.iter().all(|line| outcome(line) == "verified"));
}

#[test]
fn the_words_of_the_root_must_match_or_come_with_every_verdict() {
    let mut domain = domain();
    let honest = domain.honest();
    let words = domain.words.to_string();
    let mut unpinned = domain.open(&Options::default()).unwrap();
    assert_eq!(unpinned.unpinned_root(), Some(&domain.words));
    let (lines, _) = batch(&mut unpinned, &format!("{honest}\nnonsense"));
    assert!(lines.iter().all(|line| line["root_words"] == words));
    let other = Options {
        root: Some(Words::of_root(b"another")),
        ..Options::default()
    };
    let refusal = domain.open(&other).err().unwrap();
    assert_eq!(refusal.code(), "root-words");
    assert!(refusal.hint().is_some());
    assert_eq!(domain.open(&pinned(&domain)).unwrap().unpinned_root(), None);
}

#[test]
fn as_a_device_what_is_addressed_to_it_counts() {
    let mut domain = domain();
    let command = domain.line(json!({
        "topic": "cmd", "payload_b64": "", "audience": "device:two",
    }));
    let as_device = |id: &str| Options {
        device: Some(DeviceId::parse(id).unwrap()),
        ..pinned(&domain)
    };
    let verdict = |options: &Options| {
        let (lines, _) = batch(&mut domain.open(options).unwrap(), &command.to_string());
        outcome(&lines[0]).to_owned()
    };
    assert_eq!(verdict(&pinned(&domain)), "audience");
    assert_eq!(verdict(&as_device("one")), "audience");
    assert_eq!(verdict(&as_device("two")), "verified");
    let absent = domain.open(&as_device("three")).err().unwrap();
    assert_eq!(absent.code(), "unknown-device");
}

#[test]
fn a_line_says_when_it_is_or_the_clock_does() {
    let mut domain = domain();
    let honest = domain.honest();
    let timed = |now: u64| {
        let mut line = honest.clone();
        line["now"] = now.into();
        line.to_string()
    };
    let input = [timed(NOW + 69), timed(NOW + 70), timed(0), timed(u64::MAX)].join("\n");
    let mut verifier = domain.open(&pinned(&domain)).unwrap();
    let (lines, summary) = batch(&mut verifier, &input);
    let outcomes: Vec<&str> = lines.iter().map(outcome).collect();
    assert_eq!(
        outcomes,
        ["verified", "expired", "clock-behind-floor", "trust-stale"]
    );
    assert_eq!(lines[2]["error"], "failure");
    assert_eq!(summary.failed, 2);
}

#[test]
fn a_bad_line_is_told_with_its_number_and_the_next_one_is_judged() {
    let mut domain = domain();
    let honest = domain.honest();
    let mut unknown = honest.clone();
    unknown["audience"] = "any".into();
    let long = "x".repeat(LINE_OCTETS + 1);
    let deep = "[".repeat(100_000);
    let input = format!("{long}\n\n{unknown}\n{{\n{deep}\n\u{1b}\n7\n{honest}");
    let mut verifier = domain.open(&pinned(&domain)).unwrap();
    let (lines, summary) = batch(&mut verifier, &input);
    assert_eq!(lines.len(), 8);
    for (number, line) in lines[..7].iter().enumerate() {
        assert_eq!(line["code"], "bad-line", "{line}");
        let reason = line["reason"].as_str().unwrap();
        assert!(
            reason.starts_with(&format!("line {}: ", number + 1)),
            "{reason}"
        );
    }
    assert!(
        lines[2]["reason"]
            .as_str()
            .unwrap()
            .contains("unknown field `audience`")
    );
    assert_eq!(outcome(&lines[7]), "verified", "the last line has no end");
    assert_eq!((summary.bad, summary.verified), (7, 1));
    let not_text = [&b"\xff\xfe\n"[..], honest.to_string().as_bytes(), b"\n"].concat();
    let mut output = Vec::new();
    let summary = verifier.batch(&not_text[..], &mut output, clock).unwrap();
    assert_eq!(
        (summary.bad, summary.rejected),
        (1, 1),
        "it was accepted above"
    );
    let (lines, _) = batch(&mut verifier, "");
    assert_eq!(lines.len(), 0);
}

#[test]
fn a_line_of_exactly_the_limit_is_read() {
    let domain = domain();
    let mut verifier = domain.open(&pinned(&domain)).unwrap();
    let line = |length: usize| format!("\"{}\"\n", "x".repeat(length - 2));
    let (lines, _) = batch(&mut verifier, &line(LINE_OCTETS));
    assert!(
        lines[0]["reason"]
            .as_str()
            .unwrap()
            .contains("invalid type")
    );
    let (lines, _) = batch(&mut verifier, &line(LINE_OCTETS + 1));
    assert!(lines[0]["reason"].as_str().unwrap().contains("longer than"));
}

#[test]
fn a_bundle_that_is_cut_or_altered_is_no_ground() {
    let domain = domain();
    let open = |bundle: &[u8]| {
        let opened = Verifier::open(bundle, Settings::default(), &pinned(&domain));
        opened.err().map(|error| error.code())
    };
    assert_eq!(open(&domain.bundle), None);
    assert_eq!(open(b""), Some("bundle-truncated"));
    let cut = domain.bundle.len() - 30;
    assert_eq!(open(&domain.bundle[..cut]), Some("bundle-truncated"));
    let altered = String::from_utf8(domain.bundle.clone()).unwrap();
    let altered = altered.replace(r#""state":"active""#, r#""state":"pending""#);
    assert!(open(altered.as_bytes()).is_some());
}

#[test]
fn explaining_needs_no_daemon_either() {
    let mut domain = domain();
    let honest = domain.honest();
    let request = serde_json::from_value(honest).unwrap();
    let verifier = domain.open(&Options::default()).unwrap();
    let now = verifier.now(clock());
    let json = serde_json::to_value(verifier.explain(&request, &now)).unwrap();
    assert_eq!(json["checks"].as_array().unwrap().len(), 18);
    assert_eq!(json["verdict"], "verified");
    assert_eq!(json["root_words"], domain.words.to_string());
}

/// The vectors of the wire profile, but for those that speak of a receiving rule or of a start.
#[test]
fn a_batch_gives_every_vector_its_verdict() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let bundle = fs::read(folder.join("farm.bundle")).unwrap();
    let options = Options {
        device: Some(DeviceId::parse("pump").unwrap()),
        ..Options::default()
    };
    let mut judged = 0;
    for file in fs::read_dir(folder.join("token")).unwrap() {
        let path = file.unwrap().path();
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        if vector.get("rule").is_some() || vector.get("since").is_some() {
            continue;
        }
        let mut verifier = Verifier::open(&bundle[..], Settings::default(), &options).unwrap();
        let before = vector["before"].as_array().into_iter().flatten();
        let lines: Vec<String> = before
            .chain([&vector["line"]])
            .map(ToString::to_string)
            .collect();
        let (verdicts, _) = batch(&mut verifier, &lines.join("\n"));
        let (last, honest) = verdicts.split_last().unwrap();
        assert_eq!(
            outcome(last),
            vector["expect"],
            "{}: {last}",
            path.display()
        );
        assert!(honest.iter().all(|line| outcome(line) == "verified"));
        judged += 1;
    }
    assert!(judged >= 150, "{judged}");
}
