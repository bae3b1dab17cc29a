//! The log: how lines are written, and how recording names appear in them.
//!
//! Knows levels and formats. Does not know secrets: no token, ticket, query string or PBX address is ever a field, and
//! the lines of libraries, which may hold any of these, are left out at every level. Those that write to the crate `log`,
//! as rustls-platform-verifier does, reach nobody: no bridge to it is built in.

use std::fmt::Write;
use std::io::IsTerminal;

use aws_lc_rs::{hmac, rand};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use crate::recording::RecordingName;

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Least important level that is written.
    pub level: tracing::level_filters::LevelFilter,
    /// How a line looks.
    pub format: LogFormat,
    /// How recording names, which hold telephone numbers, appear.
    pub recording_names: RecordingNames,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For eyes.
    Text,
}

/// How recording names appear in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingNames {
    /// As a keyed hash that is the same within one run of the process.
    Hashed,
    /// As they are.
    Plain,
}

/// Installs the log of the process, on standard error.
///
/// # Errors
/// When there is one already.
pub(crate) fn init(log: &LogSettings) -> Result<(), String> {
    let level = log.level;
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let layer = match log.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text => lines.boxed(),
    };
    let layer = layer.with_filter(filter_fn(move |metadata| is_wanted(metadata, level)));
    tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .map_err(|error| error.to_string())
}

/// Our own lines, as configured. What a library has to say, an error of ours says without an address.
fn is_wanted(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let krate = metadata.target().split("::").next();
    *metadata.level() <= level && krate == Some(env!("CARGO_CRATE_NAME"))
}

/// How recording names appear in the log. They hold telephone numbers.
pub(crate) struct NameMask(Option<hmac::Key>);

impl NameMask {
    /// A hash has a key made at start, so names cannot be found by trying numbers.
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

    /// Whether it does what `names` says.
    pub(crate) fn is(&self, names: RecordingNames) -> bool {
        self.0.is_some() == (names == RecordingNames::Hashed)
    }

    pub(crate) fn mask(&self, name: &RecordingName) -> String {
        let Some(key) = &self.0 else {
            return name.as_str().to_owned();
        };
        let tag = hmac::sign(key, name.as_str().as_bytes());
        tag.as_ref()
            .iter()
            .take(8)
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{error, info, trace, warn};
    use tracing_subscriber::layer::Context;
    use tracing_subscriber::{Layer, registry};

    use super::*;

    /// Notes the targets of the lines that reach it.
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
