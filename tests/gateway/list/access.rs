//! Access to lists: the callers, the PBX, and the requests that are refused before the PBX is
//! asked.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use wavegate::simulator::{Api, CallRecord, Simulator};

use crate::harness::list::{APIS, WINDOW, names, page, pbx, walk};
use crate::harness::programs::serve;
use crate::harness::{Call, NAME, PBX, gateway, jwt, link};

#[tokio::test]
async fn a_link_opens_its_recording_and_no_list() {
    for api in APIS {
        let pbx = pbx(api, 1).await;
        let gateway = gateway(&pbx).start().await;
        let link = link(PBX, NAME);
        for path in ["/recordings".to_owned(), format!("/pbx/{PBX}/recordings")] {
            // The link is refused first, whatever else is wrong with the request.
            for query in [format!("link={link}"), format!("link={link}&{WINDOW}&x=y")] {
                let call = gateway.request(Method::GET, &format!("{path}?{query}"));
                let problem = call.send().await.problem().await;
                assert_eq!(problem.slug, "link-for-another-recording");
            }
        }
        assert_eq!(pbx.seen().requests.total(), 0);
    }
}

#[tokio::test]
async fn a_missing_credential_is_answered_before_an_unknown_pbx() {
    let pbx = pbx(Api::PSeries, 1).await;
    let gateway = gateway(&pbx).start().await;
    for path in ["/recordings", "/pbx/nowhere/recordings"] {
        let answer = gateway.request(Method::GET, path).send().await;
        assert_eq!(answer.problem().await.slug, "bearer-token-missing");
    }
    let nowhere = page(&gateway, "/pbx/nowhere/recordings").await;
    assert_eq!(nowhere.err().unwrap().slug, "no-such-resource");
    // A bearer token decides, and the link in the query is ignored.
    let link = link(PBX, NAME);
    let both = page(&gateway, &format!("/recordings?link={link}&page_size=1")).await;
    assert_eq!(both.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn a_list_is_for_get_only() {
    let pbx = pbx(Api::PSeries, 1).await;
    let gateway = gateway(&pbx).start().await;
    for method in [Method::HEAD, Method::POST, Method::DELETE] {
        let call = gateway.request(method.clone(), "/recordings");
        let answer = call.bearer(&jwt("alice")).send().await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header("allow"), Some("GET"), "{method}");
    }
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn parameters_that_are_not_understood_never_reach_the_pbx() {
    for api in APIS {
        let pbx = pbx(api, 1).await;
        let gateway = gateway(&pbx).start().await;
        for query in [
            "form=2026-01-01",
            "order=newest",
            "page_size=0",
            "page_size=1001",
            "caller=1&caller=1",
            "direction=INBOUND",
            "from=2026-06-01&to=2026-06-01",
            "from=yesterday&to=2026-06-01",
            "from=2026-01-01&to=2026-06-01&cursor=AAAA",
            "download=1",
        ] {
            let problem = page(&gateway, &format!("/recordings?{query}")).await;
            let problem = problem.err().unwrap();
            let answer = (problem.status, &*problem.slug);
            assert_eq!(
                answer,
                (StatusCode::BAD_REQUEST, "list-parameter-invalid"),
                "{query}"
            );
            assert!(!problem.text.contains("yesterday"));
        }
        assert_eq!(pbx.seen().requests.total(), 0, "{api}");
    }
}

#[tokio::test]
async fn a_table_is_asked_for_by_time_only() {
    for api in APIS {
        let pbx = pbx(api, 1).await;
        let gateway = gateway(&pbx).start().await;
        for query in ["", "from=2026-01-01", "to=2026-06-01&caller=1001"] {
            let answer = page(&gateway, &format!("/recordings?{query}")).await;
            let slug = answer.err().map(|problem| problem.slug);
            let expected = (api != Api::PSeries).then(|| "list-window-required".to_owned());
            assert_eq!(slug, expected, "{api} {query}");
        }
    }
}

#[tokio::test]
async fn the_oldest_api_has_no_list_and_says_so() {
    let pbx = Simulator::builder(Api::SSeries101).start().await.unwrap();
    let gateway = gateway(&pbx).start().await;
    let problem = page(&gateway, &format!("/recordings?{WINDOW}")).await;
    let problem = problem.err().unwrap();
    let answer = (problem.status, &*problem.slug);
    assert_eq!(answer, (StatusCode::NOT_IMPLEMENTED, "list-unsupported"));
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn a_cursor_works_where_it_was_given_and_nowhere_else() {
    let (first, second) = (pbx(Api::PSeries, 3).await, pbx(Api::PSeries, 3).await);
    let gateway = gateway(&first).beside("new", &second).start().await;
    let cursor = page(&gateway, "/recordings?page_size=1")
        .await
        .unwrap()
        .next
        .unwrap();
    let again = page(
        &gateway,
        &format!("/recordings?page_size=2&cursor={cursor}"),
    )
    .await;
    assert_eq!(again.unwrap().entries.len(), 2);
    for target in [
        format!("/pbx/new/recordings?page_size=1&cursor={cursor}"),
        format!("/recordings?order=asc&cursor={cursor}"),
        format!("/recordings?caller=1001&cursor={cursor}"),
    ] {
        let problem = page(&gateway, &target).await.err().unwrap();
        assert_eq!(problem.slug, "list-parameter-invalid", "{target}");
    }
}

#[tokio::test]
async fn a_bare_list_is_that_of_the_pbx_in_use_now() {
    let (old, new) = (pbx(Api::SSeries200, 1).await, pbx(Api::SSeries200, 2).await);
    let both = gateway(&old)
        .set("pbx.names_until", "2024-03-01")
        .beside("new", &new)
        .set("pbx[1].names_from", "2024-03-01")
        .start()
        .await;
    assert_eq!(walk(&both, "/recordings", WINDOW).await.unwrap().len(), 2);
    let path = format!("/pbx/{PBX}/recordings");
    assert_eq!(walk(&both, &path, WINDOW).await.unwrap().len(), 1);
    // Where no PBX is in use now, the list is that of the first.
    let gone = gateway(&old)
        .set("pbx.names_until", "2024-03-01")
        .beside("older", &new)
        .set("pbx[1].names_until", "2020-01-01")
        .start()
        .await;
    assert_eq!(walk(&gone, "/recordings", WINDOW).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_recording_that_no_path_can_name_is_left_out() {
    for api in APIS {
        let good = CallRecord::numbered(1, 0);
        let named = |name: &str| CallRecord {
            recording: name.to_owned(),
            ..CallRecord::numbered(2, 0)
        };
        let calls = [
            named("../x.wav"),
            named("a/b.wav"),
            good.clone(),
            named(" "),
        ];
        let pbx = Simulator::builder(api).calls(calls).start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        let list = walk(&gateway, "/recordings", WINDOW).await.unwrap();
        assert_eq!(names(&list), [good.recording], "{api}");
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_a_list_and_nothing_of_its_query() {
    let pbx = pbx(Api::SSeries200, 1).await;
    let (running, addr) = serve(&gateway(&pbx).write()).await;
    for (path, status) in [
        (format!("/recordings?{WINDOW}"), 200),
        (format!("/pbx/{PBX}/recordings?{WINDOW}&order=newest"), 400),
    ] {
        let call = Call::new(addr, Method::GET, &path).bearer(&jwt("alice"));
        assert_eq!(call.send().await.status(), status);
    }
    let log = running.stop().await.err;
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["message"] == "request").collect();
    let [list, refused] = &*lines else {
        panic!("{log}");
    };
    assert_eq!(
        (&list["route"], &list["outcome"]),
        (&json!("/recordings"), &json!("complete"))
    );
    assert_eq!((&list["pbx"], &list["status"]), (&json!(PBX), &json!(200)));
    assert!(list["bytes"].as_u64().unwrap() > 100);
    let why = (&refused["route"], &refused["outcome"], &refused["reason"]);
    let (route, slug) = (
        json!("/pbx/{pbx}/recordings"),
        json!("list-parameter-invalid"),
    );
    let reason = json!("a parameter of the list is wrong: order is not asc or desc");
    assert_eq!(why, (&route, &slug, &reason));
    assert!(!log.contains("2026-01-01") && !log.contains("newest"));
}
