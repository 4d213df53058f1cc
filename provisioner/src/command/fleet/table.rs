//! The fleet as a table, and as JSON.

use super::heard::Heard;
use super::judge::{Row, View, meaning};
use super::snapshot::Snapshot;
use crate::command::duration;
use crate::render::escaped;
use edgeseal_trust::status::StatusDraft;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Lines for people: the rows that are wanted, then what concerns the whole fleet.
pub(super) fn text(view: &View, rows: &[&Row], heard: &Heard, snapshot: &Snapshot) -> String {
    let mut lines = vec![[
        "DEVICE".to_owned(),
        "APPLIED".to_owned(),
        "CLOCK".to_owned(),
        "SEEN".to_owned(),
        "AGENT".to_owned(),
        "REFUSED".to_owned(),
        "ATTENTION".to_owned(),
    ]];
    lines.extend(rows.iter().map(|row| cells(row)));
    let mut text = aligned(&lines);
    let wanting = view.rows.iter().filter(|row| !row.attention.is_empty());
    let published = snapshot.published.map_or_else(
        || "nothing was published".to_owned(),
        |(root, sequence)| format!("published: root version {root}, sequence {sequence}"),
    );
    let _ = write!(
        text,
        "\n{} of {} active devices want attention; {published}",
        wanting.count(),
        view.rows.len()
    );
    if heard.strangers > 0 {
        let count = heard.strangers;
        let _ = write!(
            text,
            "\n{count} statuses of devices that are not active: passed over"
        );
    }
    for (device, code) in &heard.refused {
        let _ = write!(
            text,
            "\nwhat lies on the topic of {device} is not its status: {code}"
        );
    }
    for row in rows {
        if let Some(offered) = row
            .status
            .as_ref()
            .and_then(|status| status.offered.as_ref())
        {
            let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
            let (root, sequence) = (number(offered.root_version), number(offered.sequence));
            let _ = write!(
                text,
                "\n{} is offered root version {root} sequence {sequence}, and refuses it: {}",
                row.device, offered.code
            );
        }
    }
    refusals(&mut text, view);
    alarms(&mut text, view);
    text
}

/// The same as an object.
pub(super) fn json(view: &View, rows: &[&Row], heard: &Heard, snapshot: &Snapshot) -> Value {
    let rows: Vec<Value> = rows.iter().map(|row| row_json(row, heard)).collect();
    let senders: Vec<Value> = view
        .senders
        .iter()
        .map(|((code, sender), agents)| json!({ "code": code, "sender": sender, "agents": agents }))
        .collect();
    let clones: Vec<Value> = view
        .clones
        .iter()
        .map(|proof| {
            json!({
                "device": proof.device,
                "kid": proof.kid,
                "jti": proof.id.to_string(),
                "tokens": proof.tokens,
                "command": suspend(proof.device.as_str()),
            })
        })
        .collect();
    let notices: Vec<Value> = view
        .notices
        .iter()
        .map(|(says, notice)| {
            json!({
                "says": says,
                "code": notice.code,
                "device": notice.device,
                "kid": notice.kid,
                "at": notice.at,
                "meaning": meaning(&notice.code),
            })
        })
        .collect();
    let unproven: Vec<Value> = view
        .unproven
        .iter()
        .map(|(says, code)| json!({ "says": says, "code": code }))
        .collect();
    json!({
        "domain": snapshot.domain,
        "published": snapshot.published.map(|(root, sequence)| {
            json!({ "root_version": root, "sequence": sequence })
        }),
        "attention": view.wants_attention(),
        "devices": rows,
        "counts": view.counts,
        "refusals": senders,
        "clones": clones,
        "notices": notices,
        "unproven_clones": unproven,
        "not_active": heard.strangers,
    })
}

