//! `[limits]`: rates of requests.

use crate::config::kinds::*;
use crate::config::rows::rows;
use crate::config::section::Section;
use crate::gateway::settings::limits::{Rate, RequestLimits};

const MAX: u64 = 1_000_000;

rows! {
    /// Rates of requests. A request above one of them gets 429 with the time to wait.
    mod keys = "[limits]";

    /// Requests per second of one principal (see relay.max_streams_per_principal); 0 is no limit. A
    /// player that seeks sends some per second.
    principal_requests_per_second: Number<usize> = count(0..=MAX, 200);

    /// How many requests one principal may send at once after a pause.
    principal_burst: Number<usize> = count(1..=MAX, 2_000);

    /// Requests per second from one source address, or from one IPv6 network of 64 bits; 0 is no
    /// limit. A whole office may have one address; and all callers have one if
    /// server.trusted_proxies lacks the proxy.
    address_requests_per_second: Number<usize> = count(0..=MAX, 2_000);

    /// How many requests one address may send at once after a pause.
    address_burst: Number<usize> = count(1..=MAX, 20_000);

    /// How many answers 401 one source address gets per minute; 429 takes the place of further
    /// ones; 0 is no limit. A caller with a valid credential is not affected by callers without
    /// one.
    address_failures_per_minute: Number<usize> = count(0..=MAX, 120);
}

pub(super) fn read_limits(section: &mut Section<'_>) -> RequestLimits {
    let of_principals = Rate {
        per_second: keys::principal_requests_per_second.get(section),
        burst: keys::principal_burst.get(section),
    };
    let of_addresses = Rate {
        per_second: keys::address_requests_per_second.get(section),
        burst: keys::address_burst.get(section),
    };
    let failures = keys::address_failures_per_minute.get(section);
    RequestLimits {
        per_principal: (of_principals.per_second > 0).then_some(of_principals),
        per_address: (of_addresses.per_second > 0).then_some(of_addresses),
        failures_per_minute: (failures > 0).then_some(failures),
    }
}
