//! The rate limits of requests: for each principal, for each address, and for failures of an
//! address.
//!
//! Knows which request counts under which key. Failures of an address limit only further failures:
//! a request with a valid credential is never refused for them. Does not know why a request fails.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::error::GatewayError;
use crate::auth::{CredentialError, Principal};
use crate::fleet::Fleet;
use crate::gateway::settings::limits::Rate;
use crate::gateway::settings::limits::RequestLimits;
use crate::limits::principal_rate::{self, PrincipalRate};
use crate::limits::rate::{self, Counted, RateLimit};

/// The bits of an IPv6 address that name a network. One caller can use all addresses in it.
const NETWORK_BITS: u32 = 64;

/// The rate limits in force.
pub(crate) struct RequestRateLimits {
    config: RequestLimits,
    principals: Option<PrincipalRate>,
    addresses: Option<RateLimit<IpAddr>>,
    failures: Option<RateLimit<IpAddr>>,
}

impl RequestRateLimits {
    pub(crate) fn new(config: RequestLimits, fleet: Option<&Arc<Fleet>>) -> Self {
        let of_principals =
            |rate: Rate| PrincipalRate::per_second(rate.per_second, rate.burst, "requests", fleet);
        Self {
            principals: config.per_principal.map(of_principals),
            addresses: config.per_address.map(rate_limit),
            failures: config.failures_per_minute.map(RateLimit::per_minute),
            config,
        }
    }

    /// True if these limits are made from `config`.
    pub(crate) fn matches_config(&self, config: &RequestLimits) -> bool {
        self.config == *config
    }

    /// Counts a request from an address.
    ///
    /// # Errors
    /// If the address has sent too many.
    pub(super) fn count_address(&self, source: IpAddr) -> Result<Counted<IpAddr>, GatewayError> {
        let limit = "limits.address_requests_per_second";
        counted(self.addresses.as_ref(), &network_of(source), source, limit)
    }

    /// Counts a request of a principal.
    ///
    /// # Errors
    /// If the principal has sent too many.
    ///
    /// # Cancel safety
    /// It may or may not have been counted.
    pub(super) async fn count_principal(
        &self,
        principal: Principal,
    ) -> Result<Counted<Principal>, GatewayError> {
        let limit = "limits.principal_requests_per_second";
        let id = principal.id();
        let counted = principal_rate::count(self.principals.as_ref(), &id, principal).await;
        counted.map_err(|retry_after| GatewayError::TooMany { limit, retry_after })
    }

    /// Counts a failure, and returns the error to answer with.
    pub(super) fn failed(&self, source: IpAddr, rejected: CredentialError) -> GatewayError {
        let limit = "limits.address_failures_per_minute";
        let counted = counted(self.failures.as_ref(), &network_of(source), rejected, limit);
        counted.map_or_else(|error| error, |rejected| rejected.into_inner().into())
    }
}

fn rate_limit<K: std::hash::Hash + Eq + Clone>(rate: Rate) -> RateLimit<K> {
    RateLimit::per_second(rate.per_second, rate.burst)
}

fn counted<K: std::hash::Hash + Eq + Clone, T>(
    rate_limit: Option<&RateLimit<K>>,
    key: &K,
    value: T,
    limit: &'static str,
) -> Result<Counted<T>, GatewayError> {
    let counted = rate::count(rate_limit, key, value);
    counted.map_err(|retry_after| GatewayError::TooMany { limit, retry_after })
}

/// The key of an address: itself for IPv4, its network for IPv6.
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
    fn an_ipv6_network_counts_as_one_address() {
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
