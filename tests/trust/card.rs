//! The boot partition of a board as root sees it, and the agent as the user that it runs as: both programs,
//! a real broker, a real registrar.

use crate::broker::{Broker, Mosquitto};
use crate::operator::Place;
use crate::process::{Running, agent_program, finished, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// A board. Where the test is root, the card is root's alone and the agent is somebody else.
struct Board {
    place: Place,
    broker: Broker,
    is_root: bool,
}

impl Board {
    fn new() -> Self {
        let place = Place::farm();
        place.run("role add sensor").succeeded();
        let broker = Broker::start(&place.path("broker"), false);
        place
            .run(&format!("domain broker mqtt://127.0.0.1:{}", broker.port()))
            .succeeded();
        place.run(PUBLISH).succeeded();
        let is_root = rustix::process::geteuid().is_root();
        let board = Self {
            place,
            broker,
            is_root,
        };
        board.lay_out();
        board
    }

    fn lay_out(&self) {
        for (name, mode, is_agents) in [
            ("boot", 0o700, false), // a FAT partition with umask=0077
            ("boot/edgeseal", 0o700, false),
            ("hand-over", 0o750, false),
            ("state", 0o700, true),
            ("run", 0o755, true),
        ] {
            let path = self.place.path(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            if self.is_root {
                let owner = is_agents.then_some(AGENT);
                chown(&path, owner, Some(AGENT)).unwrap();
            }
        }
        let at = |name: &str| self.place.path(name).display().to_string();
        let config = format!(
            "[agent]\nstate_directory = \"{}\"\nruntime_directory = \"{}\"\n\
             dangerous_volatile_state = true\n[clock]\nunsynchronized = \"allow\"\n\
             [enroll]\njoin_file = \"/absent/join.json\"\ncard_directory = \"{}\"\n",
            at("state"),
            at("run"),
            at("hand-over")
        );
        self.place.write("agent.toml", config);
        // The agent's user may not reach the directory of the build.
        let program = agent_program();
        // By a process of its own: a file that is open for writing in a fork of this one cannot be run.
        finished(
            Command::new("cp")
                .arg(program)
                .arg(self.place.path("edgeseal-agent")),
        );
        if self.is_root {
            fs::set_permissions(self.place.path("."), fs::Permissions::from_mode(0o711)).unwrap();
        }
    }

    fn agent(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.place.path("edgeseal-agent"));
        command.arg("--config").arg(self.place.path("agent.toml"));
        command.args(args);
        command
    }

    fn run_agent(&self) -> Running {
        let mut command = self.agent(&["run"]);
        if self.is_root {
            command.uid(AGENT).gid(AGENT);
        }
        let running = Running::start(&mut command, &self.place.path("agent.log"));
        until("the agent answers", || self.status().is_some());
        running
    }

    fn serve(&self) -> Running {
        let args = "registrar serve --keys keys --unsynchronized-clock";
        let args: Vec<&str> = args.split(' ').collect();
        Running::start(
            &mut self.place.command(&args),
            &self.place.path("serve.log"),
        )
    }

    /// What the unit does whenever something changes.
    fn sync(&self) -> Value {
        let card = self.place.path("boot/edgeseal").display().to_string();
        let mut sync = self.agent(&["card-sync", "--json", "--card", &card]);
        serde_json::from_slice(&finished(&mut sync)).unwrap()
    }

    fn status(&self) -> Option<Value> {
        let output = self.agent(&["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status.get("enrollment").is_some().then_some(status)
    }

    fn enrollment(&self) -> String {
        let status = self.status().unwrap_or_default();
        let state = status["enrollment"]["state"].as_str();
        state.unwrap_or_default().to_owned()
    }

    /// Puts a new join file onto the card.
    fn put_card(&self, more: &str) -> Vec<u8> {
        let out = self.place.path("cards");
        let _ = fs::remove_dir_all(&out);
        let create = "join create --role sensor --keys keys --unsynchronized-clock --out cards";
        self.place.run(&format!("{create} {more}")).succeeded();
        let mut files = fs::read_dir(&out).unwrap().map(|file| file.unwrap().path());
        let file = files
            .find(|file| file.extension().is_some_and(|end| end == "json"))
            .unwrap();
        let octets = fs::read(file).unwrap();
        fs::write(self.card(), &octets).unwrap();
        octets
    }

    fn card(&self) -> PathBuf {
        self.place.path("boot/edgeseal/join.json")
    }

    /// What a person reads, as one line.
    fn result(&self) -> String {
        let octets =
            fs::read(self.place.path("boot/edgeseal/edgeseal-result.txt")).unwrap_or_default();
        let text = String::from_utf8(octets).unwrap();
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Syncs until the result has this in it.
    fn until_result(&self, part: &str) {
        until(part, || {
            self.sync();
            self.result().contains(part)
        });
    }
}

#[test]
fn a_card_of_roots_alone_enrolls_an_agent_that_may_not_touch_it() {
    let mut board = Board::new();
    for name in ["config.txt", "cmdline.txt"] {
        board.place.write(&format!("boot/{name}"), "");
    }
    let prepare =
        "prepare-card boot --device pump-1 --role sensor --keys keys --unsynchronized-clock";
    board.place.run(prepare).succeeded();
    let octets = fs::read(board.card()).unwrap();
    let is_away = board.broker.mosquitto().map(Mosquitto::stop).is_some();
    assert_eq!(board.sync()["handed_over"], true);
    let mut agent = board.run_agent();
    board.until_result(if is_away {
        "waits for the network"
    } else {
        "waits for"
    });
    let broker = format!("127.0.0.1:{}", board.broker.port());
    assert!(
        !is_away || board.result().contains(&broker),
        "{}",
        board.result()
    );
    let words = board.status().unwrap()["enrollment"]["words"].clone();
    assert!(
        board.result().contains(words.as_str().unwrap()),
        "{}",
        board.result()
    );
    // A power cut: what lay in /run is gone, the card is as it was.
    agent.end_by(rustix::process::Signal::KILL);
    for name in ["hand-over", "run"] {
        for file in fs::read_dir(board.place.path(name)).unwrap() {
            let _ = fs::remove_file(file.unwrap().path());
        }
    }
    assert_eq!(fs::read(board.card()).unwrap(), octets);
    board.sync();
    let agent = board.run_agent();
    if let Some(broker) = board.broker.mosquitto() {
        broker.start_again();
    }
    let registrar = board.serve();
    board.until_result("ENROLLED as pump-1");
    assert!(!board.card().exists(), "it is shredded, and by root");
    until("nothing is left to do", || board.enrollment() == "enrolled");
    assert!(!board.place.path("state/request.json").exists());
    assert!(!board.place.path("hand-over/join.json").exists());
    // Said once: the card is not written again, whatever starts anew.
    let inode = || {
        fs::metadata(board.place.path("boot/edgeseal/edgeseal-result.txt"))
            .unwrap()
            .ino()
    };
    let before = inode();
    agent.terminate();
    let agent = board.run_agent();
    until("it is enrolled", || board.enrollment() == "enrolled");
    board.sync();
    assert_eq!(inode(), before);
    // A join file for somebody else on the card of an enrolled device is nobody's business.
    let other = board.put_card("");
    assert_eq!(board.sync()["handed_over"], false);
    assert_eq!(fs::read(board.card()).unwrap(), other);
    agent.terminate();
    registrar.terminate();
    let secrets = [
        fs::read_to_string(board.place.path("agent.log")).unwrap(),
        board.result(),
    ];
    let seed: Value = serde_json::from_slice(&octets).unwrap();
    for name in ["seed", "token"] {
        let secret = seed[name].as_str().unwrap();
        assert!(secrets.iter().all(|text| !text.contains(secret)), "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_card_is_said_on_it_and_a_better_one_is_taken() {
    let board = Board::new();
    let agent = board.run_agent();
    board.until_result("no join file");
    fs::write(board.place.path("boot/edgeseal/join-abc.json"), "x").unwrap();
    board.until_result("but join-abc.json");
    fs::remove_file(board.place.path("boot/edgeseal/join-abc.json")).unwrap();
    symlink(board.place.path("pass"), board.card()).unwrap();
    board.until_result("it is a link");
    fs::remove_file(board.card()).unwrap();
    let octets = board.put_card("--serial 10000000abcdef01");
    board.until_result("another board");
    fs::write(board.card(), &octets[..octets.len() / 2]).unwrap();
    board.until_result("copy the file");
    assert_eq!(board.enrollment(), "idle");
    board.put_card("--device pump-1");
    let registrar = board.serve();
    board.until_result("ENROLLED as pump-1");
    assert!(!board.card().exists());
    agent.terminate();
    registrar.terminate();
}

#[test]
fn the_registrars_refusal_and_a_root_of_another_domain_are_said_on_the_card() {
    let board = Board::new();
    let registrar = board.serve();
    board.put_card("--expires 1s");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    board.sync();
    let agent = board.run_agent();
    board.until_result("registrar refuses");
    assert!(
        board.result().contains("join-expired"),
        "{}",
        board.result()
    );
    assert!(board.card().exists(), "shredded on success only");
    // The root is pinned now: a card of another domain is not for this device.
    let other = Board::new();
    fs::write(board.card(), other.put_card("")).unwrap();
    board.until_result("another trust domain");
    agent.terminate();
    registrar.terminate();
}

#[test]
fn a_copied_card_signs_nothing_says_so_and_enrolls_again() {
    let board = Board::new();
    let registrar = board.serve();
    board.put_card("--device pump-1");
    board.sync();
    let agent = board.run_agent();
    board.until_result("ENROLLED as pump-1");
    until("nothing is left to do", || board.enrollment() == "enrolled");
    agent.terminate();
    // The same card in another board: the key is bound to one that this is not.
    let path = board.place.path("state/identity.json");
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["board_serial"] = "10000000ABCDEF01".into();
    fs::write(&path, record.to_string()).unwrap();
    let agent = board.run_agent();
    let sign = ["sign", "--topic", "farm/pump-1/temp", "--payload", "21.5"];
    let refused = board.agent(&sign).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("board-mismatch") && said.contains("identity reset"),
        "{said}"
    );
    let doctor = board.agent(&["doctor", "--json"]).output().unwrap();
    let doctor = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.contains("this card was copied"), "{doctor}");
    board.until_result("This card was copied");
    let result = board.result();
    assert!(
        result.contains("10000000ABCDEF01") && result.contains("identity reset --yes"),
        "{result}"
    );
    // What it says to do.
    agent.terminate();
    finished(&mut board.agent(&["identity", "reset", "--yes"]));
    board.put_card("--device pump-2");
    board.sync();
    let agent = board.run_agent();
    board.until_result("ENROLLED as pump-2");
    agent.terminate();
    registrar.terminate();
}

/// Nobody that is on a system by itself.
const AGENT: u32 = 54_321;
const PUBLISH: &str = "publish --keys keys --unsynchronized-clock";
