//! The answers to correct and to incorrect requests for a recording.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::{self, NAME, PBX, gateway, jwt, link};

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_recording_arrives_byte_for_byte() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;

    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;

    assert_eq!(answer.status(), StatusCode::OK);
    let fields = [
        ("content-type", "audio/wav"),
        ("accept-ranges", "bytes"),
        (
            "content-disposition",
            &format!("inline; filename=\"{NAME}\""),
        ),
        ("cache-control", "private, no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-site"),
        ("x-accel-buffering", "no"),
    ];
    for (name, value) in fields {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    // No field of the PBX's own header is passed on.
    for name in ["server", "access-control-allow-origin", "content-length"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert_eq!(
        answer.bytes().await.unwrap(),
        pbx.recording_bytes(NAME).unwrap()
    );
    assert_eq!(pbx.seen().tickets_used, 1);
}

#[tokio::test]
async fn a_browsers_copy_is_revalidated_with_a_valid_credential() {
    let pbx = pbx().await;
    let builder = gateway(&pbx)
        .set("relay.browser_cache", "revalidated")
        .cache();
    let gateway = builder.start().await;
    let target = format!("/recordings/{NAME}");
    let get = || gateway.request(Method::GET, &target);
    let answer = get().bearer(&jwt("alice")).send().await;
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let etag = answer.header("etag").unwrap().to_owned();
    answer.bytes().await.unwrap();

    let again = get().bearer(&jwt("alice")).header("if-none-match", &etag);
    let again = again.send().await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.header("cache-control"), Some("private, no-cache"));
    let stranger = get().bearer("x").header("if-none-match", &etag);
    let refused = stranger.send().await;
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(refused.problem().await.slug, "bearer-token-invalid");
    assert_eq!(pbx.seen().tickets_used, 1);
}

#[tokio::test]
async fn a_link_opens_its_recording_without_any_header() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx).start().await;
    let target = format!(
        "/pbx/{PBX}/recordings/{NAME}?download=1&link={}",
        link(PBX, NAME)
    );

    let answer = gateway.request(Method::GET, &target).send().await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("cross-origin")
    );
    assert!(
        answer
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment;")
    );
    assert_eq!(
        answer.bytes().await.unwrap(),
        pbx.recording_bytes(NAME).unwrap()
    );
}

#[tokio::test]
async fn a_length_that_the_pbx_tells_is_passed_on() {
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(3))
        .switch(Switch::DownloadWithLength)
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx).start().await;
    let recording = pbx.recording_bytes(NAME).unwrap();

    let answer = gateway.get(NAME).bearer(&jwt("alice")).send().await;
    assert_eq!(
        answer.header("content-length"),
        Some(recording.len().to_string().as_str())
    );
    assert_eq!(answer.bytes().await.unwrap(), recording);

    // HTTP/1.0 can carry it, too.
    let answer = gateway
        .get(NAME)
        .bearer(&jwt("alice"))
        .http10()
        .send()
        .await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap(), recording);
}

#[tokio::test]
async fn http_1_0_gets_a_length_that_comes_soon_or_an_error() {
    let pbx = pbx().await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    // Without the cache the bytes that were read to learn the length are gone.
    for (cache, tickets) in [("", 1), ("max_bytes = 0", 2)] {
        let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
        let before = pbx.seen().tickets_used;
        let call = gateway.get(NAME).bearer(&jwt("alice")).http10();
        let answer = call.send().await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("content-length"), Some("48308"));
        assert!(answer.bytes().await.unwrap() == recording);
        assert_eq!(pbx.seen().tickets_used - before, tickets);
    }
    pbx.inject("download:stall-after=20000:times=forever".parse().unwrap());
    for cache in ["", "max_bytes = 0"] {
        let gateway = gateway(&pbx)
            .cache()
            .lines("[cache]", cache)
            .set("range.wait_ms", 20)
            .start()
            .await;
        let call = gateway.get(NAME).bearer(&jwt("alice")).http10();
        let problem = call.send().await.problem().await;
        assert_eq!(problem.slug, "http-version-not-supported");
    }
}

#[tokio::test]
async fn head_answers_with_known_metadata_only() {
    for switch in [None, Some(Switch::DownloadWithLength)] {
        let mut builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
        if let Some(switch) = switch {
            builder = builder.switch(switch);
        }
        let pbx = builder.start().await.unwrap();
        let gateway = gateway(&pbx).start().await;

        let answer = gateway
            .request(Method::HEAD, &format!("/recordings/{NAME}"))
            .bearer(&jwt("alice"))
            .send()
            .await;

        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.header("content-type"), Some("audio/wav"));
        let length = pbx.recording_bytes(NAME).unwrap().len().to_string();
        assert_eq!(
            answer.header("content-length"),
            switch.map(|_| length.as_str())
        );
        assert!(answer.bytes().await.unwrap().is_empty());
        assert_eq!(pbx.seen().tickets_used, 1);
        // The gateway ends the download from the PBX when nobody reads it.
        pbx.until(|seen| seen.downloads_running == 0).await;
    }
}

