//! The log: the format of its lines, and the form of recording names in them.
//!
//! Knows levels and formats. Does not know secrets: no token, ticket, query string or PBX address
//! is ever a field. Lines of libraries, which may contain any of these, are left out at every
//! level. Libraries that write to the crate `log`, as rustls-platform-verifier does, are not heard
//! either: no bridge to it is built in.

mod json;
mod writer;

use std::io::IsTerminal;

use aws_lc_rs::{hmac, rand};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use crate::recording::RecordingName;
use json::JsonLines;
pub(crate) use writer::LogEnd;
use writer::LogWriter;

/// The settings of the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The least important level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// The format of a line.
    pub format: LogFormat,
    /// The form of recording names, which contain telephone numbers.
    pub recording_names: RecordingNames,
}

/// The format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// The form of recording names in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingNames {
    /// A keyed hash, the same for one name within one run of the process.
    Hashed,
    /// The name itself.
    Plain,
}

/// Installs the log of the process, on standard error. Keep the returned value until the end of
/// the process: its drop writes the last lines.
///
/// # Errors
/// When the process has a log already, or no thread for it.
pub(crate) fn init(log: &LogSettings) -> Result<LogEnd, String> {
    let level = log.level;
    let (writer, end) = LogWriter::start().map_err(|error| format!("log: {error}"))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(writer);
    let layer = match log.format {
        LogFormat::Json => lines.event_format(JsonLines::default()).boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let layer = layer.with_filter(filter_fn(move |metadata| is_wanted(metadata, level)));
    tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .map_err(|error| error.to_string())?;
    Ok(end)
}

/// Whether a line is written: only the crate's own lines, from the configured level on. Where a
/// library reports an error, an error of this crate reports it without the address.
fn is_wanted(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let krate = metadata.target().split("::").next();
    *metadata.level() <= level && krate == Some(env!("CARGO_CRATE_NAME"))
}

/// Turns recording names, which contain telephone numbers, into their form in the log.
pub(crate) struct NameMask(Option<hmac::Key>);

impl NameMask {
    /// Makes the mask. Its key is random, so nobody finds a name by hashing telephone numbers.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(crate) fn new(names: RecordingNames) -> Result<Self, String> {
        let key = match names {
            RecordingNames::Plain => None,
            RecordingNames::Hashed => Some(
                hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
                    .map_err(|_| "the system has no randomness")?,
            ),
        };
        Ok(Self(key))
    }

    /// Whether it makes the form that `names` says.
    pub(crate) fn matches(&self, names: RecordingNames) -> bool {
        self.0.is_some() == (names == RecordingNames::Hashed)
    }

    pub(crate) fn mask(&self, name: &RecordingName) -> String {
        let Some(key) = &self.0 else {
            return name.as_str().to_owned();
        };
        let tag = hmac::sign(key, name.as_str().as_bytes());
        let first = tag.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{error, info, trace, warn};
    use tracing_subscriber::layer::Context;
    use tracing_subscriber::{Layer, registry};

    use super::*;

    /// Collects the targets of the lines that reach it.
    #[derive(Clone, Default)]
    struct Targets(Arc<Mutex<Vec<String>>>);

    impl<S: tracing::Subscriber> Layer<S> for Targets {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let target = event.metadata().target().to_owned();
            self.0.lock().unwrap().push(target);
        }
    }

    #[test]
    fn no_line_of_a_library_is_written_at_any_level() {
        let targets = Targets::default();
        let layer = targets
            .clone()
            .with_filter(filter_fn(|metadata| is_wanted(metadata, LevelFilter::INFO)));
        tracing::subscriber::with_default(registry().with(layer), || {
            error!(target: "rustls_platform_verifier::verification", "192.0.2.1");
            warn!(target: "hyper_util::client", "https://pbx.example");
            error!(target: "wavegated", "another crate");
            info!(target: "wavegate", "ours");
            warn!(target: "wavegate::pbx", "ours");
            trace!(target: "wavegate::pbx", "too fine");
        });
        assert_eq!(*targets.0.lock().unwrap(), ["wavegate", "wavegate::pbx"]);
    }
}
