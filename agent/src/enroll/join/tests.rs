use super::*;
use crate::durable_file::Live;
use crate::durable_file::tests::PowerCut;
use crate::enroll::edge;
use crate::trust_link::BrokerFile;
use edgeseal_trust::document::{Authority, DocumentType, add_signatures, sign};
use edgeseal_trust::enrollment::{Broker, JoinDraft, JoinId};
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::SigningKey;
use std::fs;
use tempfile::TempDir;

/// A device without a clock.
const NO_CLOCK: UnixTime = UnixTime::from_seconds(0);
const ISSUED: UnixTime = UnixTime::from_seconds(1_800_000_000);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn board() -> Board {
    Board {
        serial: Some("10000000ABCDEF01".to_owned()),
        machine_id: None,
    }
}

/// A root of `domain`, signed by the keys of these seeds; its registrar is key 2.
fn root(domain: &str, version: u64, own: u8, signers: &[u8]) -> Vec<u8> {
    let authority = |seed| Authority::new(1, vec![key(seed).public().clone()]).unwrap();
    let root = Root {
        domain: TrustDomain::parse(domain).unwrap(),
        version,
        issued_at: ISSUED,
        expires_at: ISSUED.plus(1_000_000),
        root: authority(own),
        registrar: authority(2),
    };
    let payload = root.to_payload().unwrap();
    let (first, others) = signers.split_first().unwrap();
    let mut octets = sign(DocumentType::Root, &payload, &[&key(*first)]);
    for seed in others {
        octets = add_signatures(&octets, DocumentType::Root, &[&key(*seed)]).unwrap();
    }
    octets
}

fn join(root: &[u8], domain: &str, change: impl FnOnce(&mut JoinDraft)) -> Vec<u8> {
    let mut draft = JoinDraft {
        domain: TrustDomain::parse(domain).unwrap(),
        id: JoinId::from_octets([7; 16]),
        one_time: key(9).public().id(),
        device: None,
        roles: Vec::new(),
        groups: Vec::new(),
        serial: None,
        issued_at: ISSUED,
        expires_at: ISSUED.plus(86_400),
    };
    change(&mut draft);
    let token = draft.sign(&key(2)).unwrap();
    let broker = Broker {
        url: "mqtts://broker.example".to_owned(),
        ca: None,
        username: Some("join".to_owned()),
        password: None,
    };
    let file = JoinFile::new(root, broker, &token, &[9; 32]).unwrap();
    file.write().to_vec()
}

fn usual() -> Vec<u8> {
    join(&root("farm", 1, 1, &[1]), "farm", |_| {})
}

/// A card with a join file, and a state directory.
struct Device {
    dir: TempDir,
    card: TempDir,
}

impl Device {
    fn new(file: &[u8]) -> Self {
        let device = Self {
            dir: tempfile::tempdir().unwrap(),
            card: tempfile::tempdir().unwrap(),
        };
        device.put(file);
        device
    }

    fn put(&self, file: &[u8]) {
        fs::write(self.path(), file).unwrap();
    }

    fn path(&self) -> PathBuf {
        self.card.path().join("join.json")
    }

    fn take(&self, disk: &dyn Disk) -> Result<KeptRequest, ErrorBody> {
        let offered = Offered::read(&self.path())?.unwrap();
        take(disk, self.dir.path(), &offered, None, &board(), NO_CLOCK)
    }

    fn look(&self) -> edge::Looked {
        edge::look(self.dir.path(), &[self.path()], &board(), NO_CLOCK)
    }

    fn refusal(&self) -> ErrorBody {
        let before = self.content();
        let refusal = self.take(&Live).unwrap_err();
        assert!(refusal.hint.is_some(), "{refusal:?}");
        assert_eq!(self.content(), before, "nothing was taken");
        assert!(self.path().exists(), "nothing was shredded");
        refusal
    }

    fn content(&self) -> Vec<(String, Vec<u8>)> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let mut content: Vec<_> = files
            .filter(|path| path.is_file())
            .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
            .collect();
        content.sort();
        content
    }
}

