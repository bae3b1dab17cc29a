//! The source address and the id of a request.
//!
//! Knows which peers are trusted proxies. Does not know what the request is for.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::HeaderName;
use ipnet::IpNet;
use tracing::warn;
use uuid::fmt::Hyphenated;

use crate::http::headers::X_REQUEST_ID;
use crate::relay::Watchdog;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The longest request id that is taken over from a trusted proxy, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// The connection on which a request came.
pub(crate) struct Downstream {
    pub(crate) peer: SocketAddr,
    pub(crate) watchdog: Arc<Watchdog>,
}

/// The proxies whose `X-Forwarded-For` is trusted.
pub(crate) struct TrustedProxies {
    networks: Vec<IpNet>,
    /// True once the log has a warning about a proxy that is not among them.
    warned: AtomicBool,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            warned: AtomicBool::new(false),
        }
    }

    fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The caller's address: that of the peer; behind trusted proxies, the last one in
    /// `X-Forwarded-For` that is not a trusted proxy. IPv4 addresses mapped into IPv6 count as
    /// IPv4.
    pub(super) fn source_address(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let mut source = peer.to_canonical();
        if !self.trust(source) {
            if headers.contains_key(X_FORWARDED_FOR) {
                self.warn_once(source);
            }
            return source;
        }
        let fields: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        let hops = fields
            .iter()
            .rev()
            .flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops {
            // A caller can send any text in front of the part that a proxy appends, so each hop is
            // read by itself, from the end.
            let address = str::from_utf8(hop)
                .ok()
                .and_then(|hop| address_of(hop.trim()));
            match address {
                Some(address) if self.trust(source) => source = address.to_canonical(),
                _ => break,
            }
        }
        source
    }

    /// Warns about a proxy that may be missing in the configuration. Once, because any caller can
    /// send this field.
    fn warn_once(&self, peer: IpAddr) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                %peer,
                advice = "if it is your proxy, add it to server.trusted_proxies; until then all callers have its address",
                "a peer that is no trusted proxy sends X-Forwarded-For, which is ignored"
            );
        }
    }

    /// The id of a request in the log: that of a trusted proxy, or a new one.
    pub(super) fn request_id(&self, headers: &HeaderMap, peer: IpAddr) -> Arc<str> {
        headers
            .get(X_REQUEST_ID)
            .filter(|_| self.trust(peer))
            .and_then(|id| id.to_str().ok())
            .filter(|id| is_harmless(id))
            .map_or_else(new_request_id, Arc::from)
    }
}

/// The address of a hop. The field has no standard. Some proxies write the address in quotation
/// marks and brackets, as in `Forwarded` (RFC 7239 §6), some with the port, some with a zone
/// (RFC 6874 §2). A zone means nothing on other machines, so it is dropped.
fn address_of(hop: &str) -> Option<IpAddr> {
    let hop = match hop.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?.trim(),
        None => hop,
    };
    if let Some(literal) = hop.strip_prefix('[') {
        let (address, rest) = literal.split_once(']')?;
        let address = ipv6(address).or_else(|| address.parse().ok());
        return address.filter(|_| rest.is_empty() || is_port(rest));
    }
    let hop = hop
        .strip_suffix(':')
        .filter(|rest| !rest.contains(':'))
        .unwrap_or(hop);
    let with_port = || {
        hop.parse::<SocketAddrV4>()
            .map(|address| (*address.ip()).into())
    };
    ipv6(hop).or_else(|| hop.parse().or_else(|_| with_port()).ok())
}

/// An IPv6 address, with or without a zone.
fn ipv6(text: &str) -> Option<IpAddr> {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let is_zone = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    let has_zone = !zone.is_empty() && zone.bytes().all(is_zone);
    let address: Ipv6Addr = address.parse().ok().filter(|_| has_zone)?;
    Some(address.into())
}

