use super::credentials::Credentials;
use super::{Identity, IdentityError, OldKey, files, init, load, make, reset};
use crate::board::Board;
use crate::durable_file::tests::PowerCut;
use crate::durable_file::{Disk, Live};
use crate::engine::{SignBlock, Signing};
use crate::exit::Exit;
use crate::state_dir::{StateDir, VolatileState};
use edgeseal_trust::enrollment::EnrollmentRequest;
use edgeseal_trust::id::TrustDomain;
use edgeseal_trust::key::SigningKey;
use edgeseal_trust::store::Store;
use edgeseal_trust::time::UnixTime;
use std::cell::{Cell, RefCell};
use std::fs::{self, File, Permissions};
use std::io::{Read, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

fn board(serial: &str) -> Board {
    Board {
        serial: Some(serial.to_owned()),
        machine_id: Some("0123456789abcdef0123456789abcdef".to_owned()),
    }
}

fn fresh_state() -> (TempDir, StateDir) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path(), VolatileState::DangerousAccept).unwrap();
    (dir, state)
}

fn pem(dir: &TempDir) -> PathBuf {
    dir.path().join("identity.pem")
}

fn refusal(dir: &Path) -> IdentityError {
    load(dir, &board("a")).err().unwrap()
}

#[test]
fn a_key_is_made_once_readable_by_its_owner_alone() {
    let (dir, state) = fresh_state();
    let made = init(&state, &board("a"), NOW).unwrap();
    let metadata = fs::metadata(pem(&dir)).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(metadata.nlink(), 1, "no temporary name is left");
    let text = fs::read_to_string(pem(&dir)).unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(text.lines().count(), 3);
    let loaded = load(dir.path(), &board("a")).unwrap();
    assert_eq!(loaded.show(), made.show());
    assert_eq!(loaded.show().created, NOW);
    assert_eq!(loaded.show().board_mismatch, None);
    assert_eq!(loaded.key().public(), made.key().public());

    let again = init(&state, &board("a"), NOW).err().unwrap();
    assert_eq!((again.code(), again.exit()), ("identity-exists", Exit::No));
    assert_eq!(fs::read_to_string(pem(&dir)).unwrap(), text, "not touched");
    let (_elsewhere, another) = fresh_state();
    let other = init(&another, &board("a"), NOW).unwrap();
    assert_ne!(other.show().kid, made.show().kid);
}

#[test]
fn whatever_lies_at_its_place_is_not_overwritten() {
    let (dir, state) = fresh_state();
    symlink("/dev/null", pem(&dir)).unwrap();
    let refusal = init(&state, &board("a"), NOW).err().unwrap();
    assert_eq!(refusal.code(), "identity-exists");
    assert!(
        !dir.path().join("identity.json").exists(),
        "nothing is half done"
    );
    assert_eq!(fs::read_link(pem(&dir)).unwrap(), Path::new("/dev/null"));
}

#[test]
fn leftovers_of_a_try_that_was_cut_off_do_not_matter() {
    let (dir, state) = fresh_state();
    for name in ["identity.pem.new", "identity.json.new", "identity.json"] {
        fs::write(dir.path().join(name), "half").unwrap();
    }
    let made = init(&state, &board("a"), NOW).unwrap();
    let loaded = load(dir.path(), &board("a")).unwrap();
    assert_eq!(loaded.show(), made.show());
    assert!(!dir.path().join("identity.pem.new").exists());
}

#[test]
fn loose_permissions_are_refused_with_the_command_that_repairs_them() {
    let (dir, state) = fresh_state();
    init(&state, &board("a"), NOW).unwrap();
    for mode in [0o640, 0o604, 0o660, 0o620, 0o644, 0o601] {
        fs::set_permissions(pem(&dir), Permissions::from_mode(mode)).unwrap();
        let refusal = refusal(dir.path());
        assert_eq!(refusal.code(), "identity-permissions", "{mode:o}");
        assert_eq!(refusal.exit(), Exit::Permission);
        let command = format!("chmod 0600 {}", pem(&dir).display());
        assert!(refusal.to_string().contains(&command), "{refusal}");
    }
    fs::set_permissions(pem(&dir), Permissions::from_mode(0o400)).unwrap();
    load(dir.path(), &board("a")).unwrap();
}

/// Runs as root in the project's CI; another user cannot give a file away, and then there is
/// nothing to refuse.
#[test]
fn a_key_of_another_user_is_refused() {
    let (dir, state) = fresh_state();
    init(&state, &board("a"), NOW).unwrap();
    if std::os::unix::fs::chown(pem(&dir), Some(12_345), None).is_ok() {
        let refusal = refusal(dir.path());
        assert_eq!(refusal.code(), "identity-owner");
        assert!(refusal.to_string().contains("chown 0 "), "{refusal}");
        // what root makes in the directory of another user belongs to that user
        std::os::unix::fs::chown(dir.path(), Some(12_345), Some(12_345)).unwrap();
        load(dir.path(), &board("a")).unwrap();
        fs::remove_file(pem(&dir)).unwrap();
        init(&state, &board("a"), NOW).unwrap();
        assert_eq!(fs::metadata(pem(&dir)).unwrap().uid(), 12_345);
    }
}

