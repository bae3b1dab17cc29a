//! Behind proxies the caller's address is the last one that is not a trusted proxy.
//! `X-Forwarded-For` from any other peer does not count.
//!
//! Seen through links that work from one address only.

use http::Method;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::serve;
use crate::harness::{Call, NAME, PBX, gateway, link_from};

/// The address that most links here are for.
const CALLER: &str = "203.0.113.7";

#[tokio::test]
async fn a_link_for_one_address_works_from_there_only() {
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(1))
        .start()
        .await
        .unwrap();
    let alone = gateway(&pbx).start().await;
    let proxied = gateway(&pbx)
        .set("server.trusted_proxies", ["127.0.0.0/8"])
        .start()
        .await;
    let chained = gateway(&pbx)
        .set(
            "server.trusted_proxies",
            ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"],
        )
        .start()
        .await;

    // The gateway, the address in the link, the fields, and whether the link works.
    for (gateway, address, fields, works) in [
        // No proxy is trusted: the peer is the caller, whatever it sends.
        (&alone, CALLER, &[][..], false),
        (&alone, CALLER, &["203.0.113.7"], false),
        (&alone, CALLER, &["203.0.113.7, 127.0.0.1"], false),
        (&alone, "127.0.0.1", &[], true),
        (&alone, "127.0.0.1", &["198.51.100.1"], true),
        // One proxy, which appends.
        (&proxied, CALLER, &["203.0.113.7"], true),
        (&proxied, CALLER, &["  203.0.113.7\t"], true),
        (&proxied, CALLER, &["198.51.100.1, 203.0.113.7"], true),
        (&proxied, CALLER, &["198.51.100.1", "203.0.113.7"], true),
        (&proxied, CALLER, &["rubbish, 203.0.113.7"], true),
        (&proxied, CALLER, &["ü", "203.0.113.7"], true),
        (&proxied, CALLER, &["ü, 203.0.113.7"], true),
        (&proxied, CALLER, &["::ffff:203.0.113.7"], true),
        (&proxied, CALLER, &["203.0.113.7, 198.51.100.1"], false),
        (&proxied, CALLER, &["203.0.113.7", "198.51.100.1"], false),
        (&proxied, CALLER, &["203.0.113.7, 10.0.0.1"], false),
        (&proxied, CALLER, &["203.0.113.7, unknown"], false),
        (&proxied, CALLER, &["203.0.113.7,"], false),
        (&proxied, CALLER, &["203.0.113.7, ü"], false),
        (&proxied, CALLER, &[], false),
        (&proxied, "127.0.0.1", &["203.0.113.7"], false),
        (&proxied, "127.0.0.1", &["127.0.0.1, 203.0.113.7"], false),
        (&proxied, "127.0.0.1", &["127.0.0.1, ü, 203.0.113.7"], false),
        // Several proxies, one behind the other.
        (&chained, CALLER, &["203.0.113.7, 10.0.0.1"], true),
        (
            &chained,
            CALLER,
            &["203.0.113.7, fd00::1", "10.9.9.9"],
            true,
        ),
        (
            &chained,
            CALLER,
            &["1.2.3.4, 203.0.113.7, ::ffff:10.0.0.1"],
            true,
        ),
        (
            &chained,
            CALLER,
            &["203.0.113.7, 11.0.0.1, 10.0.0.1"],
            false,
        ),
        (&chained, "2001:db8::7", &["2001:db8::7, 10.0.0.1"], true),
        // All addresses are trusted proxies: the first one counts.
        (&chained, "10.0.0.1", &["10.0.0.1, 10.0.0.2"], true),
    ] {
        let token = link_from(PBX, NAME, Some(address.parse().unwrap()));
        let target = format!("/recordings/{NAME}?link={token}");
        let mut call = Call::new(gateway.addr(), Method::GET, &target);
        for field in fields {
            call = call.header("x-forwarded-for", field);
        }
        let answer = call.send().await;
        let row = format!("{address} {fields:?}");
        if works {
            assert_eq!(answer.status(), 200, "{row}");
            assert_eq!(
                answer.bytes().await.unwrap(),
                pbx.recording_bytes(NAME).unwrap()
            );
        } else {
            assert_eq!(answer.problem().await.slug, "link-token-invalid", "{row}");
        }
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_listed_is_logged_once() {
    let pbx = Simulator::builder(Api::SSeries200).start().await.unwrap();
    let builder = gateway(&pbx);
    let (gateway, addr) = serve(&builder.write()).await;
    for _ in 0..3 {
        let call = Call::new(addr, Method::GET, "/nowhere");
        call.header("x-forwarded-for", CALLER).send().await;
    }
    let log = gateway.stop().await.err;
    assert_eq!(log.matches("server.trusted_proxies").count(), 1, "{log}");
    // The log does not repeat the caller's field.
    assert!(!log.contains(CALLER), "{log}");
}