/// True for a colon and a port. The port may be empty (RFC 3986 §3.2.3).
fn is_port(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else {
        return false;
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.is_empty() || is_number && digits.parse::<u16>().is_ok()
}

fn is_harmless(id: &str) -> bool {
    (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A UUID of version 7, which sorts by time. Its random part is a hash of a count under a random
/// key: as unique as random bytes, for less than a call of the system or of the crypto library.
fn new_request_id() -> Arc<str> {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);

    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let halves = [KEY.hash_one((count, 0)), KEY.hash_one((count, 1))];
    let bytes = halves.map(u64::to_le_bytes).concat();
    let random = bytes.first_chunk().copied().unwrap_or_default();
    let id = uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid();
    let mut text = [0; Hyphenated::LENGTH];
    Arc::from(&*id.hyphenated().encode_lower(&mut text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(peer: &str, fields: &[&str], expected: &str) {
        let networks = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
        let proxies = TrustedProxies::new(
            networks
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
        );
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("x-forwarded-for", field.parse().unwrap());
        }
        let source = proxies.source_address(&headers, peer.parse().unwrap());
        assert_eq!(source.to_string(), expected, "{peer} {fields:?}");
    }

    #[test]
    fn the_source_is_the_last_hop_before_the_trusted_proxies() {
        check("192.0.2.1", &[], "192.0.2.1");
        check("192.0.2.1", &["203.0.113.5"], "192.0.2.1");
        check("127.0.0.1", &["203.0.113.5"], "203.0.113.5");
        check(
            "127.0.0.1",
            &["198.51.100.9, 203.0.113.5, 10.1.2.3"],
            "203.0.113.5",
        );
        check(
            "127.0.0.1",
            &["198.51.100.9", "203.0.113.5", "10.1.2.3"],
            "203.0.113.5",
        );
        check("127.0.0.1", &["203.0.113.5, unknown"], "127.0.0.1");
        check("127.0.0.1", &["203.0.113.5, unknown, 10.1.2.3"], "10.1.2.3");
        check("::ffff:127.0.0.1", &["::ffff:203.0.113.5"], "203.0.113.5");
        check("fd00::1", &["2001:db8::7"], "2001:db8::7");
        check("10.0.0.1", &["10.0.0.2,10.0.0.3"], "10.0.0.2");
        check("127.0.0.1", &["203.0.113.5:4711"], "203.0.113.5");
        check("127.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7");
        check(
            "127.0.0.1",
            &["198.51.100.9, \u{e9}, 203.0.113.5"],
            "203.0.113.5",
        );
        check(
            "127.0.0.1",
            &["[2001:db8::7], \"[fd00::1]:80\""],
            "2001:db8::7",
        );
    }

    #[track_caller]
    fn check_hop(hop: &str, expected: Option<&str>) {
        let found = address_of(hop).map(|address| address.to_string());
        assert_eq!(found.as_deref(), expected, "{hop}");
    }

    #[test]
    fn an_address_is_read_in_every_spelling_of_proxies() {
        let (v4, v6) = (Some("203.0.113.9"), Some("2001:db8::9"));
        for hop in [
            "203.0.113.9",
            "203.0.113.9:4711",
            "\"203.0.113.9\"",
            "\" 203.0.113.9 \"",
            "\"203.0.113.9:1\"",
        ] {
            check_hop(hop, v4);
        }
        for hop in [
            "2001:db8::9",
            "2001:DB8:0::9",
            "[2001:db8::9]",
            "[2001:db8::9]:443",
            "\"2001:db8::9\"",
            "\"[2001:db8::9]\"",
            "\"[2001:db8::9]:443\"",
            "2001:db8::9%eth0",
            "2001:db8::9%25eth0",
            "2001:db8::9%br-lan.2",
            "[2001:db8::9%eth0]",
            "[2001:db8::9%1]:443",
            "\"[2001:db8::9%25eth0]:443\"",
        ] {
            check_hop(hop, v6);
        }
        check_hop("[::ffff:203.0.113.9]:1", Some("::ffff:203.0.113.9"));
        check_hop("[203.0.113.9]:80", Some("203.0.113.9"));
        check_hop("203.0.113.9:", Some("203.0.113.9"));
        check_hop("[2001:db8::9]:", Some("2001:db8::9"));
        for hop in [
            "",
            "unknown",
            "_hidden",
            "203.0.113",
            "203.0.113.9:x",
            "203.0.113.9:+1",
            "203.0.113.9:65536",
            "203.0.113.9%eth0",
            "203.0.113.09",
            "\"",
            "\"\"",
            "\"203.0.113.9",
            "203.0.113.9\"",
            "\"\"203.0.113.9\"\"",
            "'203.0.113.9'",
            "\"203.0.113.9\":80",
            "[2001:db8::9",
            "2001:db8::9]",
            "[[2001:db8::9]]",
            "[\"2001:db8::9\"]",
            "[]",
            "[]:80",
            "[2001:db8::9]443",
            "[2001:db8::9]:+1",
            "[2001:db8::9]:65536",
            "[2001:db8::9] :443",
            "2001:db8::9%",
            "2001:db8::9%eth 0",
            "2001:db8::9%eth0]",
            "[2001:db8::9%]",
            "%eth0",
            "for=203.0.113.9",
        ] {
            check_hop(hop, None);
        }
    }

    proptest! {
        #[test]
        fn every_form_of_an_address_is_that_address(
            address in any::<IpAddr>(),
            port in prop::option::of(any::<u16>()),
            zone in prop::option::of("[a-z0-9.-]{1,8}"),
            is_bracketed in any::<bool>(),
            is_quoted in any::<bool>(),
            mark in prop::sample::select(vec!['"', '[', ']', ' ']),
            place in any::<prop::sample::Index>(),
        ) {
            let zone = zone.filter(|_| address.is_ipv6());
            let mut text = format!("{address}{}", zone.map_or(String::new(), |zone| format!("%{zone}")));
            if address.is_ipv6() && (is_bracketed || port.is_some()) {
                text = format!("[{text}]");
            }
            if let Some(port) = port {
                text = format!("{text}:{port}");
            }
            if is_quoted {
                text = format!("\"{text}\"");
            }
            prop_assert_eq!(address_of(&text), Some(address), "{}", text);
            // One quotation mark, bracket or blank more makes it no address, except blanks around
            // it.
            let characters = text.chars().count();
            let place = place.index(characters + 1);
            let is_around = is_quoted && (place == 1 || place + 1 == characters);
            prop_assume!(mark != ' ' || !is_around);
            let broken: String = text.chars().take(place).chain([mark]).chain(text.chars().skip(place)).collect();
            prop_assert_eq!(address_of(&broken), None, "{}", broken);
        }

        #[test]
        fn no_hop_makes_it_panic(hop in "[ -~]{0,60}") {
            let _ = address_of(&hop);
        }

        #[test]
        fn callers_cannot_choose_their_source_address(
            written in prop::collection::vec("[ -~]{0,40}", 0..4),
            caller in any::<[u8; 4]>().prop_filter("a caller", |octets| !matches!(octets[0], 10 | 127)),
        ) {
            let networks = vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
            let proxies = TrustedProxies::new(networks);
            let caller = IpAddr::from(caller);
            let mut headers = HeaderMap::new();
            for field in &written {
                headers.append("x-forwarded-for", field.parse().unwrap());
            }
            // A caller without a proxy has its own address.
            prop_assert_eq!(proxies.source_address(&headers, caller), caller);
            for field in [format!("{caller}"), format!("::ffff:{caller}, 10.0.0.1")] {
                let mut headers = headers.clone();
                headers.append("x-forwarded-for", field.parse().unwrap());
                let peer = "::ffff:127.0.0.1".parse().unwrap();
                prop_assert_eq!(proxies.source_address(&headers, peer), caller);
            }
        }
    }

    #[test]
    fn a_harmless_id_of_a_trusted_proxy_is_taken_over() {
        let proxies = TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()]);
        let id = |peer: &str, id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, id.parse().unwrap());
            proxies
                .request_id(&headers, peer.parse().unwrap())
                .to_string()
        };
        assert_eq!(id("127.0.0.1", "a-1_b.C"), "a-1_b.C");
        assert_ne!(id("127.0.0.2", "a-1_b.C"), "a-1_b.C");
        for odd in ["", "a b", "a\"b", &"a".repeat(129)] {
            assert_eq!(id("127.0.0.1", odd).len(), 36, "{odd}");
        }
    }
}
