//! Networks as an operator writes them.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

/// Bits before an IPv4 address that is mapped into IPv6.
const MAPPED_BITS: u8 = 96;

/// A network; a single address is a network of one. IPv4 mapped into IPv6 becomes IPv4, as do the
/// addresses that are compared with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Network(pub(super) IpNet);

/// The text is neither an address nor a network.
#[derive(Debug, PartialEq, Eq, Error)]
#[error("not an address or a network such as 10.0.0.0/8 or fd00::/8")]
pub(super) struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| NotANetwork)?;
        Ok(Self(canonical(network).unwrap_or(network)))
    }
}

/// Turns a network of mapped addresses into its IPv4 network.
fn canonical(network: IpNet) -> Option<IpNet> {
    let IpNet::V6(mapped) = network else {
        return None;
    };
    let address: Ipv4Addr = mapped.addr().to_ipv4_mapped()?;
    let bits = mapped.prefix_len().checked_sub(MAPPED_BITS)?;
    Ipv4Net::new(address, bits).ok().map(IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_network_of_one_and_mapped_ipv4_is_ipv4() {
        for (text, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("fd00::/8", "fd00::/8"),
            ("::ffff:127.0.0.1", "127.0.0.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/90", "::/90"),
        ] {
            let network: Network = text.parse().unwrap();
            assert_eq!(network.0.to_string(), expected);
        }
        for text in [
            "",
            "nginx",
            "10.0.0.0/33",
            "10.0.0.0-10.0.0.9",
            "127.0.0.1:80",
            "*",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
        }
    }
}
