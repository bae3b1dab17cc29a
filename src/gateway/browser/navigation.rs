//! Navigations: a browser shows the answer to a person, rather than to a script or a player.
//!
//! Knows the fields by which a browser announces a navigation. Pure.
//!
//! Sources: Fetch Metadata Request Headers (`Sec-Fetch-Mode`), which scripts cannot set and
//! which is not sent over plain HTTP; Upgrade Insecure Requests §3.2.1 (its field goes with
//! navigations); RFC 9110 §12.5.1 (`Accept`) and §12.5.5 (`Vary`).

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, UPGRADE_INSECURE_REQUESTS, VARY};
use http::request;

pub(super) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// The fields by which a browser tells the purpose of a request.
static SEC_FETCH: [HeaderName; 4] = [
    SEC_FETCH_MODE,
    HeaderName::from_static("sec-fetch-dest"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-user"),
];
/// The fields that [`is_for_a_person`] looks at.
const DEPENDS_ON: HeaderValue = HeaderValue::from_static(
    "Sec-Fetch-Mode, Sec-Fetch-Dest, Sec-Fetch-Site, Sec-Fetch-User, Upgrade-Insecure-Requests, Accept",
);

/// True for a navigation: a browser shows the answer as a page.
///
/// A browser says so by `Sec-Fetch-Mode`. It sends no field of that kind over plain HTTP, and an
/// old one sends none at all; then it says so by `Upgrade-Insecure-Requests`, or by an `Accept`
/// that wants pages. `text/html` alone says nothing: programs accept it, too.
pub(in crate::gateway) fn is_for_a_person(head: &request::Parts) -> bool {
    let headers = &head.headers;
    let is = |name: HeaderName, value: &str| {
        let mut fields = headers.get_all(name).iter();
        matches!((fields.next(), fields.next()), (Some(field), None) if field == value)
    };
    if headers.keys().any(|name| SEC_FETCH.contains(name)) {
        return is(SEC_FETCH_MODE, "navigate");
    }
    is(UPGRADE_INSECURE_REQUESTS, "1") || wants_pages(headers)
}

/// Tells caches that the answer depends on the reader.
pub(in crate::gateway) fn vary(headers: &mut HeaderMap) {
    headers.append(VARY, DEPENDS_ON);
}

/// True if `Accept` names XHTML, prefers nothing to pages, and prefers pages to JSON. Browsers name
/// XHTML, programs do not.
fn wants_pages(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(ACCEPT).iter();
    let fields = fields.filter_map(|field| field.to_str().ok());
    let (mut names_xhtml, mut pages, mut json, mut others) = (false, 0, 0, 0);
    for range in fields.flat_map(|field| field.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight).unwrap_or(1_000);
        let is_xhtml = media_type.eq_ignore_ascii_case("application/xhtml+xml");
        names_xhtml |= is_xhtml && weight > 0;
        if is_xhtml || media_type.eq_ignore_ascii_case("text/html") {
            pages = weight.max(pages);
        } else if media_type.to_ascii_lowercase().ends_with("json") {
            json = weight.max(json);
        } else {
            others = weight.max(others);
        }
    }
    names_xhtml && pages >= others && pages > json
}

