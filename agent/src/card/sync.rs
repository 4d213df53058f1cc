//! What root does on a board with a boot partition: hands the join file over, shreds it when it did its
//! work, and writes the result beside it.

use super::{Directory, JOIN_FILE, RESULT_FILE, Report, result_text, to_lines};
use crate::durable_file;
use crate::trust_link::Pace;
use edgeseal_trust::document::Digest;
use edgeseal_trust::limits;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Directories in which a join file may lie, the likeliest first.
    pub(crate) cards: Vec<PathBuf>,
    /// The directory from which the agent takes it.
    pub(crate) hand_over: PathBuf,
    /// The agent's runtime directory, with its report.
    pub(crate) runtime: PathBuf,
}

/// What was done.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub(crate) struct Synced {
    /// The directories that are there.
    pub(crate) cards: Vec<PathBuf>,
    /// The agent has a join file before it.
    pub(crate) handed_over: bool,
    /// Join files that were shredded.
    pub(crate) shredded: u32,
    /// Join files whose shredding had been cut off, and that are gone now.
    pub(crate) ended: u32,
    /// Result files that were written.
    pub(crate) written: u32,
    /// What could not be done, as sentences.
    pub(crate) problems: Vec<String>,
}

/// A directory with what was found in it.
struct Card {
    path: PathBuf,
    directory: Directory,
    offered: io::Result<Option<Zeroizing<Vec<u8>>>>,
}

/// What lies before the agent.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Handed {
    /// What lay there before.
    Before,
    /// A join file that the agent has not seen yet.
    New,
    Nothing,
}

/// Does all of it once. It can be stopped at any step, and done again: it goes on where it was. `wrong` is
/// what keeps the agent from starting, for the person; `now` is the time since the system started.
///
/// # Errors
/// The hand-over directory cannot be opened. What one card cannot do is a problem, and told.
pub(crate) fn sync(places: &Places, wrong: Option<&str>, now: Duration) -> io::Result<Synced> {
    let report = Report::read(&places.runtime);
    let mut done = Synced::default();
    let used = report.as_ref().map_or(&[][..], |report| &report.used);
    let cards = open(places, used, &mut done);
    if cards.is_empty() {
        return Ok(done);
    }
    let hand_over = Directory::open(&places.hand_over)?.ok_or(io::ErrorKind::NotFound)?;
    if !used.is_empty() {
        tell_shredded(&hand_over, &cards, used)?;
    }
    let enrolled = report.as_ref().is_some_and(Report::is_enrolled);
    let handed = hand(&hand_over, &cards, enrolled)?;
    done.handed_over = handed != Handed::Nothing;
    let own = wrong
        .map(result_text::not_starting)
        .or_else(|| problem(&cards));
    let text = match (report, own) {
        (Some(report), _) if enrolled => Some(report.text()),
        (_, Some(own)) => Some(own),
        (_, None) if handed == Handed::New => None, // the report is of before: the agent will tell
        (report, None) => report.map(|report| report.text()),
    };
    if let Some(text) = text {
        write(&hand_over, &cards, (&to_lines(&text), now), &mut done)?;
    }
    Ok(done)
}

/// Whether `card-sync` says that these join files are on no card any more.
///
/// # Errors
/// The hand-over directory does not answer.
pub(crate) fn was_shredded(hand_over: &Path, files: &[Digest]) -> io::Result<bool> {
    let text = durable_file::read(&hand_over.join(SHREDDED), RECEIPT_OCTETS)?;
    let text = text.unwrap_or_default();
    let lines: BTreeSet<&[u8]> = text.split(|octet| *octet == b'\n').collect();
    Ok(files
        .iter()
        .all(|file| lines.contains(name(file).as_bytes())))
}

