//! How many requests are taken from one caller, and from one address.

/// Rates of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimits {
    /// Of one principal.
    pub per_principal: Option<Rate>,
    /// From one source address, of IPv6 from one network of 64 bits.
    pub per_address: Option<Rate>,
    /// Answers 401 that one source address gets per minute, before it gets 429 instead; `None` for
    /// any number.
    pub failures_per_minute: Option<usize>,
}

/// So many per second, and more at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In the long run.
    pub per_second: usize,
    /// At once.
    pub burst: usize,
}
