//! The story of one request, from the audit log.
//!
//! Knows how lines read as sentences. Does not know other requests.

use std::io;

use super::read::RawLine;
use super::report::table::escape;
use crate::audit::line::{Decision, Delivery, Line, LogRecord};

/// The story of the request with this id: one sentence for each of its lines in the log.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn of(
    lines: impl Iterator<Item = io::Result<RawLine>>,
    id: &str,
) -> io::Result<Vec<String>> {
    let mut story = Vec::new();
    for written in lines {
        let written = written?;
        let Ok(line) = Line::parse(&written.bytes) else {
            continue;
        };
        let told = match &line.record {
            LogRecord::Decision(decision) if &*decision.id == id => decided(decision),
            LogRecord::Delivery(delivery) if &*delivery.id == id => delivered(delivery),
            _ => continue,
        };
        let text = format!("{}  {}  ({})", line.time, told, written.place);
        story.push(escape(&text));
    }
    Ok(story)
}

fn decided(decision: &Decision) -> String {
    let what = match &decision.recording {
        Some(recording) => format!("{recording} of {}", decision.pbx),
        None => format!("the list of {}", decision.pbx),
    };
    let jti = match &decision.jti {
        Some(jti) => format!(" {jti}"),
        None => String::new(),
    };
    let range = match &decision.range {
        Some(range) => format!(", {range}"),
        None => String::new(),
    };
    let outcome = match (decision.allowed, &decision.reason) {
        (true, _) => "allowed".to_owned(),
        (false, None) => "denied".to_owned(),
        (false, Some(reason)) => format!("denied: {reason}"),
    };
    let policies = match decision.policies.as_slice() {
        [] => String::new(),
        policies => format!(", by {}", policies.join(", ")),
    };
    let link = match &decision.link {
        Some(link) => format!(", as link {link}"),
        None => String::new(),
    };
    format!(
        "{} of {} asked from {}, with {}{jti}, to {} {what} ({}{range}): {outcome}{policies}{link}",
        decision.subject,
        decision.issuer,
        decision.source,
        decision.credential,
        decision.action,
        decision.method,
    )
}

fn delivered(delivery: &Delivery) -> String {
    let status = match delivery.status {
        0 => "no answer".to_owned(),
        status => format!("answered {status}"),
    };
    let from = match delivery.first {
        Some(first) if delivery.bytes > 0 => format!(" from byte {first} on"),
        _ => String::new(),
    };
    let heard = match delivery.heard_ms {
        Some(ms) => format!(", {}.{:03} s of audio", ms / 1000, ms % 1000),
        None => String::new(),
    };
    let agreed = match delivery.agreed_end {
        true => ", where two readings agreed on the end",
        false => "",
    };
    let rows = match delivery.rows {
        Some(rows) => format!(", {rows} entries"),
        None => String::new(),
    };
    format!(
        "{status}, {} bytes{from}{heard}{agreed}{rows}: {}",
        delivery.bytes, delivery.outcome
    )
}
