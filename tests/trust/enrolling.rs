//! Join files and rotation over a real broker: agent, registrar, and a broker that anybody may write to.

use crate::broker::Broker;
use crate::operator::Place;
use crate::process::{Running, agent_program, finished, until};
use crate::retained::{put, retained};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// A domain with a broker, and one device with a join file on its card.
struct Site {
    place: Place,
    broker: Broker,
}

impl Site {
    fn start() -> Self {
        Self::of(Place::farm())
    }

    fn of(place: Place) -> Self {
        place.run("role add sensor").succeeded();
        let broker = Broker::start(&place.path("broker"), false);
        place
            .run(&format!("domain broker mqtt://127.0.0.1:{}", broker.port()))
            .succeeded();
        place.run(PUBLISH).succeeded();
        let site = Self { place, broker };
        site.place
            .run("join create --role sensor --keys keys --unsynchronized-clock --out cards")
            .succeeded();
        std::fs::rename(site.only_card(), site.card()).unwrap();
        site.configure("");
        site
    }

    fn only_card(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.place.path("cards")).unwrap();
        let mut files = entries.map(|entry| entry.unwrap().path());
        files
            .find(|path| path.extension().is_some_and(|end| end == "json"))
            .unwrap()
    }

    fn card(&self) -> PathBuf {
        self.place.path("join.json")
    }

    fn configure(&self, more: &str) {
        let at = |part: &str| self.place.path(part).display().to_string();
        std::fs::create_dir_all(self.place.path("state")).unwrap();
        let config = format!(
            "[agent]\nstate_directory = \"{}\"\nruntime_directory = \"{}\"\n\
             dangerous_volatile_state = true\n[clock]\nunsynchronized = \"allow\"\n\
             [enroll]\njoin_file = \"{}\"\nrotate_delay_seconds = 1\n{more}",
            at("state"),
            at("run"),
            at("join.json")
        );
        self.place.write("agent.toml", config);
    }

    fn agent(&self, args: &[&str]) -> Command {
        let mut command = Command::new(agent_program());
        command.arg("--config").arg(self.place.path("agent.toml"));
        command.args(args);
        command
    }

    fn run_agent(&self) -> Running {
        let log = self.place.path("agent.log");
        let running = Running::start(&mut self.agent(&["run"]), &log);
        until("the agent answers", || {
            self.place.path("run/api.sock").exists()
        });
        running
    }

    fn serve(&self) -> Running {
        let args = "registrar serve --keys keys --unsynchronized-clock";
        let args: Vec<&str> = args.split(' ').collect();
        let log = self.place.path("serve.log");
        Running::start(&mut self.place.command(&args), &log)
    }

    /// What the running agent says of itself; nothing while it starts or ends.
    fn status(&self) -> Option<Value> {
        let output = self.agent(&["status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        status.get("enrollment").is_some().then_some(status)
    }

    fn enrollment(&self) -> String {
        let status = self.status();
        let state =
            status.and_then(|status| Some(status["enrollment"]["state"].as_str()?.to_owned()));
        state.unwrap_or_default()
    }

    fn kid(&self) -> Option<String> {
        Some(self.status()?["kid"].as_str()?.to_owned())
    }

    /// The topics below `edgeseal/farm/` that begin so.
    fn topics(&self, kind: &str) -> Vec<String> {
        let there = retained(self.broker.port());
        let prefix = format!("edgeseal/farm/{kind}/");
        let names = there.into_keys();
        names.filter(|name| name.starts_with(&prefix)).collect()
    }
}

#[test]
fn a_card_enrolls_through_a_broker_that_forges_and_removes_and_kills_at_any_moment() {
    let site = Site::start();
    let card = std::fs::read(site.card()).unwrap();
    let mut agent = site.run_agent();
    until("the request is there", || site.topics("request").len() == 1);
    let kid = site.kid().unwrap();
    let request = format!("edgeseal/farm/request/{kid}");
    let answer = format!("edgeseal/farm/answer/{kid}");
    let octets = retained(site.broker.port())[&request].clone();
    let digest = edgeseal_trust::document::Digest::of(&octets);
    // Everybody may write there: forged answers, then a request that somebody removes.
    for state in ["approved", "rejected"] {
        let forged =
            format!(r#"{{"format":1,"request":"{digest}","state":"{state}","reason":"forged"}}"#);
        put(site.broker.port(), &[(&answer, forged.as_bytes())]);
        until("the answer is shown, as a hint", || {
            let status = site.status().unwrap_or_default();
            status["enrollment"]["answer"]
                .as_str()
                .is_some_and(|text| text.starts_with(state))
        });
        assert_eq!(site.enrollment(), "waiting");
        assert_eq!(
            std::fs::read(site.card()).unwrap(),
            card,
            "nothing is shredded"
        );
    }
    put(site.broker.port(), &[(&request, b""), (&answer, b"\xff")]);
    // A power cut in between: the same key asks again, with the same octets.
    agent.end_by(rustix::process::Signal::KILL);
    let agent = site.run_agent();
    until("it asks again", || {
        retained(site.broker.port()).get(&request) == Some(&octets)
    });
    assert_eq!(std::fs::read(site.card()).unwrap(), card);
    let registrar = site.serve();
    until("it is enrolled", || site.enrollment() == "enrolled");
    assert!(!site.card().exists(), "the join file is shredded");
    assert_eq!(site.topics("request"), [""; 0], "the request is removed");
    assert_eq!(site.kid().unwrap(), kid);
    // The same card again, and the request again: an enrolled device ignores the one, and the registrar takes
    // the other for what it is.
    std::fs::write(site.card(), &card).unwrap();
    put(site.broker.port(), &[(&request, &octets)]);
    agent.terminate();
    let agent = site.run_agent();
    until("it is enrolled", || site.enrollment() == "enrolled");
    assert_eq!(
        std::fs::read(site.card()).unwrap(),
        card,
        "it is not looked at"
    );
    agent.terminate();
    registrar.terminate();
}

#[test]
fn a_key_is_rotated_while_the_agent_runs_and_signs_without_a_break() {
    let site = Site::start();
    let registrar = site.serve();
    let mut agent = site.run_agent();
    until("it is enrolled", || site.enrollment() == "enrolled");
    let old = site.status().unwrap();
    finished(&mut site.agent(&["identity", "rotate"]));
    let again = site.agent(&["identity", "rotate"]).output().unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("rotation-open"), "one at a time: {said}");
    // A power cut while it is asked for.
    agent.end_by(rustix::process::Signal::KILL);
    let agent = site.run_agent();
    until("the next key signs", || {
        site.kid().is_some_and(|kid| old["kid"] != *kid)
    });
    let new = site.status().unwrap();
    assert_eq!(new["device"], old["device"]);
    assert_eq!(new["signing"], Value::Null, "it signs");
    assert!(new["epoch"].as_u64() > old["epoch"].as_u64());
    until("nothing is left of it", || {
        let files = ["state/identity-next.pem", "state/rotation.json"];
        let gone = files.iter().all(|name| !site.place.path(name).exists());
        gone && site.topics("request").is_empty()
    });
    agent.terminate();
    registrar.terminate();
}

#[test]
fn an_island_enrolls_by_file_alone_and_its_card_is_shredded() {
    let site = Site::start();
    let card = site.card().display().to_string();
    let request = site.place.path("island.request").display().to_string();
    let named = [
        "identity", "request", "--join", &card, "--device", "island", "-o", &request,
    ];
    finished(&mut site.agent(&named));
    let same = site.place.path("again.request").display().to_string();
    finished(&mut site.agent(&["identity", "request", "--join", &card, "-o", &same]));
    assert_eq!(
        std::fs::read(&request).unwrap(),
        std::fs::read(&same).unwrap()
    );
    site.place
        .run("device add island --request island.request --role sensor")
        .succeeded();
    site.place.run("device approve island --yes").succeeded();
    site.place
        .run("publish --keys keys --unsynchronized-clock --to bundle")
        .succeeded();
    assert!(site.card().exists());
    let bundle = site.place.path("bundle").display().to_string();
    finished(&mut site.agent(&["trust", "apply", &bundle]));
    assert!(!site.card().exists(), "the join file is shredded");
    assert!(!site.place.path("state/request.json").exists());
}

#[test]
fn a_person_approves_what_a_device_asks_over_the_broker() {
    let site = Site::start();
    std::fs::remove_file(site.card()).unwrap();
    let upstream = format!(
        "[[gateway.upstream]]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        site.broker.port()
    );
    site.configure(&upstream);
    finished(&mut site.agent(&["init"]));
    let send = ["identity", "request", "--device", "shed-1", "--send"];
    let refused = site.agent(&send).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("first-root-not-pinned"), "{said}");
    site.place
        .run("publish --keys keys --unsynchronized-clock --to bundle")
        .succeeded();
    let root = std::fs::read(site.place.path("registry/root/1.json")).unwrap();
    let words = edgeseal_trust::words::Words::of_root(&root).to_string();
    let bundle = site.place.path("bundle").display().to_string();
    finished(&mut site.agent(&["trust", "apply", &bundle, "--root", &words]));

    let agent = site.run_agent();
    finished(&mut site.agent(&send));
    until("the request is there", || site.topics("request").len() == 1);
    let shown = site.status().unwrap()["enrollment"]["words"].clone();
    site.place
        .run("registrar fetch --unsynchronized-clock")
        .succeeded();
    let pending = site.place.run("device pending --json").json();
    assert_eq!(pending["pending"][0]["words"], shown, "{pending}");
    let words = shown.as_str().unwrap();
    let wrong = "abandon ability able about above absent absorb abstract";
    let approve = |words| {
        let args = [
            "device", "approve", "shed-1", "--role", "sensor", "--words", words,
        ];
        site.place.args(&args)
    };
    approve(wrong).refused(1, "words-differ");
    assert_eq!(site.enrollment(), "waiting");
    approve(words).succeeded();
    site.place.run(PUBLISH).succeeded();
    until("it is enrolled", || site.enrollment() == "enrolled");
    until("the request is cleared", || {
        site.topics("request").is_empty()
    });
    agent.terminate();
}

