//! `edgeseal device add --csv`: thousands of devices whose public keys, or boards, are known.

use crate::command::Context;
use crate::error::{CommandError, Result};
use crate::input;
use crate::registry::{DeviceRecord, Registry, state_word};
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
                let device = columns.device(&record, import);
                match device.and_then(|device| put(registry, device)) {
                    Ok(Put::Added { waits }) => {
                        tally.added = tally.added.saturating_add(1);
                        tally.waiting = tally.waiting.saturating_add(u64::from(waits));
                    }
                    Ok(Put::Expected) => tally.expected = tally.expected.saturating_add(1),
                    Ok(Put::Present) => tally.present = tally.present.saturating_add(1),
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
    /// Of those that were added.
    waiting: u64,
    expected: u64,
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
        let (added, expected, present) = (self.added, self.expected, self.present);
        let _ = write!(text, "{added} {verb}, ");
        if expected > 0 {
            let verb = if applied { "are" } else { "would be" };
            let _ = write!(text, "{expected} {verb} expected by their serial, ");
        }
        let _ = write!(
            text,
            "{present} there already, {} bad lines",
            self.bad.len()
        );
        if !import.dry_run && !applied {
            text.push_str(
                "\nNothing was changed. Correct the lines, or add the good ones with --keep-going.",
            );
        } else if applied && added > 0 {
            let _ = write!(text, "\n{}", super::NEXT_PUBLISH);
        }
        if self.waiting > 0 {
            let verb = if applied { "wait" } else { "would wait" };
            let _ = write!(
                text,
                "\n{} of them {verb} for approvals of a role, and are pending until then: edgeseal approval list",
                self.waiting
            );
        }
        let bad: Vec<_> = self
            .bad
            .iter()
            .map(|(line, code, reason)| json!({ "line": line, "code": code, "reason": reason }))
            .collect();
        let json = json!({
            "added": added, "waiting_for_approvals": self.waiting, "expected": expected, "present": present, "bad": bad, "applied": applied,
        });
        Report {
            text,
            json,
            is_no: !self.bad.is_empty(),
        }
    }
}

/// What became of a line.
enum Put {
    /// The device is active, or waits for approvals of a role.
    Added {
        /// It waits.
        waits: bool,
    },
    /// The device is preauthorized: its request fills in the key.
    Expected,
    /// There was nothing to do.
    Present,
}

/// Adds a device in memory. A pending one becomes active where the file names its key; without a key it is expected.
fn put(registry: &mut Registry, device: DeviceRecord) -> Result<Put> {
    let Some(key) = device.keys.first() else {
        return expect(registry, device);
    };
    let present = registry.devices().get(&device.id);
    if let Some(present) = present.filter(|present| !present.is_expected()) {
        super::add::judge_same_key(present, key.key.id())?;
        if present.state != DeviceState::Pending {
            return Ok(Put::Present);
        }
    }
    let id = device.id.clone();
    registry.put_device(device)?;
    let waits = registry.missing_approvals(registry.device(&id)?).is_some();
    Ok(Put::Added { waits })
}

fn expect(registry: &mut Registry, device: DeviceRecord) -> Result<Put> {
    if let Some(present) = registry.devices().get(&device.id) {
        if present.serial != device.serial {
            let (id, state) = (&present.id, state_word(present.state));
            let reason = format!("{id} is in the registry, {state}, with another serial");
            return Err(CommandError::no("device-exists", reason));
        }
        if !present.is_expected() || *present == device {
            return Ok(Put::Present);
        }
    }
    registry.put_device(device)?;
    Ok(Put::Expected)
}

/// Where each column is.
struct Columns {
    id: usize,
    key: Option<KeyColumn>,
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
            (Some(jwk), None) => Some(KeyColumn::Jwk(jwk)),
            (None, Some(x)) => Some(KeyColumn::X(x)),
            (None, None) if place("serial").is_some() => None,
            _ => return refuse("one of the columns x, jwk and serial is needed".to_owned()),
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
        let serial = self.serial.map(field).filter(|serial| !serial.is_empty());
        let text = self.key.as_ref().map(|key| (key, field(key.place())));
        let mut device = match text.filter(|(_, text)| !text.is_empty() || serial.is_none()) {
            Some((column, text)) => {
                let key = column.read(text);
                let key =
                    key.map_err(|why| CommandError::no(why.code(), format!("{id}: {why}")))?;
                DeviceRecord::new(id, key, DeviceState::Active)
            }
            None if serial.is_some() => DeviceRecord::expected(id),
            None => {
                let reason = format!("{id}: neither a key nor a serial");
                return Err(CommandError::no("serial-missing", reason));
            }
        };
        device.roles = import.roles.to_vec();
        device.groups = import.groups.to_vec();
        for text in words(self.roles.map(field)) {
            device.roles.push(name(text, "role")?);
        }
        for text in words(self.groups.map(field)) {
            device.groups.push(name(text, "group")?);
        }
        device.serial = serial.map(Into::into);
        device.tidy();
        Ok(device)
    }
}

impl KeyColumn {
    const fn place(&self) -> usize {
        match self {
            Self::Jwk(index) | Self::X(index) => *index,
        }
    }

    fn read(&self, text: &str) -> std::result::Result<VerifyingKey, KeyRejection> {
        match self {
            Self::Jwk(_) => parse_jwk(text.as_bytes()),
            Self::X(_) => BASE64URL_NOPAD
                .decode(text.as_bytes())
                .map_err(|_| KeyRejection::Malformed("x"))
                .and_then(|octets| VerifyingKey::import(&octets)),
        }
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
