//! Addresses as proxies write them into `X-Forwarded-For`.
//!
//! The field has no standard. A hop is an address, with blanks around it. It may stand in quotation
//! marks, in brackets, with a port, or both, as RFC 7239 §6 writes it for `Forwarded`. A zone (RFC
//! 6874 §2) is dropped. An IPv4 address mapped into IPv6 is that IPv4 address. Lists and several
//! fields are read from the end, as for plain addresses, and trusted proxies in them are recognised
//! in every form. Rates, the log, the audit log, policies and links with an `ip` use the address
//! alone.
//!
//! Not accepted: any form from a peer that is not a trusted proxy; a missing or an extra quotation
//! mark or bracket, an IPv4 address in brackets or with a zone, an invalid port, `unknown`,
//! `_hidden`. There the chain ends at the last known proxy.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::audit::{dir, until};
use crate::harness::{Call, Gateway, NAME, PBX, gateway, jwt, link_from};

const V4: &str = "203.0.113.9";
const V6: &str = "2001:db8::9";
const TRUSTED: [&str; 3] = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];

/// Fields, and the caller's address that follows from them.
const TOLD: &[(&[&str], &str)] = &[
    (&["203.0.113.9"], V4),
    (&["\"203.0.113.9\""], V4),
    (&["203.0.113.9:4711"], V4),
    (&["\"203.0.113.9:4711\""], V4),
    (&[" \t203.0.113.9\t "], V4),
    (&["  \"203.0.113.9\"  "], V4),
    (&["::ffff:203.0.113.9"], V4),
    (&["[::ffff:203.0.113.9]"], V4),
    (&["[203.0.113.9]"], V4),
    (&["[203.0.113.9]:80"], V4),
    (&["203.0.113.9:"], V4),
    (&["\" 203.0.113.9 \""], V4),
    (&["[2001:db8::9]:"], V6),
    (&["\"[::ffff:203.0.113.9]:4711\""], V4),
    (&["2001:db8::9"], V6),
    (&["2001:DB8:0:0::9"], V6),
    (&["[2001:db8::9]"], V6),
    (&["[2001:db8::9]:443"], V6),
    (&["\"2001:db8::9\""], V6),
    (&["\"[2001:db8::9]\""], V6),
    (&["\"[2001:db8::9]:443\""], V6),
    (&["2001:db8::9%eth0"], V6),
    (&["2001:db8::9%25eth0"], V6),
    (&["[2001:db8::9%eth0]"], V6),
    (&["[2001:db8::9%eth0.100]:443"], V6),
    (&["\"[2001:db8::9%25br-lan]:443\""], V6),
    (&["\t[2001:db8::9] "], V6),
    // Lists and several fields, followed by trusted proxies in other forms.
    (&["198.51.100.1, [2001:db8::9]:443"], V6),
    (&["198.51.100.1", "\"203.0.113.9\""], V4),
    (
        &["198.51.100.1,[2001:db8::9],\"10.0.0.1\", 10.0.0.2:80"],
        V6,
    ),
    (&["\"203.0.113.9\"", "[fd00::1]:80", "\"[fd00::2]\""], V4),
    (&["[2001:db8::9%eth0] , [::ffff:10.0.0.1]"], V6),
    (&["unknown, \"203.0.113.9\""], V4),
];

/// Hops without a valid address. The caller's address is then that of the peer.
const NOT_TOLD: &[&str] = &[
    "",
    "unknown",
    "_hidden",
    "\"_hidden\"",
    "\"\"",
    "\"",
    "\"203.0.113.9",
    "203.0.113.9\"",
    "\"\"203.0.113.9\"\"",
    "\"203.0.113.9\":4711",
    "'203.0.113.9'",
    "203.0.113.9]",
    "203.0.113.9:http",
    "203.0.113.9:65536",
    "203.0.113.9:_port",
    "203.0.113.9%eth0",
    "203.0.113.9/32",
    "[2001:db8::9",
    "2001:db8::9]",
    "[[2001:db8::9]]",
    "[\"2001:db8::9\"]",
    "[2001:db8::9]443",
    "[2001:db8::9]:65536",
    "2001:db8::9%",
    "[2001:db8::9%]",
    "[2001:db8::9%eth 0]",
    "2001:db8::9::1",
    "for=203.0.113.9",
    "\"203.0.113.9, 10.0.0.1\"",
    "203.0.113.9;",
    "localhost",
];

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    builder.start().await.unwrap()
}

