//! Links with an escaped token, from programs that escape all characters but letters, and from mail
//! programs that escape them again.

use super::*;
use crate::harness::gateway;

/// A token with some of its characters escaped.
fn escaped(token: &str, which: &str, upper: bool) -> String {
    let escape = |character: char| match which.contains(character) {
        true if upper => format!("%{:02X}", u32::from(character)),
        true => format!("%{:02x}", u32::from(character)),
        false => character.to_string(),
    };
    token.chars().map(escape).collect()
}

/// A link whose signature has both a hyphen and an underscore.
fn with_every_sign() -> String {
    let links = (0..).map(|number| {
        let claims = link_claims(json!({ "jti": format!("link-{number}") })).to_string();
        link(LINK_HEADER, &claims)
    });
    let mut links = links.filter(|token| token.contains('-') && token.contains('_'));
    links.next().unwrap()
}

#[tokio::test]
async fn the_escape_of_a_character_that_needs_none_is_that_character() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let token = with_every_sign();
    for which in [
        ".",
        "-",
        "_",
        ".-_",
        ".-_~",
        "eyJ",
        ".0123456789",
        "abcdefghijklmnopqrstuvwxyz",
    ] {
        for upper in [true, false] {
            let query = escaped(&token, which, upper);
            assert_ne!(query, token);
            assert_eq!(by_link(&gateway, &query).await, "200", "{which}");
            let saved = format!("{query}&download=1");
            assert_eq!(by_link(&gateway, &saved).await, "200", "{which}");
        }
    }
    // By hand, one dot at a time.
    assert_eq!(
        by_link(&gateway, &token.replacen('.', "%2E", 1)).await,
        "200"
    );
    assert_eq!(
        by_link(&gateway, &token.replacen('.', "%2e", 2)).await,
        "200"
    );
}

#[tokio::test]
async fn no_other_escape_is_undone_and_none_twice() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let token = with_every_sign();
    for query in [
        // A token that was escaped twice is refused.
        token.replace('.', "%252E"),
        token.replace('.', "%25%32%45"),
        token.replace('.', "%%32E"),
        // Escapes that do not mean a dot.
        token.replace('.', "%2F"),
        token.replace('.', "%C0%AE"),
        token.replace('.', "%u002E"),
        token.replace('.', "%2"),
        token.replace('.', "%"),
        token.replace('.', "%2G"),
        token.replace('.', "%+2E"),
        token.replace('.', "%0x2E"),
        token.replace('.', "&#46;"),
        // More characters than the token.
        format!("{token}%0A"),
        format!("{token}%00"),
        format!("{token}%20"),
        format!("{token}+"),
        format!("{token}%3D"),
        format!("{token}%26download=1"),
        format!("%20{token}"),
        format!("{token}%23"),
        format!("{token}%2E"),
        token.replacen('-', "%2B", 1),
    ] {
        assert_eq!(
            by_link(&gateway, &query).await,
            "link-token-invalid",
            "{query}"
        );
    }
    // The parameter's name may not be escaped, and the token may not be in another parameter.
    for (query, slug) in [
        (format!("%6Cink={token}"), "bearer-token-missing"),
        (format!("link%3D{token}"), "bearer-token-missing"),
        (format!("link={token}&link={token}"), "link-token-invalid"),
        (
            format!("access_token={}", escaped(&token, ".", true)),
            "bearer-token-invalid",
        ),
    ] {
        let target = format!("/recordings/{NAME}?{query}");
        let call = gateway.request(http::Method::GET, &target);
        assert_eq!(outcome(call.send().await).await, slug, "{query}");
    }
    let good = jwt(&bearer_claims(json!({})));
    assert_eq!(
        by_bearer(&gateway, &escaped(&good, ".", true)).await,
        "bearer-token-invalid"
    );
    assert_eq!(
        by_link(&gateway, &escaped(&good, ".", true)).await,
        "link-token-invalid"
    );
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn a_cookie_is_no_address_and_has_no_escapes() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).set("auth.cookie", "sso").start().await;
    let good = jwt(&bearer_claims(json!({})));
    assert_eq!(by_cookie(&gateway, "sso", &good).await, "200");
    let escaped = escaped(&good, ".", true);
    assert_eq!(
        by_cookie(&gateway, "sso", &escaped).await,
        "session-invalid"
    );
}
