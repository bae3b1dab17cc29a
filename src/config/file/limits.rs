//! `[limits]`: rates of requests.

use crate::config::section::Section;
use crate::gateway::settings::limits::{Rate, RequestLimits};

const MAX: u64 = 1_000_000;

pub(super) fn read_limits(section: &mut Section<'_>) -> RequestLimits {
    let default = RequestLimits::default();
    let principal = section.integer("principal_requests_per_second", 0..=MAX);
    let principal_burst = section.integer("principal_burst", 1..=MAX);
    let address = section.integer("address_requests_per_second", 0..=MAX);
    let address_burst = section.integer("address_burst", 1..=MAX);
    let failures = section.integer("address_failures_per_minute", 0..=MAX);
    RequestLimits {
        per_principal: rate(principal, principal_burst, default.per_principal),
        per_address: rate(address, address_burst, default.per_address),
        failures_per_minute: match failures {
            None => default.failures_per_minute,
            Some(number) => size(number).filter(|number| *number > 0),
        },
    }
}

/// 0 per second is no limit.
fn rate(per_second: Option<u64>, burst: Option<u64>, default: Option<Rate>) -> Option<Rate> {
    let default = default?;
    let per_second = per_second.map_or(Some(default.per_second), size)?;
    if per_second == 0 {
        return None;
    }
    let burst = burst.and_then(size).unwrap_or(default.burst);
    Some(Rate { per_second, burst })
}

fn size(number: u64) -> Option<usize> {
    usize::try_from(number).ok()
}