#[test]
fn a_card_for_a_role_of_two_persons_makes_a_member_once_both_have_approved() {
    let site = Site::of(Place::farm_with("--registrar-keys 2"));
    std::fs::create_dir(site.place.path("other")).unwrap();
    let second = "registrar-2.pem";
    std::fs::rename(
        site.place.path("keys").join(second),
        site.place.path("other").join(second),
    )
    .unwrap();
    site.place.run("role approvals sensor 2").succeeded();
    let (registrar, agent) = (site.serve(), site.run_agent());
    until("the agent says what it waits for", || {
        let status = site.status();
        let waits = status.map(|status| status["enrollment"].to_string());
        waits.is_some_and(|waits| waits.contains("approvals"))
    });
    registrar.terminate();
    let waiting = site.place.run("approval list --json").json()["waiting"][0].clone();
    assert_eq!(waiting["kid"].as_str(), site.kid().as_deref());
    let id = waiting["device"].as_str().unwrap();
    for keys in ["keys", "other"] {
        assert_eq!(site.enrollment(), "waiting");
        site.place
            .run(&format!("approval give {id} --keys {keys} --yes"))
            .succeeded();
        site.place.run(PUBLISH).succeeded();
    }
    until("it is enrolled", || site.enrollment() == "enrolled");
    assert!(!site.card().exists(), "the join file is shredded");
    agent.terminate();
}

const PUBLISH: &str = "publish --keys keys --unsynchronized-clock";
