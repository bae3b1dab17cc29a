//! Rates of requests: of a principal, from an address, and of failures from an address.
//!
//! Knows what counts, and for whom. A failure never holds up a request with a valid credential: those that fail are the only ones
//! that failures slow down. Does not know why a request fails.

use std::net::{IpAddr, Ipv6Addr};

use super::error::GatewayError;
use crate::auth::{CredentialError, Principal};
use crate::gateway::settings::limits::Rate;
use crate::gateway::settings::limits::RequestLimits;
use crate::limits::rate::{self, Counted, Rates};
use crate::principal::PrincipalId;

/// Bits of an IPv6 address that name a network; whoever has one has all addresses in it.
const NETWORK_BITS: u32 = 64;

/// The rates in force.
pub(crate) struct RequestRates {
    config: RequestLimits,
    principals: Option<Rates<PrincipalId>>,
    addresses: Option<Rates<IpAddr>>,
    failures: Option<Rates<IpAddr>>,
}

impl RequestRates {
    pub(crate) fn new(config: RequestLimits) -> Self {
        Self {
            principals: config.per_principal.map(rates),
            addresses: config.per_address.map(rates),
            failures: config.failures_per_minute.map(Rates::per_minute),
            config,
        }
    }

    /// Whether these are the limits.
    pub(crate) fn are(&self, config: &RequestLimits) -> bool {
        self.config == *config
    }

    /// Counts a request from an address.
    ///
    /// # Errors
    /// When the address has sent too many.
    pub(super) fn count_address(&self, source: IpAddr) -> Result<Counted<IpAddr>, GatewayError> {
        let limit = "limits.address_requests_per_second";
        counted(self.addresses.as_ref(), &network_of(source), source, limit)
    }

    /// Counts a request of a principal.
    ///
    /// # Errors
    /// When the principal has sent too many.
    pub(super) fn count_principal(
        &self,
        principal: Principal,
    ) -> Result<Counted<Principal>, GatewayError> {
        let limit = "limits.principal_requests_per_second";
        counted(self.principals.as_ref(), &principal.id(), principal, limit)
    }

    /// Counts a failure, and says what to answer to it.
    pub(super) fn failed(&self, source: IpAddr, rejected: CredentialError) -> GatewayError {
        let limit = "limits.address_failures_per_minute";
        let counted = counted(self.failures.as_ref(), &network_of(source), rejected, limit);
        counted.map_or_else(|error| error, |rejected| rejected.into_inner().into())
    }
}

fn rates<K: std::hash::Hash + Eq + Clone>(rate: Rate) -> Rates<K> {
    Rates::per_second(rate.per_second, rate.burst)
}

fn counted<K: std::hash::Hash + Eq + Clone, T>(
    rates: Option<&Rates<K>>,
    key: &K,
    value: T,
    limit: &'static str,
) -> Result<Counted<T>, GatewayError> {
    let counted = rate::count(rates, key, value);
    counted.map_err(|retry_after| GatewayError::TooMany { limit, retry_after })
}

/// What counts as one address.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> NETWORK_BITS << NETWORK_BITS;
            Ipv6Addr::from_bits(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_ipv4_or_a_network_of_ipv6() {
        for (address, network) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
            ("::1", "::"),
        ] {
            assert_eq!(network_of(address.parse().unwrap()).to_string(), network);
        }
    }
}