#[test]
fn a_join_file_pins_the_root_keeps_the_broker_and_becomes_a_request() {
    let device = Device::new(&usual());
    let kept = device.take(&Live).unwrap();
    let request = EnrollmentRequest::verify(kept.request.as_bytes()).unwrap();
    let identity = identity::load(device.dir.path(), &board()).unwrap();
    assert_eq!(request.key.id(), identity.key().public().id());
    assert_eq!(request.draft.domain.unwrap().as_str(), "farm");
    assert_eq!(
        request.draft.device.unwrap().as_str(),
        "pi-10000000abcdef01"
    );
    assert_eq!(request.draft.issued_at, None, "there is no clock");
    assert_eq!(request.one_time.unwrap().id(), key(9).public().id());
    let roots = Store::roots_in(device.dir.path()).unwrap();
    assert_eq!(roots.len(), 1);
    let broker = BrokerFile::read(device.dir.path()).unwrap().unwrap();
    assert_eq!(broker.url, "mqtts://broker.example");
    assert!(device.path().exists(), "the file stays until the end");
    // The same octets every time, and nothing is written again.
    let before = device.content();
    assert_eq!(device.take(&Live).unwrap(), kept);
    let looked = device.look();
    assert_eq!(
        looked.ask.unwrap().digest,
        Digest::of(kept.request.as_bytes())
    );
    assert_eq!(looked.problem, None);
    assert_eq!(device.content(), before);
}

#[test]
fn stopped_after_any_operation_it_goes_on_with_one_key_and_one_request() {
    for operations in 0.. {
        let device = Device::new(&usual());
        let cut = device.take(&PowerCut::after(operations));
        let made = identity::load(device.dir.path(), &board()).ok();
        let made = made.map(|identity| identity.key().public().id());
        assert!(device.path().exists(), "after {operations}");
        let kept = device.take(&Live).unwrap();
        assert!(
            made.is_none_or(|made| made == kept.kid),
            "another key after {operations}"
        );
        assert!(edge::request_to_send(device.dir.path(), kept.kid).is_ok());
        // The mark that it was sent outlives the next look.
        assert!(device.look().ask.unwrap().sent, "after {operations}");
        if cut.is_ok() {
            assert!(operations > 15, "it does less than it should");
            return;
        }
    }
}

#[test]
fn a_shredding_stopped_after_any_operation_is_finished_later_and_touches_no_other_file() {
    for operations in 0.. {
        let device = Device::new(&usual());
        let kept = device.take(&Live).unwrap();
        let cut = shred(&PowerCut::after(operations), &kept.join_files);
        let found = fs::read(device.path()).ok();
        if let Some(left) = &found {
            assert!(*left == usual() || left.iter().all(|octet| *octet == 0));
        }
        let again = shred(&Live, &kept.join_files);
        assert_eq!(again, Ok(()));
        assert!(!device.path().exists(), "after {operations}");
        if cut.is_ok() {
            assert_eq!(found, None);
            break;
        }
    }
    let device = Device::new(&usual());
    let kept = device.take(&Live).unwrap();
    // Of its sectors one was overwritten, and the seed may lie in another.
    let mut torn = usual();
    torn[..10].fill(0);
    device.put(&torn);
    assert_eq!(shred(&Live, &kept.join_files), Ok(()));
    assert!(!device.path().exists());
    // Files that were put there since: of somebody else, or a new join file as an editor saves it.
    let text = String::from_utf8(usual()).unwrap();
    let utf_16 = |octets: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(octets).collect();
    let mut ends_in_zeros = usual();
    ends_in_zeros.extend([0; 8]);
    for other in [
        b"a file of somebody else".to_vec(),
        utf_16(u16::to_le_bytes),
        utf_16(u16::to_be_bytes),
        ends_in_zeros,
        Vec::new(),
    ] {
        device.put(&other);
        assert_eq!(shred(&Live, &kept.join_files), Ok(()));
        assert_eq!(fs::read(device.path()).unwrap(), other);
    }
}

