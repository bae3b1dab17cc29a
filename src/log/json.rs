//! A line of the log as one JSON object: time, level, the fields in their order, target.
//!
//! Knows JSON's text. Does not know what a field means. The access log has a line for each request,
//! so a line is written in one pass, without a copy of its values.

use std::fmt::{self, Debug, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// More than most lines have, so that a line grows rarely.
const USUAL_LINE_BYTES: usize = 768;

/// Formats a line.
#[derive(Default)]
pub(super) struct JsonLines {
    clock: Clock,
}

/// Writes times in RFC 3339, UTC, to the microsecond. Remembers the text of the current second.
#[derive(Default)]
struct Clock(Mutex<(u64, String)>);

impl Clock {
    fn write(&self, out: &mut String, now: SystemTime) {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != now.as_secs() || last.1.is_empty() {
            let second = i64::try_from(now.as_secs()).unwrap_or_default();
            let second = Timestamp::from_second(second).unwrap_or_default();
            *last = (
                now.as_secs(),
                second.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            );
        }
        out.push_str(&last.1);
        out.push('.');
        let mut digits = [b'0'; 6];
        let mut rest = now.subsec_micros();
        for digit in digits.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        out.push_str(str::from_utf8(&digits).unwrap_or_default());
        out.push('Z');
    }
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut members = Members(String::with_capacity(USUAL_LINE_BYTES));
        members.0.push_str("{\"timestamp\":\"");
        self.clock.write(&mut members.0, SystemTime::now());
        let metadata = event.metadata();
        members.0.push('"');
        members.text("level", metadata.level().as_str());
        event.record(&mut members);
        members.text("target", metadata.target());
        members.0.push_str("}\n");
        writer.write_str(&members.0)
    }
}

/// The members of an object, behind the first one.
struct Members(String);

impl Members {
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push('"');
        escape(&mut self.0, text);
        self.0.push('"');
    }

    fn bare(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.0.push_str(value);
    }
}

impl Visit for Members {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, if value { "true" } else { "false" });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.0.push('"');
        let _ = write!(Escaped(&mut self.0), "{value:?}");
        self.0.push('"');
    }
}

/// Escapes all that is written to it.
struct Escaped<'t>(&'t mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// Adds a text as it stands between the quotation marks of JSON (RFC 8259, section 7).
fn escape(out: &mut String, text: &str) {
    let is_special = |byte: u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    // Nearly all texts are plain. A look at all bytes, without an early end, takes many at a time.
    let has_special = |any, byte| any | is_special(byte);
    if !text.bytes().fold(false, has_special) {
        out.push_str(text);
        return;
    }
    let mut rest = text;
    while let Some(place) = rest.bytes().position(is_special) {
        let (plain, special) = rest.split_at(place);
        out.push_str(plain);
        // A special character has one byte.
        let (character, behind) = special.split_at(1);
        match character {
            "\"" => out.push_str("\\\""),
            "\\" => out.push_str("\\\\"),
            "\n" => out.push_str("\\n"),
            "\r" => out.push_str("\\r"),
            "\t" => out.push_str("\\t"),
            other => {
                let code = other.bytes().next().unwrap_or_default();
                let _ = write!(out, "\\u{code:04x}");
            }
        }
        rest = behind;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing::info;
    use tracing_subscriber::prelude::*;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_an_object_with_all_fields_in_their_order() {
        let lines = Lines::default();
        let out = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines::default())
            .with_writer(move || out.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let error = io::Error::other("a \"quoted\" one\n");
            info!(name = "a\\b", count = 3_u64, is_on = true, below = -1, %error, ?error, "done");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let mut line: Value = serde_json::from_str(text.strip_suffix('\n').unwrap()).unwrap();
        let time = line["timestamp"].take();
        assert!(
            time.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
            "{time}"
        );
        let expected = json!({
            "timestamp": null, "level": "INFO", "message": "done", "name": "a\\b", "count": 3,
            "is_on": true, "below": -1, "error": "a \"quoted\" one\n",
            "target": "wavegate::log::json::tests",
        });
        let debug = "\"error\":\"Custom { kind: Other";
        assert!(text.contains(debug), "{text}");
        line["error"] = "a \"quoted\" one\n".into();
        assert_eq!(line, expected);
        let places = ["timestamp", "level", "message", "name", "target"];
        let places = places.map(|name| text.find(&format!("\"{name}\":")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    proptest! {
        #[test]
        fn every_time_is_written_to_the_microsecond(times in prop::collection::vec(0_u64..250_000_000_000_000_000, 1..5)) {
            let clock = Clock::default();
            for micros in times.iter().flat_map(|micros| [*micros, micros + 1]) {
                let mut text = String::new();
                clock.write(&mut text, UNIX_EPOCH + std::time::Duration::from_micros(micros));
                let expected = Timestamp::from_microsecond(micros.try_into().unwrap()).unwrap();
                prop_assert_eq!(text, format!("{expected:.6}"));
            }
        }

        #[test]
        fn every_text_comes_back(text in any::<String>()) {
            let mut members = Members(String::new());
            members.text("text", &text);
            let object = format!("{{{}}}", members.0.trim_start_matches(','));
            let object: Value = serde_json::from_str(&object).unwrap();
            prop_assert_eq!(object["text"].as_str(), Some(text.as_str()));
        }
    }
}
