//! `[log]`: the log of the process.

use tracing::level_filters::LevelFilter;

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::log::{LogFormat, LogSettings, RecordingNames};

const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];
const FORMATS: [(&str, LogFormat); 2] = [("json", LogFormat::Json), ("text", LogFormat::Text)];
const NAMES: [(&str, RecordingNames); 2] = [
    ("hashed", RecordingNames::Hashed),
    ("plain", RecordingNames::Plain),
];

rows! {
    /// The log of the process, on standard error.
    mod keys = "[log]";

    /// The least important level that is written. No level shows secrets.
    level: OneOf<LevelFilter> = one_of(&LEVELS, LevelFilter::INFO);

    /// json writes one object per line, text is for eyes.
    format: OneOf<LogFormat> = one_of(&FORMATS, LogFormat::Json);

    /// Recording names hold telephone numbers. hashed writes a hash of them, with a key that is
    /// made at each start; plain writes them as they are.
    recording_names: OneOf<RecordingNames> = one_of(&NAMES, RecordingNames::Hashed);
}

pub(super) fn read_log(section: &mut Section<'_>) -> LogSettings {
    LogSettings {
        level: keys::level.get(section),
        format: keys::format.get(section),
        recording_names: keys::recording_names.get(section),
    }
}