fn from(mut call: Call, fields: &[&str]) -> Call {
    for field in fields {
        call = call.header("x-forwarded-for", field);
    }
    call
}

/// Whether a link for `address` works for a request with these fields.
async fn comes_from(gateway: &Gateway, fields: &[&str], address: &str) -> bool {
    let token = link_from(PBX, NAME, Some(address.parse().unwrap()));
    let target = format!("/recordings/{NAME}?link={token}");
    let answer = from(gateway.request(Method::GET, &target), fields)
        .send()
        .await;
    if answer.status() == StatusCode::OK {
        return true;
    }
    assert_eq!(
        answer.problem().await.slug,
        "link-token-invalid",
        "{fields:?}"
    );
    false
}

#[tokio::test]
async fn a_link_for_one_address_knows_it_in_every_form() {
    let pbx = pbx().await;
    let behind = gateway(&pbx)
        .set("server.trusted_proxies", TRUSTED)
        .start()
        .await;
    let alone = gateway(&pbx).start().await;
    for (fields, address) in TOLD {
        assert!(comes_from(&behind, fields, address).await, "{fields:?}");
        assert!(
            !comes_from(&behind, fields, "127.0.0.1").await,
            "{fields:?}"
        );
        // No form counts from a peer that is not trusted.
        assert!(!comes_from(&alone, fields, address).await, "{fields:?}");
        assert!(comes_from(&alone, fields, "127.0.0.1").await, "{fields:?}");
    }
    for hop in NOT_TOLD {
        for fields in [
            &[*hop][..],
            &["203.0.113.9", *hop],
            &[&format!("203.0.113.9, {hop}")],
        ] {
            assert!(comes_from(&behind, fields, "127.0.0.1").await, "{fields:?}");
            assert!(!comes_from(&behind, fields, V4).await, "{fields:?}");
            assert!(!comes_from(&behind, fields, V6).await, "{fields:?}");
        }
        // The chain ends at the trusted proxy that wrote the hop.
        let before = [hop, "10.0.0.1"];
        assert!(comes_from(&behind, &before, "10.0.0.1").await, "{hop}");
    }
}

#[tokio::test]
async fn rates_the_audit_log_and_policies_see_the_address_alone() {
    let pbx = pbx().await;
    let policy = "permit(principal, action, resource) when {\n\
         context.source.isInRange(ip(\"203.0.113.9/32\")) || context.source.isInRange(ip(\"2001:db8::9/128\")) };";
    let gateway = gateway(&pbx)
        .set("server.trusted_proxies", TRUSTED)
        .audit()
        .policies(policy)
        .limits()
        .set("limits.principal_requests_per_second", 0)
        .set("limits.address_requests_per_second", 0)
        .set("limits.address_failures_per_minute", 1)
        .start()
        .await;
    let mut expected = Vec::new();
    for (fields, address) in TOLD {
        let call = from(gateway.get(NAME), fields).bearer(&jwt("alice"));
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::OK, "{fields:?}");
        answer.bytes().await.unwrap();
        expected.push(*address);
    }
    let lines = until(&dir(gateway.folder()), "decision", expected.len()).await;
    let sources: Vec<&str> = lines
        .iter()
        .map(|line| line["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, expected);
    // One failure of each address gets 401. The next one gets 429, in every form of the address.
    let mut failed = Vec::new();
    for (fields, address) in TOLD {
        let answer = from(gateway.get(NAME), fields).send().await;
        let status = if failed.contains(address) { 429 } else { 401 };
        assert_eq!(answer.status().as_u16(), status, "{fields:?}");
        failed.push(*address);
    }
    let other = from(gateway.get(NAME), &["[2001:db8:1::9]:443"])
        .send()
        .await;
    assert_eq!(other.status(), StatusCode::UNAUTHORIZED);
}
