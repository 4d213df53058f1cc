//! `card-sync`: what `edgeseal-card.service` runs as root.

use super::context::Context;
use super::output::{Complaint, print_json, print_line};
use crate::card::{Places, Synced, sync};
use crate::clock::since_boot;
use crate::config::Config;
use crate::exit::Exit;
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct CardArgs {
    /// Directory of join files on the boot partition, instead of the usual ones; may be repeated
    #[arg(long = "card", value_name = "DIR")]
    cards: Vec<PathBuf>,
}

/// Hands a join file over, shreds it once the agent has done with it, and writes the result beside it.
pub(super) fn sync_once(context: &Context, args: &CardArgs) -> Result<Exit, Complaint> {
    // A person without a screen learns of a wrong configuration, too.
    let (config, wrong) = match context.config() {
        Ok(config) => (config, None),
        Err(_) => (Config::default(), Some(WRONG_CONFIGURATION)),
    };
    let places = Places {
        cards: cards(&args.cards, &config),
        hand_over: config.enroll.card_directory,
        runtime: config.agent.runtime_directory,
    };
    let synced =
        sync(&places, wrong, since_boot()).map_err(|error| cannot_hand_over(&places, &error))?;
    tell(context, &synced)?;
    Ok(match synced.problems.is_empty() {
        true => Exit::Ok,
        false => Exit::No,
    })
}

/// The configured one, and where boot partitions are mounted: since Debian 12, and before.
fn cards(stated: &[PathBuf], config: &Config) -> Vec<PathBuf> {
    if !stated.is_empty() {
        return stated.to_vec();
    }
    let configured = config.enroll.join_file.parent().map(Path::to_owned);
    let mut cards: Vec<PathBuf> = configured.into_iter().collect();
    for usual in ["/boot/firmware/edgeseal", "/boot/edgeseal"] {
        if !cards.iter().any(|card| card == Path::new(usual)) {
            cards.push(usual.into());
        }
    }
    cards
}

fn tell(context: &Context, synced: &Synced) -> Result<(), Complaint> {
    if context.json() {
        return print_json(synced);
    }
    if synced.cards.is_empty() {
        return print_line("no directory of join files on a boot partition: nothing to do");
    }
    if synced.handed_over {
        print_line("the join file is before the agent")?;
    }
    if synced.shredded > 0 {
        print_line(
            "the join file did its work; it was shredded, as far as a flash medium lets it",
        )?;
    }
    if synced.ended > 0 {
        print_line(
            "join.json.used was there: a join file whose shredding had been cut off; it is shredded now",
        )?;
    }
    if synced.written > 0 {
        print_line("the result was written beside it: edgeseal-result.txt")?;
    }
    for problem in &synced.problems {
        print_line(problem)?;
    }
    Ok(())
}

fn cannot_hand_over(places: &Places, error: &io::Error) -> Complaint {
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::Permission,
        _ => Exit::Unavailable,
    };
    let path = places.hand_over.display();
    Complaint::new(
        exit,
        "card-hand-over",
        format!("{path}, from which the agent takes join files, cannot be used: {error}"),
        "as root: systemctl restart edgeseal-card.service",
    )
}

const WRONG_CONFIGURATION: &str = "The configuration of the agent is wrong, so it does not start. On the \
    device: sudo edgeseal-agent config check";
