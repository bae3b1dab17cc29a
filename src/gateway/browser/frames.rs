//! The sites that may show answers in a frame: the gateway's own and the listed ones.
//!
//! Knows the header field for it. A recording opened by a link may be framed by any site that has
//! the link.
//!
//! Source: Content Security Policy level 3, §6.4.2 (`frame-ancestors`).

use http::header::{CONTENT_SECURITY_POLICY, HeaderMap, HeaderValue};

use super::page;
use crate::gateway::settings::cors::CorsSettings;

/// The values of the field for pages and for recordings, made once.
pub(crate) struct Frames {
    page: HeaderValue,
    recording: HeaderValue,
}

impl Frames {
    pub(crate) fn new(config: &CorsSettings) -> Self {
        let ancestors = format!("frame-ancestors 'self' {}", config.framers());
        let ancestors = ancestors.trim_end();
        // Origins are ASCII, so always valid as the value of a field. If not, all loading and
        // framing is forbidden.
        let strictest = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
        let field = |policy: &str| HeaderValue::from_str(policy).unwrap_or(strictest.clone());
        Self {
            page: field(&format!("{}; {ancestors}", page::content_policy())),
            recording: field(ancestors),
        }
    }

    pub(crate) fn fill_page(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_SECURITY_POLICY, self.page.clone());
    }

    pub(crate) fn fill_recording(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_SECURITY_POLICY, self.recording.clone());
    }
}
