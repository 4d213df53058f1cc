//! `edgeseal device add --csv`: thousands of devices whose public keys are known.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{DeviceRecord, Registry};
use crate::render::{Report, escaped};
use csv::{ReaderBuilder, StringRecord, Trim};
use data_encoding::BASE64URL_NOPAD;
use edgeseal_trust::id::{GroupName, Name, RoleName};
use edgeseal_trust::key::{KeyRejection, VerifyingKey, parse_jwk};
use edgeseal_trust::registry::DeviceState;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// What the command line says.
pub(crate) struct Import<'a> {
    /// Roles of every device.
    pub(crate) roles: &'a [RoleName],
    /// Groups of every device.
    pub(crate) groups: &'a [GroupName],
    /// Change nothing.
    pub(crate) dry_run: bool,
    /// Add the good lines although there are bad ones.
    pub(crate) keep_going: bool,
}

/// Adds the devices of a file. Unless `keep_going`, one bad line means that nothing is added.
///
/// # Errors
/// The file cannot be read, or its header line is wrong. Bad lines are no error but a report whose
/// answer is no.
pub(crate) fn run(
    import: &Import<'_>,
    path: &Path,
    registry: &mut Registry,
    context: &Context,
) -> Result<Report> {
    let bytes = input::read(path, LONGEST_OCTETS).map_err(|why| {
        let refusal = CommandError::io("read", path, &why);
        match refusal.code {
            "size" => refusal.hint("split it into several files"),
            _ => refusal,
        }
    })?;
    let mut reader = ReaderBuilder::new()
        .trim(Trim::All)
        .from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|why| malformed(path, &why))?;
    let columns = Columns::find(header, path)?;
    let bar = progress_bar(&bytes, context);
    let mut tally = Tally::default();
    for record in reader.records() {
        bar.inc(1);
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                match columns
                    .device(&record, import)
                    .and_then(|d| put(registry, d))
                {
                    Ok(true) => tally.added = tally.added.saturating_add(1),
                    Ok(false) => tally.present = tally.present.saturating_add(1),
                    Err(why) => tally.refuse(line, why.code, why.reason),
                }
            }
            Err(why) => {
                let line = why.position().map_or(0, csv::Position::line);
                tally.refuse(line, "csv", plain(&why));
            }
        }
    }
    let applies = !import.dry_run && (tally.bad.is_empty() || import.keep_going);
    if applies {
        bar.set_message("writing");
        registry.save()?;
    }
    bar.finish_and_clear();
    Ok(tally.report(import, applies))
}

#[derive(Default)]
struct Tally {
    added: u64,
    present: u64,
    bad: Vec<(u64, &'static str, String)>,
}

impl Tally {
    fn refuse(&mut self, line: u64, code: &'static str, reason: String) {
        self.bad.push((line, code, reason));
    }