#[test]
fn a_join_file_of_another_root_is_refused() {
    let device = Device::new(&usual());
    device.take(&Live).unwrap();
    for other in [
        root("farm", 1, 5, &[5]),
        root("yard", 1, 1, &[1]),
        root("farm", 3, 1, &[1]),
        root("farm", 2, 5, &[5]),
    ] {
        let domain = Document::<Root>::load(&other).unwrap();
        let domain = domain.content().domain.to_string();
        device.put(&join(&other, &domain, |_| {}));
        let refusal = device.refusal();
        assert_eq!(refusal.code, "join-root");
        assert!(refusal.reason.contains("words"), "{}", refusal.reason);
        // What was asked for before is asked for still.
        let looked = device.look();
        assert!(looked.ask.is_some() && looked.problem.is_some());
    }
    // The next root of the chain, signed by both, is no other one; it is not pinned.
    device.put(&join(&root("farm", 2, 5, &[5, 1]), "farm", |_| {}));
    device.take(&Live).unwrap();
    assert_eq!(Store::roots_in(device.dir.path()).unwrap().len(), 1);
}

#[test]
fn a_damaged_or_unreadable_file_is_named_with_what_to_do() {
    let whole = usual();
    for length in (0..whole.len()).step_by(37) {
        let device = Device::new(&whole[..length]);
        assert!(device.refusal().code.starts_with("join-file-"), "{length}");
    }
    for place in (0..whole.len()).step_by(53) {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        let device = Device::new(&damaged);
        let taken = device.take(&Live);
        let broker = String::from_utf8_lossy(&damaged).contains("mqtts://broker.example");
        let user = String::from_utf8_lossy(&damaged).contains(r#""username":"join""#);
        assert!(taken.is_err() || !broker || !user, "{place}");
    }
    let device = Device::new(&vec![b' '; limits::JOIN_FILE_OCTETS + 1]);
    let looked = device.look();
    assert_eq!(looked.problem.unwrap().code, "join-file-unreadable");
    fs::remove_file(device.path()).unwrap();
    fs::create_dir(device.path()).unwrap();
    let looked = device.look();
    assert_eq!(looked.problem.unwrap().code, "join-file-unreadable");
    fs::remove_dir(device.path()).unwrap();
    let looked = device.look();
    assert!(
        looked.ask.is_none() && looked.problem.is_none(),
        "none is normal"
    );
    assert!(device.content().is_empty());
}

#[test]
fn a_file_for_another_board_or_device_is_refused_before_anything_is_used() {
    let of = |serial: &str| {
        let serial = serial.to_owned();
        join(&root("farm", 1, 1, &[1]), "farm", |draft| {
            draft.serial = Some(serial);
            draft.device = DeviceId::parse("pump-1").ok();
        })
    };
    let device = Device::new(&of("ffff"));
    assert_eq!(device.refusal().code, "join-serial");
    device.put(&of("10000000ABCDEF01"));
    let offered = Offered::read(&device.path()).unwrap().unwrap();
    let other = DeviceId::parse("pump-2").ok();
    let dir = device.dir.path();
    let refusal = take(&Live, dir, &offered, other, &board(), NO_CLOCK).unwrap_err();
    assert_eq!(refusal.code, "join-device");
    let kept = device.take(&Live).unwrap();
    let request = EnrollmentRequest::verify(kept.request.as_bytes()).unwrap();
    assert_eq!(request.draft.device.unwrap().as_str(), "pump-1");
}

#[test]
fn a_card_in_another_board_asks_for_nothing() {
    let device = Device::new(&usual());
    device.take(&Live).unwrap();
    let other = Board {
        serial: Some("20000000".to_owned()),
        machine_id: None,
    };
    let looked = edge::look(device.dir.path(), &[device.path()], &other, NO_CLOCK);
    assert_eq!(looked.problem.unwrap().code, "board-mismatch");
}

#[test]
fn a_stored_request_of_another_key_or_damaged_is_made_anew() {
    let device = Device::new(&usual());
    let kept = device.take(&Live).unwrap();
    fs::write(device.dir.path().join("request.json"), "half").unwrap();
    assert_eq!(device.take(&Live).unwrap().request, kept.request);
    for name in ["identity.pem", "identity.json"] {
        fs::remove_file(device.dir.path().join(name)).unwrap();
    }
    let anew = device.take(&Live).unwrap();
    assert_ne!(anew.kid, kept.kid);
    assert!(edge::request_to_send(device.dir.path(), kept.kid).is_err());
}
