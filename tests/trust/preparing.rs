//! `edgeseal prepare-card`: what it writes onto a mounted boot partition, and what it leaves alone.

use crate::operator::Place;
use crate::process::agent_program;
use edgeseal_trust::enrollment::JoinFile;
use std::fs;
use std::process::Command;

const PREPARE: &str = "prepare-card card --keys keys --unsynchronized-clock --device pump-1";

/// A domain, and a card as an image leaves it.
fn farm() -> Place {
    let place = Place::farm();
    place.run("role add pump").succeeded();
    place
        .run("role grant pump --publish farm/{device}/state --audience domain")
        .succeeded();
    place.run("domain broker mqtt://127.0.0.1:1883").succeeded();
    fs::create_dir(place.path("card")).unwrap();
    for name in ["config.txt", "cmdline.txt"] {
        place.write(&format!("card/{name}"), "");
    }
    place
}

fn tokens(place: &Place) -> usize {
    let listed = place.run("join list --json").json();
    listed["tokens"].as_array().unwrap().len()
}

#[test]
fn a_card_gets_its_join_file_and_words_for_people() {
    let place = farm();
    let said = place
        .run(&format!("{PREPARE} --role pump --serial 1000 --json"))
        .json();
    let file = JoinFile::read(&fs::read(place.path("card/edgeseal/join.json")).unwrap()).unwrap();
    assert_eq!(said["id"], file.join.id.to_string());
    assert_eq!(file.join.device.unwrap().as_str(), "pump-1");
    assert_eq!(file.join.serial.as_deref(), Some("1000"));
    assert_eq!(tokens(&place), 1);
    let readme = place.read("card/edgeseal/README.txt");
    assert!(readme.contains("pump-1") && readme.contains("edgeseal-result.txt"));
    assert_eq!(readme.matches('\n').count(), readme.matches("\r\n").count());
    assert!(
        !place.path("card/user-data").exists(),
        "nobody asked for it"
    );
    assert!(!place.path("card/edgeseal/agent.toml").exists());
    let left = fs::read_dir(place.path("card/edgeseal")).unwrap().count();
    assert_eq!(left, 3, "nothing half written");
    // A card that somebody prepared is another device's, perhaps.
    place
        .run(&format!("{PREPARE} --role pump"))
        .refused(1, "card-prepared");
    assert_eq!(tokens(&place), 1, "no token is made for nothing");
    place.write("card/edgeseal/edgeseal-result.txt", "of an earlier try");
    place
        .run(&format!("{PREPARE} --role pump --force"))
        .succeeded();
    assert_eq!(tokens(&place), 2);
    assert!(!place.path("card/edgeseal/edgeseal-result.txt").exists());
}

#[test]
fn what_is_no_boot_partition_or_cannot_be_signed_is_refused_before_anything_is_written() {
    let place = farm();
    fs::remove_file(place.path("card/cmdline.txt")).unwrap();
    let said = place
        .run(&format!("{PREPARE} --role pump"))
        .refused(1, "no-boot-partition");
    assert!(said.contains("cmdline.txt"), "{said}");
    place
        .run("prepare-card absent --keys keys --unsynchronized-clock --device pump-1 --role pump")
        .refused(2, "no-directory");
    place
        .run(&format!("{PREPARE} --role oven --force"))
        .refused(1, "role-unknown");
    place.write("agent.deb", "!<arch>\n");
    for (name, octets) in [
        ("agent.deb", "!<arch>\n"),
        ("edgeseal-agent_1_arm64.deb", "MZ"),
    ] {
        place.write(name, octets);
        let said = place.run(&format!("{PREPARE} --role pump --force --package {name}"));
        assert_eq!(said.code, 2, "{}", said.stderr);
    }
    assert!(!place.path("card/edgeseal").exists());
    assert_eq!(tokens(&place), 0);
    place
        .run(&format!("{PREPARE} --role pump --force"))
        .succeeded();
}

#[test]
fn user_data_of_the_image_is_left_alone_and_the_lines_are_said() {
    let place = farm();
    place.write("card/user-data", "#cloud-config\nhostname: shed\n");
    let said = place
        .run(&format!("{PREPARE} --role pump --cloud-init"))
        .succeeded();
    assert!(
        said.contains("- [sh, /boot/firmware/edgeseal/install.sh]"),
        "{said}"
    );
    assert_eq!(
        place.read("card/user-data"),
        "#cloud-config\nhostname: shed\n"
    );
    let forced = format!("{PREPARE} --role pump --cloud-init --force");
    place.run(&forced).succeeded();
    let written = place.read("card/user-data");
    assert!(written.starts_with("#cloud-config\n"), "{written}");
    for line in said
        .lines()
        .filter(|line| line.starts_with("runcmd:") || line.starts_with("  - "))
    {
        assert!(written.contains(line), "{line}");
    }
    assert!(place.path("card/edgeseal/install.sh").exists());
    place.write("edgeseal-agent_0.1.0_arm64.deb", "!<arch>\nof a kind");
    let said = place
        .run(&format!(
            "{forced} --package edgeseal-agent_0.1.0_arm64.deb"
        ))
        .succeeded();
    assert!(said.contains("cloud-init installs the agent"), "{said}");
    assert_eq!(
        place.read("card/edgeseal/edgeseal-agent_0.1.0_arm64.deb"),
        "!<arch>\nof a kind"
    );
}

#[test]
fn the_gateways_configuration_is_one_that_the_agent_takes() {
    let place = farm();
    place.run("role add mute").succeeded();
    place
        .run(&format!("{PREPARE} --role mute --gateway"))
        .refused(1, "grants-nothing");
    place
        .run(&format!("{PREPARE} --role pump --gateway"))
        .succeeded();
    let config = place.read("card/edgeseal/agent.toml");
    assert!(
        config.contains("url = \"mqtt://127.0.0.1:1883\""),
        "{config}"
    );
    assert!(
        config.contains("publish = [\"farm/{device}/state\"]"),
        "{config}"
    );
    let mut check = Command::new(agent_program());
    check
        .arg("--config")
        .arg(place.path("card/edgeseal/agent.toml"));
    place.ended(check.args(["config", "check"])).succeeded();
}