/// Opens what is there, ends what was cut off, and shreds what did its work.
fn open(places: &Places, used: &[Digest], done: &mut Synced) -> Vec<Card> {
    let mut cards: Vec<Card> = Vec::new();
    for path in &places.cards {
        let directory = match Directory::open(path) {
            Ok(Some(directory)) => directory,
            Ok(None) => continue,
            Err(error) => {
                done.problems.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let is_used = |octets: &[u8]| used.contains(&Digest::of(octets));
        let cleared = directory.clear(JOIN_FILE).and_then(|was_there| {
            done.ended = done.ended.saturating_add(was_there.into());
            match directory.shred(JOIN_FILE, limits::JOIN_FILE_OCTETS, is_used) {
                Err(error) if used.is_empty() => Err(error).or(Ok(false)), // told below, as unreadable
                shredded => shredded,
            }
        });
        match cleared {
            Ok(shredded) => done.shredded = done.shredded.saturating_add(shredded.into()),
            Err(error) => done.problems.push(format!(
                "{}: {JOIN_FILE} cannot be shredded: {error}",
                path.display()
            )),
        }
        done.cards.push(path.clone());
        let offered = directory.read(JOIN_FILE, limits::JOIN_FILE_OCTETS);
        cards.push(Card {
            path: path.clone(),
            directory,
            offered,
        });
    }
    cards
}

/// Tells the agent which of the files that it has done with are on no card.
fn tell_shredded(hand_over: &Directory, cards: &[Card], used: &[Digest]) -> io::Result<()> {
    let there = |file: &Digest| {
        cards.iter().any(|card| match &card.offered {
            Ok(octets) => octets
                .as_ref()
                .is_some_and(|octets| Digest::of(octets) == *file),
            Err(_) => true, // who knows
        })
    };
    let gone: Vec<String> = used.iter().filter(|file| !there(file)).map(name).collect();
    replace_if_other(hand_over, SHREDDED, gone.join("\n").as_bytes()).map(|_| ())
}

/// Puts the join file before the agent, or takes it away where there is none or it is of no use.
fn hand(hand_over: &Directory, cards: &[Card], enrolled: bool) -> io::Result<Handed> {
    let mut offered = cards.iter().filter_map(|card| card.offered.as_ref().ok());
    match offered.find_map(Option::as_ref) {
        Some(octets) if !enrolled => {
            let is_new = replace_if_other(hand_over, JOIN_FILE, octets)?;
            Ok(if is_new { Handed::New } else { Handed::Before })
        }
        _ => hand_over.remove(JOIN_FILE).map(|_| Handed::Nothing),
    }
}

/// What is wrong with the cards themselves.
fn problem(cards: &[Card]) -> Option<String> {
    if cards.iter().any(|card| matches!(card.offered, Ok(Some(_)))) {
        return None;
    }
    let unreadable = cards.iter().find_map(|card| card.offered.as_ref().err());
    if let Some(error) = unreadable {
        return Some(result_text::unreadable(&error.to_string()));
    }
    let is_misnamed = |name: &str| name.starts_with("join") && name.contains(".json");
    let names = cards
        .iter()
        .filter_map(|card| card.directory.names(is_misnamed).ok())
        .find(|names| !names.is_empty())?;
    Some(result_text::misnamed(&names))
}

/// Writes the result where it is another than what is there, and not without end: a card wears out, and what the agent tells
/// may change as often as it likes.
fn write(
    hand_over: &Directory,
    cards: &[Card],
    (content, now): (&[u8], Duration),
    done: &mut Synced,
) -> io::Result<()> {
    let is_other = |card: &&Card| {
        let there = card.directory.read(RESULT_FILE, RESULT_OCTETS);
        !matches!(there, Ok(Some(there)) if *there == content)
    };
    let others: Vec<&Card> = cards.iter().filter(is_other).collect();
    if others.is_empty() {
        return Ok(());
    }
    if !take_turn(hand_over, now)? {
        done.problems.push(format!(
            "{RESULT_FILE} changes too often and is left as it is for a while: a look at the agent is worth it (journalctl -u edgeseal-agent)"
        ));
        return Ok(());
    }
    for card in others {
        match card.directory.replace(RESULT_FILE, content, 0o644) {
            Ok(()) => done.written = done.written.saturating_add(1),
            Err(error) => done.problems.push(format!(
                "{}: {RESULT_FILE} cannot be written: {error}",
                card.path.display()
            )),
        }
    }
    Ok(())
}

/// Whether the result may be written now; then it counts as written. What is remembered of it lies where only root writes, and
/// lasts as long as the system runs.
fn take_turn(hand_over: &Directory, now: Duration) -> io::Result<bool> {
    let octets = hand_over.read(PACE, PACE_OCTETS).ok().flatten();
    let idle_at = octets.and_then(|octets| std::str::from_utf8(&octets).ok()?.parse().ok());
    let idle_at = Duration::from_millis(idle_at.unwrap_or(0));
    // One that lies farther ahead than any is of another clock.
    let most = now.saturating_add(ONE_EVERY.saturating_mul(AT_ONCE));
    let idle_at = if idle_at > most {
        Duration::ZERO
    } else {
        idle_at
    };
    let mut pace = Pace::new(ONE_EVERY, AT_ONCE).busy_until(idle_at);
    if !pace.take(now) {
        return Ok(false);
    }
    let millis = pace.idle_at().as_millis().to_string();
    hand_over.replace(PACE, millis.as_bytes(), 0o640)?;
    Ok(true)
}

/// Whether it was written.
fn replace_if_other(directory: &Directory, name: &str, content: &[u8]) -> io::Result<bool> {
    let there = directory.read(name, limits::JOIN_FILE_OCTETS);
    match there {
        Ok(Some(there)) if *there == content => Ok(false),
        _ => directory.replace(name, content, 0o640).map(|()| true),
    }
}

fn name(file: &Digest) -> String {
    file.to_string()
}

/// The receipt: a line for each join file that is on no card any more.
const SHREDDED: &str = "shredded";
const RECEIPT_OCTETS: u64 = 4 << 10;
const RESULT_OCTETS: usize = 64 << 10;
/// When the result may be written as if it had never been, in milliseconds since the start of the system.
const PACE: &str = "written";
const PACE_OCTETS: usize = 32;
/// More than an agent in its right mind tells: a few at once, then one in ten minutes.
const ONE_EVERY: Duration = Duration::from_secs(600);
const AT_ONCE: u32 = 20;

#[cfg(test)]
mod tests;