#[test]
fn what_is_absent_damaged_or_no_file_is_said_so() {
    let (dir, state) = fresh_state();
    let absent = refusal(dir.path());
    assert_eq!(
        (absent.code(), absent.exit()),
        ("no-identity", Exit::Unavailable)
    );
    assert!(
        absent.to_string().contains("edgeseal-agent init"),
        "{absent}"
    );
    assert_eq!(SignBlock::from(&absent), SignBlock::NoIdentity);
    let code = || {
        let refusal = refusal(dir.path());
        assert_eq!(refusal.exit(), Exit::Configuration, "{refusal}");
        refusal.code()
    };
    let secret = |octets: &[u8]| {
        fs::write(pem(&dir), octets).unwrap();
        fs::set_permissions(pem(&dir), Permissions::from_mode(0o600)).unwrap();
    };
    secret(b"");
    assert_eq!(code(), "identity-malformed");
    secret(&vec![b'x'; 1_000_000]);
    assert_eq!(code(), "identity-malformed");
    secret(b"\xff\xfe");
    assert_eq!(code(), "identity-malformed");
    fs::remove_file(pem(&dir)).unwrap();
    fs::create_dir(pem(&dir)).unwrap();
    assert_eq!(code(), "identity-malformed");
    fs::remove_dir(pem(&dir)).unwrap();
    init(&state, &board("a"), NOW).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(pem(&dir), &elsewhere).unwrap();
    symlink(&elsewhere, pem(&dir)).unwrap();
    assert_eq!(code(), "identity-io", "a link is not followed");
    fs::rename(&elsewhere, pem(&dir)).unwrap();
    load(dir.path(), &board("a")).unwrap();
    let record = dir.path().join("identity.json");
    for text in ["", "{}", r#"{"format":1,"created":0,"x":1}"#] {
        fs::write(&record, text).unwrap();
        assert_eq!(code(), "identity-malformed", "{text}");
    }
    fs::write(&record, r#"{"format":2,"x":1}"#).unwrap();
    assert_eq!(code(), "identity-unknown-format");
    fs::remove_file(&record).unwrap();
    assert_eq!(code(), "identity-malformed");
}

#[test]
fn a_passphrase_given_as_a_credential_is_over_every_key_that_is_made() {
    let (dir, _state) = fresh_state();
    let given = tempfile::tempdir().unwrap();
    let credentials = || Credentials::in_directory(Some(given.path().into()));
    let passphrase = given.path().join("edgeseal-passphrase");
    let key = SigningKey::from_seed(&[7; 32]);
    fs::write(&passphrase, "0123\n").unwrap();
    files::create_key(&Live, dir.path(), files::KEY_FILE, &key, &credentials()).unwrap();
    let text = fs::read_to_string(pem(&dir)).unwrap();
    assert!(text.contains("ENCRYPTED"), "{text}");
    let read = || files::read_identity(dir.path(), &credentials());
    assert_eq!(read().unwrap().public(), key.public());
    fs::write(&passphrase, "0123\r\n").unwrap();
    assert_eq!(read().unwrap().public(), key.public());
    let code = || read().err().unwrap().code();
    fs::write(&passphrase, "4567").unwrap();
    assert_eq!(code(), "identity-passphrase-wrong");
    fs::write(&passphrase, "\n").unwrap();
    assert_eq!(code(), "identity-malformed");
    fs::remove_file(&passphrase).unwrap();
    assert_eq!(code(), "identity-passphrase");
    let without = files::read_identity(dir.path(), &Credentials::in_directory(None));
    assert_eq!(without.err().unwrap().exit(), Exit::Permission);
}

/// The shell that the reset is typed into does not have the passphrase of the service.
#[test]
fn a_key_under_a_passphrase_is_not_replaced_by_one_in_the_clear() {
    let (dir, _state) = fresh_state();
    let given = tempfile::tempdir().unwrap();
    let service = Credentials::in_directory(Some(given.path().into()));
    let shell = Credentials::in_directory(None);
    let replace = |credentials| super::replace(&Live, dir.path(), &board("a"), NOW, credentials);
    replace(&shell).unwrap();
    assert!(!files::lies_in_the_clear(dir.path(), &service));
    fs::write(given.path().join("edgeseal-passphrase"), "0123\n").unwrap();
    assert!(files::lies_in_the_clear(dir.path(), &service));
    assert!(!files::lies_in_the_clear(dir.path(), &shell));
    replace(&service).unwrap();
    assert!(!files::lies_in_the_clear(dir.path(), &service));
    let content = || {
        let names = ["identity.pem", "identity.json"];
        names.map(|name| fs::read(dir.path().join(name)).unwrap())
    };
    let before = content();
    let refusal = replace(&shell).err().unwrap();
    assert_eq!(refusal.code(), "identity-passphrase");
    assert!(refusal.hint().contains("edgeseal-passphrase"), "{refusal}");
    assert_eq!(content(), before, "nothing is half done");
    replace(&service).unwrap();
    assert!(content()[0].starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
}

#[test]
fn a_key_given_as_a_credential_is_the_key_and_is_not_replaced() {
    let (dir, state) = fresh_state();
    init(&state, &board("a"), NOW).unwrap();
    let given = tempfile::tempdir().unwrap();
    let credentials = || Credentials::in_directory(Some(given.path().into()));
    let key = SigningKey::from_seed(&[7; 32]);
    let text = super::pem::encode(&key, None).unwrap();
    credentials().expect_no_identity().unwrap();
    fs::write(given.path().join("edgeseal-identity"), text.as_bytes()).unwrap();
    let read = files::read_identity(dir.path(), &credentials()).unwrap();
    assert_eq!(read.public(), key.public());
    let refusal = credentials().expect_no_identity().unwrap_err();
    assert_eq!(refusal.code(), "identity-from-credential");
    fs::write(given.path().join("edgeseal-identity"), vec![b'x'; 1 << 20]).unwrap();
    let refusal = files::read_identity(dir.path(), &credentials());
    assert_eq!(refusal.err().unwrap().code(), "identity-io");
}

/// The shell that the reset is typed into does not have the credentials of the service.
#[test]
fn a_reset_does_not_bind_the_key_of_a_credential_to_the_board_of_a_copied_card() {
    let (dir, _state) = fresh_state();
    let given = tempfile::tempdir().unwrap();
    let service = Credentials::in_directory(Some(given.path().into()));
    let shell = Credentials::in_directory(None);
    let code = |board: &Board| super::load_by(dir.path(), board, &service).err().unwrap();
    let (old, _) = super::replace(&Live, dir.path(), &board("a"), NOW, &shell).unwrap();
    fs::rename(pem(&dir), given.path().join("edgeseal-identity")).unwrap();
    let copied = super::load_by(dir.path(), &board("b"), &service).unwrap();
    assert!(copied.binding().is_err());
    for operations in 0.. {
        let disk = PowerCut::after(operations);
        let reset = super::replace(&disk, dir.path(), &board("b"), NOW, &shell);
        match super::load_by(dir.path(), &board("b"), &service) {
            Ok(identity) => assert!(identity.binding().is_err(), "after {operations}"),
            Err(error) => assert_eq!(error.code(), "identity-record"),
        }
        if let Ok((new, _)) = reset {
            assert_ne!(new.show().kid, old.show().kid);
            break;
        }
    }
    let refusal = code(&board("b"));
    assert_eq!(
        (refusal.code(), refusal.exit()),
        ("identity-record", Exit::Configuration)
    );
    assert!(refusal.hint().contains("edgeseal-identity"), "{refusal}");
    fs::copy(pem(&dir), given.path().join("edgeseal-identity")).unwrap();
    let sealed = super::load_by(dir.path(), &board("b"), &service).unwrap();
    assert!(sealed.binding().is_ok());
}

#[test]
fn a_record_of_an_earlier_version_names_no_key_and_is_taken() {
    let (dir, state) = fresh_state();
    let made = init(&state, &board("a"), NOW).unwrap();
    let path = dir.path().join("identity.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let kid = record.as_object_mut().unwrap().remove("kid").unwrap();
    assert_eq!(kid, made.show().kid.to_string());
    fs::write(&path, record.to_string()).unwrap();
    assert_eq!(load(dir.path(), &board("a")).unwrap().show(), made.show());
    record["kid"] = SigningKey::from_seed(&[7; 32])
        .public()
        .id()
        .to_string()
        .into();
    fs::write(&path, record.to_string()).unwrap();
    assert_eq!(refusal(dir.path()).code(), "identity-record");
    super::note_created(dir.path(), NOW).unwrap();
    assert_eq!(refusal(dir.path()).code(), "identity-record");
}

#[test]
fn power_cut_after_any_operation_of_a_reset_leaves_one_working_key() {
    for operations in 0.. {
        let (dir, state) = fresh_state();
        init(&state, &board("a"), NOW).unwrap();
        let disk = PowerCut::after(operations);
        let shell = Credentials::in_directory(None);
        let reset = super::replace(&disk, dir.path(), &board("a"), NOW, &shell);
        let loaded = load(dir.path(), &board("a")).unwrap();
        assert!(loaded.binding().is_ok(), "after {operations}");
        if let Ok((new, _)) = reset {
            assert_eq!(loaded.show(), new.show());
            break;
        }
    }
}

#[test]
fn of_two_who_make_a_key_at_once_the_record_is_of_the_one_that_stays() {
    /// Somebody else makes the identity between two steps.
    struct Rival<'a> {
        dir: &'a Path,
        before: Cell<usize>,
        made: RefCell<Option<Identity>>,
    }
    impl Disk for Rival<'_> {
        fn go_on(&self) -> std::io::Result<()> {
            if self.before.get() == 0 && self.made.borrow().is_none() {
                let made = make(&Live, self.dir, &board("a"), NOW).ok();
                self.made.replace(made);
            }
            self.before.set(self.before.get().saturating_sub(1));
            Ok(())
        }
    }
    let mut lost = 0;
    for before in 0..20 {
        let (dir, _state) = fresh_state();
        let rival = Rival {
            dir: dir.path(),
            before: Cell::new(before),
            made: RefCell::new(None),
        };
        let ours = make(&rival, dir.path(), &board("a"), NOW);
        let loaded = load(dir.path(), &board("a")).unwrap();
        if let Some(theirs) = rival.made.into_inner() {
            lost += 1;
            assert!(ours.is_err(), "after {before}");
            assert_eq!(loaded.show().kid, theirs.show().kid);
        }
    }
    assert!(lost > 3, "{lost}");
}

#[test]
fn on_another_board_it_is_shown_but_signs_nothing_and_takes_no_epoch() {
    let (dir, state) = fresh_state();
    let made = init(&state, &board("a"), NOW).unwrap();
    let kid = made.show().kid;
    let copied = load(dir.path(), &board("b")).unwrap();
    let shown = copied.show();
    assert_eq!(shown.kid, kid);
    assert!(
        shown
            .board_mismatch
            .unwrap()
            .contains("board serial was a, is b")
    );
    let refusal = copied.request(None, None, Some(NOW)).err().unwrap();
    assert_eq!(refusal.code(), "board-mismatch");
    assert!(refusal.to_string().contains("identity reset"), "{refusal}");
    match copied.into_signing(|| panic!("no epoch is asked for")) {
        Signing::Blocked {
            why,
            kid: Some(known),
        } => {
            assert_eq!((why.code(), known), ("board-mismatch", kid));
        }
        _ => panic!("it signs"),
    }
    match load(dir.path(), &board("a"))
        .unwrap()
        .into_signing(|| Ok(7))
    {
        Signing::Ready { epoch: 7, key } => assert_eq!(key.public().id(), kid),
        _ => panic!("it does not sign"),
    }
    match made.into_signing(|| Err(SignBlock::StateLost)) {
        Signing::Blocked { why, kid: Some(_) } => assert_eq!(why, SignBlock::StateLost),
        _ => panic!("it signs"),
    }
}

#[test]
fn a_request_proves_the_key_and_has_the_words_that_the_operator_sees() {
    let (_dir, state) = fresh_state();
    let identity = init(&state, &board("a"), NOW).unwrap();
    let domain = TrustDomain::parse("farm").unwrap();
    let request = identity
        .request(Some(domain.clone()), None, Some(NOW))
        .unwrap();
    let judged = EnrollmentRequest::verify(&request.octets).unwrap();
    assert_eq!(judged.key.id(), identity.show().kid);
    assert_eq!(judged.words, request.words);
    assert_eq!(judged.draft.domain, Some(domain));
    assert_eq!(judged.draft.serial.as_deref(), Some("a"));
}

#[test]
fn a_reset_makes_another_key_shreds_the_old_one_and_binds_this_board() {
    let (dir, state) = fresh_state();
    let (store, _) = Store::open(dir.path()).unwrap();
    let old = init(&state, &board("a"), NOW).unwrap();
    let mut old_file = File::open(pem(&dir)).unwrap();
    let done = reset(&state, &store, &board("b"), NOW).unwrap();
    assert_eq!(done.old_key, Some(OldKey::Shredded));
    let loaded = load(dir.path(), &board("b")).unwrap();
    assert_eq!(loaded.show(), done.identity.show());
    assert_ne!(loaded.show().kid, old.show().kid);
    assert!(loaded.binding().is_ok());
    let mut left = Vec::new();
    old_file.rewind().unwrap();
    old_file.read_to_end(&mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|octet| *octet == 0));
    let mode = fs::metadata(pem(&dir)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    fs::remove_file(pem(&dir)).unwrap();
    let done = reset(&state, &store, &board("b"), NOW).unwrap();
    assert_eq!(done.old_key, None);
}
