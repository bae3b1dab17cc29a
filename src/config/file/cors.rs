//! `[cors]`: whose scripts may read answers.

use crate::config::Cors;
use crate::config::section::Section;

pub(super) fn read_cors(section: &mut Section<'_>) -> Cors {
    Cors {
        origins: section.list("origins").unwrap_or_default(),
    }
}