fn cells(row: &Row) -> [String; 7] {
    let attention: Vec<&str> = row.attention.iter().map(|a| a.as_str()).collect();
    let attention = attention.join(" ");
    let Some(status) = &row.status else {
        let nothing = || "-".to_owned();
        let device = row.device.to_string();
        return [
            device,
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            nothing(),
            attention,
        ];
    };
    [
        row.device.to_string(),
        applied(row, status),
        status.clock.as_str().to_owned(),
        row.age_seconds.map_or("-".to_owned(), ago),
        escaped(&status.version),
        row.refusals().to_string(),
        attention,
    ]
}

fn applied(row: &Row, status: &StatusDraft) -> String {
    let (root, sequence) = (status.root_version, status.sequence);
    match row.lag {
        Some(0) => format!("{root}/{sequence}"),
        Some(lag) => format!("{root}/{sequence} (-{lag})"),
        None => format!("{root}/{sequence} (root)"),
    }
}

/// Seconds in the largest unit that has two digits at most.
fn ago(seconds: u64) -> String {
    let unit = [86_400, 3600, 60].into_iter().find(|unit| seconds >= *unit);
    let unit = unit.unwrap_or(1);
    let whole = seconds.checked_div(unit).unwrap_or(0).saturating_mul(unit);
    duration::show(whole)
}

fn refusals(text: &mut String, view: &View) {
    if view.counts.is_empty() {
        return;
    }
    let counts: Vec<String> = view
        .counts
        .iter()
        .map(|(code, n)| format!("{code} {n}"))
        .collect();
    let _ = write!(
        text,
        "\nrefused since the agents started: {}",
        counts.join(", ")
    );
    for ((code, sender), agents) in &view.senders {
        let sender = sender
            .as_ref()
            .map_or("nobody known", |sender| sender.as_str());
        let _ = write!(
            text,
            "\n  last refused by {agents} agents: {code}, from {sender}"
        );
    }
}

fn alarms(text: &mut String, view: &View) {
    for proof in &view.clones {
        let (device, kid, id) = (&proof.device, proof.kid, proof.id);
        let _ = write!(
            text,
            "\nCLONE PROVEN: the key {kid} of {device} is in two places (id {id} was used twice; both tokens were judged here)\n  {}",
            suspend(device.as_str())
        );
    }
    for (says, notice) in view.notices.iter().take(SHOWN_NOTICES) {
        let about = notice
            .device
            .as_ref()
            .map_or("itself", |device| device.as_str());
        let _ = write!(
            text,
            "\nnotice of {says} about {about}, {}: {}: {}",
            notice.at.date(),
            notice.code,
            meaning(&notice.code)
        );
    }
    for (says, code) in view.unproven.iter().take(SHOWN_NOTICES) {
        let _ = write!(
            text,
            "\n{says} claims a clone, and its tokens do not prove it: {code}"
        );
    }
}

fn row_json(row: &Row, heard: &Heard) -> Value {
    let attention: Vec<&str> = row.attention.iter().map(|a| a.as_str()).collect();
    let status = row.status.as_ref();
    json!({
        "device": row.device,
        "attention": attention,
        "seen": status.map(|status| status.issued_at),
        "age_seconds": row.age_seconds,
        "root_version": status.map(|status| status.root_version),
        "sequence": status.map(|status| status.sequence),
        "lag": row.lag,
        "clock": status.map(|status| status.clock.as_str()),
        "agent": status.map(|status| &status.version),
        "started": status.map(|status| status.started_at),
        "counts": status.map(|status| &status.counts),
        "offered": status.and_then(|status| status.offered.as_ref()).map(|offered| json!({
            "root_version": offered.root_version, "sequence": offered.sequence, "code": offered.code,
        })),
        "refused": heard.refused.get(&row.device),
    })
}

fn suspend(device: &str) -> String {
    format!("edgeseal device suspend {device} --reason 'its key is in two places'")
}

/// Columns of equal width, without blanks at the end of a line.
fn aligned(lines: &[[String; 7]]) -> String {
    let mut widths = [0; 7];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &[String; 7]| {
        let padded = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

const SHOWN_NOTICES: usize = 20;
