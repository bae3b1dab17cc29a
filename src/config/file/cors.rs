//! `[cors]`: whose scripts may read answers.

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::gateway::settings::cors::{CorsSettings, Origin};

rows! {
    /// Pages of other origins.
    mod keys = "[cors]";

    /// Origins whose scripts may read answers, and whose pages may use the cookies of their
    /// visitors: scheme, host and port of each; no wildcards. A script there can do what its user
    /// may, so list only origins that you trust with that. For all others the browser keeps answers
    /// to itself, and cookies are refused; an <audio> element that plays a link needs no entry.
    /// Only these origins may show pages and recordings in a frame, except recordings that a link
    /// opens.
    origins: ListOf<Origin> = list_of(&[]);
}

pub(super) fn read_cors(section: &mut Section<'_>) -> CorsSettings {
    CorsSettings {
        origins: keys::origins.get(section),
    }
}
