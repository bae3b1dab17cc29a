//! The rates of requests from one caller, and from one address.

/// Rates of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimits {
    /// Of one principal.
    pub per_principal: Option<Rate>,
    /// From one source address, or from one IPv6 network of 64 bits.
    pub per_address: Option<Rate>,
    /// Answers 401 that one source address gets per minute, before it gets 429 instead; `None` for
    /// any number.
    pub failures_per_minute: Option<usize>,
}

/// A rate of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: usize,
    /// Requests at once after a pause.
    pub burst: usize,
}
