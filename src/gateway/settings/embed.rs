//! Which pages may use the sessions of browsers.

/// Which pages may have the session cookie sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Embed {
    /// Those of this very site, and links that lead here from others.
    SameSite,
    /// Those of other sites as well, each with sessions of its own, as iframes in a CRM need it.
    Partitioned,
}

impl Embed {
    /// Both with their names in the configuration.
    pub(crate) const NAMES: [(&str, Self); 2] = [
        ("same-site", Self::SameSite),
        ("partitioned", Self::Partitioned),
    ];
}