/// A weight in thousandths (RFC 9110 §12.4.2); a malformed one is 0.
fn weight(parameter: &str) -> Option<u32> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let is_number = fraction.len() <= 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths = format!("{fraction:0<3}").parse().unwrap_or(0);
    match whole {
        "0" if is_number => Some(thousandths),
        "1" if is_number && thousandths == 0 => Some(1_000),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn head(fields: &[(&str, &str)]) -> request::Parts {
        let mut request = Request::builder();
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: bool) {
        assert_eq!(is_for_a_person(&head(fields)), expected, "{fields:?}");
    }

    #[track_caller]
    fn check_accept(accept: &str, expected: bool) {
        check(&[("accept", accept)], expected);
    }

    #[test]
    fn of_a_browsers_requests_only_a_navigation_is_for_a_person() {
        let (html, upgrade) = (("accept", BROWSER), ("upgrade-insecure-requests", "1"));
        check(&[("sec-fetch-mode", "navigate")], true);
        check(&[("sec-fetch-mode", "navigate"), ("accept", "*/*")], true);
        for mode in [
            "cors",
            "no-cors",
            "same-origin",
            "websocket",
            "",
            "Navigate",
        ] {
            check(&[("sec-fetch-mode", mode), html, upgrade], false);
        }
        check(&[("sec-fetch-dest", "audio"), html, upgrade], false);
        check(&[("sec-fetch-site", "none"), html, upgrade], false);
        check(&[], false);
    }

    #[test]
    fn without_fetch_metadata_upgrade_or_accept_tells_a_browser() {
        let upgrade = |value| [("upgrade-insecure-requests", value), ("accept", "*/*")];
        check(&upgrade("1"), true);
        check(&upgrade("1")[..1], true);
        for value in ["0", "", "true", "1, 1"] {
            check(&upgrade(value), false);
        }
        // Firefox, Chrome and Safari; Internet Explorer; Safari of 2010; Opera of 2012.
        check_accept(BROWSER, true);
        check_accept("text/html, application/xhtml+xml, */*", true);
        check_accept(
            "application/xml,application/xhtml+xml,text/html;q=0.9,text/plain;q=0.8,image/png,*/*;q=0.5",
            true,
        );
        check_accept(
            "text/html, application/xml;q=0.9, application/xhtml+xml, image/png, image/gif, */*;q=0.1",
            true,
        );
        check_accept("application/xhtml+xml, text/html;q=0.9", true);
        check_accept("APPLICATION/XHTML+XML", true);
        check_accept(
            "text/html;level=1;q=1.000,application/xhtml+xml;q=0.001",
            true,
        );
        check_accept("application/json;q=0.5, application/xhtml+xml;q=0.5", false);
        check(
            &[
                ("accept", "application/json;q=0.5"),
                ("accept", "application/xhtml+xml"),
            ],
            true,
        );
        // Java; jQuery; programs that accept any text.
        check_accept(
            "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
            false,
        );
        check_accept("text/html, */*; q=0.01", false);
        check_accept("text/html,*/*", false);
        check_accept("text/html", false);
        check_accept("text/html, text/*;q=0.5, image/*, application/*", false);
        // curl, axios, an audio element.
        check_accept("*/*", false);
        check_accept("application/json, text/plain, */*", false);
        check_accept(
            "audio/webm,audio/ogg,audio/wav,audio/*;q=0.9,*/*;q=0.5",
            false,
        );
        // Pages have the lowest weight, or none.
        check_accept("application/json, application/xhtml+xml;q=0.9", false);
        check_accept("text/html, application/xhtml+xml;q=0", false);
        check_accept("text/html, application/xhtml+xml;q=0.000", false);
        check_accept(
            "application/xhtml+xml;q=0.0001, application/json;q=0.1",
            false,
        );
        check_accept("application/xhtml+xml;q=2, application/json;q=0.1", false);
        check_accept("application/xhtml+xml;q=x", false);
        check_accept("application/*", false);
        check_accept("application/xhtml", false);
        check_accept("x-application/xhtml+xml", false);
        check_accept("text/plain;x=application/xhtml+xml", false);
        check_accept("", false);
        check_accept(",,;,;;q", false);
    }

    proptest! {
        #[test]
        fn no_field_makes_it_panic(accept in "[ -~]*") {
            let _ = is_for_a_person(&head(&[("accept", &accept)]));
        }

        #[test]
        fn pages_go_to_readers_that_prefer_them(page in 0_u32..=1_000, json in 0_u32..=1_000) {
            let q = |number: u32| format!("{}.{:03}", number / 1_000, number % 1_000);
            let accept = format!("application/json;q={}, application/xhtml+xml; q={}", q(json), q(page));
            let expected = page > json;
            prop_assert_eq!(is_for_a_person(&head(&[("accept", &accept)])), expected);
        }

        #[test]
        fn an_accept_without_xhtml_is_no_browsers(accept in "(text/html|text/\\*|\\*/\\*|image/gif|[;,= q.0-9])*") {
            prop_assert!(!is_for_a_person(&head(&[("accept", &accept)])));
        }
    }
}
