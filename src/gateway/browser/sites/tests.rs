//! The sites that may cause a request, row by row.

use http::Request;

use super::*;

const OWN: &str = "https://recordings.example";
const LISTED: &str = "https://crm.example";

fn sites(embed: Embed) -> Sites {
    let own = OWN.parse().unwrap();
    let cors = CorsSettings {
        origins: vec![LISTED.parse().unwrap()],
    };
    Sites::new(Some(&own), cors, embed)
}

fn head(method: &Method, fields: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().method(method);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

#[track_caller]
fn check(method: Method, fields: &[(&str, &str)], ours: bool) {
    for credential in [Credential::Session, Credential::Sso] {
        let judged =
            sites(Embed::Partitioned).require_trusted_site(&head(&method, fields), &credential);
        assert_eq!(judged.is_ok(), ours, "{method} {fields:?} {credential:?}");
    }
}

const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
const ORIGIN: &str = "origin";

#[test]
fn a_cookie_reads_for_trusted_sites_and_for_navigations() {
    for method in [Method::GET, Method::HEAD] {
        let check = |fields: &[(&str, &str)], ours| check(method.clone(), fields, ours);
        for site in ["same-origin", "same-site", "none"] {
            check(&[(SITE, site)], true);
            check(&[(SITE, site), (MODE, "no-cors")], true);
        }
        check(&[(SITE, "cross-site"), (MODE, "navigate")], true);
        check(&[(SITE, "cross-site"), (ORIGIN, LISTED)], true);
        check(&[(SITE, "cross-site"), (ORIGIN, OWN)], true);
        check(&[(ORIGIN, LISTED)], true);
        check(&[(SITE, "cross-site")], false);
        check(&[(SITE, "cross-site"), (MODE, "no-cors")], false);
        check(&[(SITE, "cross-site"), (MODE, "nested-navigate")], false);
        check(&[(SITE, "cross-site"), (ORIGIN, "null")], false);
        check(
            &[(SITE, "cross-site"), (ORIGIN, "https://crm.example.evil")],
            false,
        );
        check(
            &[(SITE, "cross-site"), (ORIGIN, "https://crm.example:8443")],
            false,
        );
        check(
            &[(SITE, "cross-site"), (ORIGIN, "http://crm.example")],
            false,
        );
        check(
            &[(SITE, "cross-site"), (ORIGIN, LISTED), (ORIGIN, LISTED)],
            false,
        );
        check(&[(SITE, "cross-site"), (SITE, "same-origin")], false);
        check(&[(SITE, "Same-Origin"), (MODE, "cors")], false);
        check(&[(SITE, "")], false);
        check(&[], false);
        check(&[(MODE, "navigate")], false);
        check(&[(ORIGIN, "https://evil.example")], false);
    }
}

#[test]
fn a_cookie_writes_for_trusted_origins_only() {
    for method in [Method::POST, Method::DELETE, Method::PUT] {
        let check = |fields: &[(&str, &str)], ours| check(method.clone(), fields, ours);
        check(&[(SITE, "same-origin")], true);
        check(&[(ORIGIN, OWN)], true);
        check(&[(ORIGIN, LISTED)], true);
        check(&[(SITE, "cross-site"), (ORIGIN, LISTED)], true);
        check(&[], false);
        check(&[(SITE, "same-site")], false);
        check(&[(SITE, "none")], false);
        check(&[(SITE, "cross-site")], false);
        check(&[(SITE, "cross-site"), (MODE, "navigate")], false);
        check(
            &[
                (SITE, "same-site"),
                (ORIGIN, "https://other.recordings.example"),
            ],
            false,
        );
        check(&[(ORIGIN, "null")], false);
        check(&[(ORIGIN, "https://recordings.example/")], false);
        check(&[(ORIGIN, "HTTPS://CRM.EXAMPLE")], false);
    }
}

#[test]
fn a_bearer_token_is_a_programs_unless_a_browser_sends_a_site() {
    let check = |method: &Method, fields: &[(&str, &str)], ours: bool| {
        let judged =
            sites(Embed::SameSite).require_trusted_site(&head(method, fields), &Credential::Bearer);
        assert_eq!(judged.is_ok(), ours, "{method} {fields:?}");
    };
    for method in [&Method::GET, &Method::POST] {
        check(method, &[], true);
        check(method, &[(SITE, "same-origin")], true);
        check(method, &[(SITE, "none")], true);
        check(method, &[(SITE, "cross-site"), (ORIGIN, LISTED)], true);
        check(method, &[(SITE, "cross-site"), (MODE, "no-cors")], false);
        check(method, &[(SITE, "cross-site"), (ORIGIN, "null")], false);
        check(method, &[(SITE, "same-origin"), (SITE, "none")], false);
    }
    // The browser keeps the answer to a read from the other site, so a read is allowed.
    let (get, post) = (&Method::GET, &Method::POST);
    let evil = (ORIGIN, "https://evil.example");
    check(get, &[evil], true);
    check(post, &[evil], false);
    check(get, &[(SITE, "same-site")], true);
    check(post, &[(SITE, "same-site")], false);
    check(get, &[(SITE, "cross-site"), (MODE, "navigate")], true);
    let form = [(SITE, "cross-site"), (MODE, "navigate"), evil];
    check(post, &form, false);
}

/// A browser that sends no site: a `SameSite` cookie does not go with requests of other sites.
#[test]
fn without_a_site_only_a_same_site_cookie_is_trusted() {
    let judge = |embed, fields: &[_], credential| {
        let judged = sites(embed).require_trusted_site(&head(&Method::GET, fields), &credential);
        judged.is_ok()
    };
    assert!(judge(Embed::SameSite, &[], Credential::Session));
    assert!(!judge(Embed::SameSite, &[], Credential::Sso));
    assert!(!judge(Embed::Partitioned, &[], Credential::Session));
    let evil = [(ORIGIN, "https://evil.example")];
    assert!(!judge(Embed::SameSite, &evil, Credential::Session));
    let odd = [(SITE, "same-origin"), (SITE, "same-origin")];
    assert!(!judge(Embed::SameSite, &odd, Credential::Session));
    let written = sites(Embed::SameSite)
        .require_trusted_site(&head(&Method::POST, &[]), &Credential::Session);
    assert_eq!(written, Err(CrossSite));
}

#[test]
fn without_a_public_url_listed_sites_and_same_origin_count() {
    let cors = CorsSettings {
        origins: vec![LISTED.parse().unwrap()],
    };
    let sites = Sites::new(None, cors, Embed::SameSite);
    let judge = |fields: &[_]| sites.may_write(&head(&Method::POST, fields).headers);
    assert!(judge(&[(ORIGIN, LISTED)]));
    assert!(judge(&[(SITE, "same-origin"), (ORIGIN, OWN)]));
    assert!(!judge(&[(ORIGIN, OWN)]));
}

#[test]
fn a_prefetch_is_recognized_in_every_spelling() {
    let ahead = |name, value| is_prefetch(&head(&Method::GET, &[(name, value)]).headers);
    for value in [
        "prefetch",
        "prefetch;prerender",
        "Prefetch; anonymous-client-ip",
        "x, prefetch",
        "prerender",
    ] {
        assert!(ahead("sec-purpose", value), "{value}");
        assert!(ahead("purpose", value), "{value}");
    }
    assert!(!ahead("sec-purpose", "navigate"));
    assert!(!ahead("sec-purpose", "notprefetch"));
    assert!(!ahead("sec-fetch-dest", "prefetch"));
}

#[test]
fn only_a_read_is_a_visit() {
    let navigating = [(MODE, "navigate")];
    assert!(is_visit(&head(&Method::GET, &navigating)));
    assert!(is_visit(&head(&Method::HEAD, &navigating)));
    assert!(!is_visit(&head(&Method::POST, &navigating)));
    assert!(!is_visit(&head(&Method::GET, &[(MODE, "cors")])));
    assert!(!is_visit(&head(&Method::GET, &[])));
    // A browser without Fetch Metadata.
    let old = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    assert!(is_visit(&head(&Method::GET, &old)));
}
