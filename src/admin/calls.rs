//! What the admin listener can tell, as the composition root gives it.
//!
//! Knows who is asked. Does not know what they say.

/// Tells something as a text.
pub(crate) type Report = Box<dyn Fn() -> String + Send + Sync>;

/// Reports.
pub(crate) struct Calls {
    /// How the PBXs are doing, as JSON.
    pub(crate) pbxs: Report,
    /// What was counted, as [`crate::metrics::MEDIA_TYPE`].
    pub(crate) metrics: Report,
}
