//! The pages that may use the sessions of browsers.

/// The pages from which browsers send the session cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embed {
    /// Pages of this site, and links from other sites that lead here.
    SameSite,
    /// Also iframes in pages of other sites, such as a CRM; each site has sessions of its own.
    Partitioned,
}

impl Embed {
    /// Both with their names in the configuration.
    pub(crate) const NAMES: [(&str, Self); 2] = [
        ("same-site", Self::SameSite),
        ("partitioned", Self::Partitioned),
    ];
}