    fn report(&self, import: &Import<'_>, applied: bool) -> Report {
        let mut text = String::new();
        for (line, code, reason) in &self.bad {
            let _ = writeln!(text, "line {line}: {} [{code}]", escaped(reason));
        }
        let verb = if applied { "added" } else { "would be added" };
        let (added, present, bad) = (self.added, self.present, self.bad.len());
        let _ = write!(
            text,
            "{added} {verb}, {present} there already, {bad} bad lines"
        );
        if !import.dry_run && !applied {
            text.push_str(
                "\nNothing was changed. Correct the lines, or add the good ones with --keep-going.",
            );
        } else if applied && added > 0 {
            let _ = write!(text, "\n{}", super::NEXT_PUBLISH);
        }
        let bad: Vec<_> = self
            .bad
            .iter()
            .map(|(line, code, reason)| json!({ "line": line, "code": code, "reason": reason }))
            .collect();
        let json = json!({
            "added": added, "present": present, "bad": bad, "applied": applied,
        });
        Report {
            text,
            json,
            is_no: !self.bad.is_empty(),
        }
    }
}

/// Adds a device in memory; `false` if it is there with this key. A pending one becomes active: the
/// file names its key.
fn put(registry: &mut Registry, device: DeviceRecord) -> Result<bool> {
    if let (Some(present), Some(key)) = (registry.devices().get(&device.id), device.keys.first()) {
        super::add::judge_same_key(present, key.key.id())?;
        if present.state != DeviceState::Pending {
            return Ok(false);
        }
    }
    registry.put_device(device)?;
    Ok(true)
}

/// Where each column is.
struct Columns {
    id: usize,
    key: KeyColumn,
    roles: Option<usize>,
    groups: Option<usize>,
    serial: Option<usize>,
}

enum KeyColumn {
    Jwk(usize),
    X(usize),
}

impl Columns {
    fn find(header: &StringRecord, path: &Path) -> Result<Self> {
        let refuse = |what: String| {
            Err(
                CommandError::no("csv-header", format!("{}:1: {what}", path.display()))
                    .hint("the first line names the columns, such as: id,x,roles,groups,serial"),
            )
        };
        for (index, name) in header.iter().enumerate() {
            let name = name.trim_start_matches('\u{feff}');
            if !KNOWN.contains(&name) {
                return refuse(format!("unknown column \"{}\"", escaped(name)));
            }
            let twice = header.iter().skip(index.saturating_add(1));
            if twice.into_iter().any(|other| other == name) {
                return refuse(format!("the column {name} occurs twice"));
            }
        }
        let place = |wanted| {
            header
                .iter()
                .position(|name| name.trim_start_matches('\u{feff}') == wanted)
        };
        let key = match (place("jwk"), place("x")) {
            (Some(jwk), None) => KeyColumn::Jwk(jwk),
            (None, Some(x)) => KeyColumn::X(x),
            _ => return refuse("one of the columns x and jwk is needed".to_owned()),
        };
        let Some(id) = place("id") else {
            return refuse("the column id is missing".to_owned());
        };
        Ok(Self {
            id,
            key,
            roles: place("roles"),
            groups: place("groups"),
            serial: place("serial"),
        })
    }

    fn device(&self, record: &StringRecord, import: &Import<'_>) -> Result<DeviceRecord> {
        let field = |index: usize| record.get(index).unwrap_or_default();
        let id = name(field(self.id), "id")?;
        let key = match self.key {
            KeyColumn::Jwk(index) => parse_jwk(field(index).as_bytes()),
            KeyColumn::X(index) => BASE64URL_NOPAD
                .decode(field(index).as_bytes())
                .map_err(|_| KeyRejection::Malformed("x"))
                .and_then(|octets| VerifyingKey::import(&octets)),
        };
        let key = key.map_err(|why| CommandError::no(why.code(), format!("{id}: {why}")))?;
        let mut device = DeviceRecord::new(id, key, DeviceState::Active);
        device.roles = import.roles.to_vec();
        device.groups = import.groups.to_vec();
        for text in words(self.roles.map(field)) {
            device.roles.push(name(text, "role")?);
        }
        for text in words(self.groups.map(field)) {
            device.groups.push(name(text, "group")?);
        }
        device.serial = self
            .serial
            .map(field)
            .filter(|s| !s.is_empty())
            .map(Into::into);
        device.tidy();
        Ok(device)
    }
}

fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    let split = text.unwrap_or_default().split([' ', ';', ',']);
    split.filter(|word| !word.is_empty())
}

fn name<K>(text: &str, what: &str) -> Result<Name<K>> {
    Name::parse(text).map_err(|why| CommandError::no("name", format!("{what} \"{text}\": {why}")))
}

fn progress_bar(bytes: &[u8], context: &Context) -> ProgressBar {
    if context.style.json {
        return ProgressBar::hidden();
    }
    let lines = bytes.iter().filter(|b| **b == b'\n').count();
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(u64::try_from(lines.saturating_sub(1)).unwrap_or_default());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} devices, {eta} left {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn malformed(path: &Path, why: &csv::Error) -> CommandError {
    CommandError::no("csv", format!("{}: {}", path.display(), plain(why)))
        .hint("save the table as CSV in UTF-8, with commas")
}

fn plain(why: &csv::Error) -> String {
    match why.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("{len} columns instead of {expected_len}"),
        _ => why.to_string(),
    }
}

const KNOWN: [&str; 6] = ["id", "jwk", "x", "roles", "groups", "serial"];
/// Some 500,000 devices.
const LONGEST_OCTETS: usize = 128 << 20;