#[tokio::test]
async fn a_part_is_cut_out_here_and_the_pbx_gives_the_whole() {
    let pbx = pbx().await;
    let recording = pbx.recording_bytes(NAME).unwrap();
    for cache in ["", "max_bytes = 0"] {
        let gateway = gateway(&pbx).cache().lines("[cache]", cache).start().await;
        for (range, part) in [
            ("0-1", 0..2),
            ("1000-", 1000..48_308),
            ("-8", 48_300..48_308),
        ] {
            let call = gateway.get(NAME).bearer(&jwt("alice"));
            let answer = call.header("range", &format!("bytes={range}")).send().await;
            assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
            let told = format!("bytes {}-{}/48308", part.start, part.end - 1);
            assert_eq!(answer.header("content-range"), Some(told.as_str()));
            assert!(answer.bytes().await.unwrap() == recording[part], "{range}");
        }
    }
    assert_eq!(pbx.seen().range_headers_seen, 0);
}

#[tokio::test]
async fn callers_at_fault_get_a_problem_and_cost_the_pbx_nothing() {
    let pbx = pbx().await;
    let gateway = gateway(&pbx)
        .set("server.public_url", "https://rec.example.com")
        .start()
        .await;
    let token = jwt("alice");
    let good = format!("/recordings/{NAME}");
    let other_link = format!("{good}?link={}", link(PBX, "another.wav"));
    let bad_link = format!("{good}?link=a.b.c");
    let rows = [
        ("GET", good.as_str(), "", "bearer-token-missing"),
        ("GET", &good, "Basic YWxpY2U6eA==", "bearer-token-missing"),
        ("GET", &good, "Bearer a.b.c", "bearer-token-invalid"),
        (
            "GET",
            &good,
            &format!("Bearer {}", harness::expired_jwt("alice")),
            "bearer-token-invalid",
        ),
        (
            "GET",
            &good,
            &format!("Bearer {}", link(PBX, NAME)),
            "bearer-token-invalid",
        ),
        (
            "GET",
            &format!("{good}?link={token}"),
            "",
            "link-token-invalid",
        ),
        (
            "GET",
            &format!("{good}?access_token={token}"),
            "",
            "bearer-token-invalid",
        ),
        ("GET", &bad_link, "", "link-token-invalid"),
        ("GET", &format!("{good}?link"), "", "link-token-invalid"),
        (
            "GET",
            &format!("{bad_link}&link=a.b.c"),
            "",
            "link-token-invalid",
        ),
        (
            "GET",
            &format!("{good}?access_token=a.b.c&link=a.b.c"),
            "",
            "bearer-token-invalid",
        ),
        ("GET", &other_link, "", "link-for-another-recording"),
        (
            "GET",
            "/recordings/..%2Fsecret",
            "good",
            "recording-name-invalid",
        ),
        ("GET", "/recordings/%ff", "good", "recording-name-invalid"),
        ("GET", "/recordings/", "good", "no-such-resource"),
        ("GET", "/", "good", "no-such-resource"),
        (
            "GET",
            "/pbx/nowhere/recordings/a.wav",
            "good",
            "no-such-resource",
        ),
        ("POST", &good, "good", "method-not-allowed"),
        ("DELETE", &good, "good", "method-not-allowed"),
    ];
    for (method, target, authorization, expected) in rows {
        let call = gateway
            .request(method.parse().unwrap(), target)
            .header("host", "rec.example.com");
        let call = match authorization {
            "" => call,
            "good" => call.bearer(&token),
            other => call.header("authorization", other),
        };
        let problem = call.send().await.problem().await;
        assert_eq!(problem.slug, expected, "{method} {target} {authorization}");
        if expected == "method-not-allowed" {
            assert_eq!(problem.headers["allow"], "GET, HEAD");
        }
    }
    let elsewhere = gateway
        .get(NAME)
        .bearer(&token)
        .header("host", "evil.example")
        .send()
        .await;
    assert_eq!(elsewhere.problem().await.slug, "misdirected");
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn a_request_id_is_taken_over_from_a_trusted_proxy_only() {
    let pbx = pbx().await;
    let open = gateway(&pbx).start().await;
    let answer = open
        .get(NAME)
        .header("x-request-id", "from-outside")
        .send()
        .await;
    assert_ne!(answer.header("x-request-id"), Some("from-outside"));

    let behind = gateway(&pbx)
        .set("server.trusted_proxies", ["127.0.0.0/8"])
        .start()
        .await;
    let answer = behind
        .get(NAME)
        .header("x-request-id", "abc-123")
        .send()
        .await;
    assert_eq!(answer.header("x-request-id"), Some("abc-123"));
    let answer = behind
        .get(NAME)
        .header("x-request-id", "abc 123\"}")
        .send()
        .await;
    assert_ne!(answer.header("x-request-id"), Some("abc 123\"}"));
}

#[tokio::test]
async fn names_with_odd_characters_arrive_at_the_pbx_as_they_are() {
    let names = [
        "+44 20*7#1 & co=x?.wav",
        "Jörg 100%.wav",
        "a%41.wav",
        "日本.wav",
    ];
    let mut builder = Simulator::builder(Api::SSeries110);
    for name in names {
        builder = builder.recording(name, wav::pcm_of_size(name.len() + 2_000));
    }
    let pbx = builder.start().await.unwrap();
    let gateway = harness::gateway_for(&pbx, Api::SSeries110).start().await;
    for name in names {
        assert_eq!(
            gateway.fetch(name).await,
            pbx.recording_bytes(name).unwrap(),
            "{name}"
        );
    }
}
