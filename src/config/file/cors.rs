//! `[cors]`: whose scripts may read answers.

use crate::config::section::Section;
use crate::gateway::settings::cors::CorsSettings;

pub(super) fn read_cors(section: &mut Section<'_>) -> CorsSettings {
    CorsSettings {
        origins: section.list("origins").unwrap_or_default(),
    }
}
