//! Requests of a principal, requests from an address, and failures: each has its own rate, and none
//! affects callers who keep within theirs.

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::{Answer, Gateway, NAME, Problem, expired_jwt, gateway, jwt, soon};

const BEHIND_A_PROXY: &str = "trusted_proxies = [\"127.0.0.1\"]";

async fn start(server: &str, limits: &str) -> (Simulator, Gateway) {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
    let pbx = builder.start().await.unwrap();
    let gateway = gateway(&pbx)
        .lines("[server]", server)
        .cache()
        .limits()
        .lines("[limits]", limits)
        .start()
        .await;
    (pbx, gateway)
}

async fn get(gateway: &Gateway, from: &str, token: Option<&str>) -> Answer {
    let mut call = gateway.get(NAME).header("x-forwarded-for", from);
    if let Some(token) = token {
        call = call.bearer(token);
    }
    call.send().await
}

async fn status(gateway: &Gateway, from: &str, token: Option<&str>) -> u16 {
    get(gateway, from, token).await.status().as_u16()
}

#[track_caller]
fn is_rate_limited(problem: &Problem) {
    assert_eq!(
        (&*problem.slug, problem.status),
        ("rate-limited", StatusCode::TOO_MANY_REQUESTS)
    );
    let pause: u64 = problem.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&pause), "{pause}");
}

#[tokio::test]
async fn the_principal_rate_follows_a_caller_across_addresses() {
    let limits =
        "principal_requests_per_second = 1\nprincipal_burst = 3\naddress_requests_per_second = 0";
    let (_pbx, gateway) = start(BEHIND_A_PROXY, limits).await;
    let alice = jwt("alice");
    // Every request has a new token and another address. The loop ends when alice exceeds her burst
    // and the requests that her rate gives back meanwhile.
    let mut served = 0;
    let problem = soon(async {
        loop {
            let from = format!("203.0.113.{}", served % 200);
            let answer = get(&gateway, &from, Some(&jwt("alice"))).await;
            if answer.status() != StatusCode::OK {
                return answer.problem().await;
            }
            served += 1;
        }
    })
    .await;
    is_rate_limited(&problem);
    assert!(served >= 3, "{served}");
    assert_eq!(
        status(&gateway, "203.0.113.1", Some(&jwt("bob"))).await,
        200
    );
    // The rate recovers after some time.
    soon(async { while status(&gateway, "203.0.113.1", Some(&alice)).await != 200 {} }).await;
}

#[tokio::test]
async fn the_address_rate_counts_every_request_of_one_address() {
    let limits =
        "principal_requests_per_second = 0\naddress_requests_per_second = 1\naddress_burst = 4";
    let (_pbx, gateway) = start(BEHIND_A_PROXY, limits).await;
    // The number of requests that are served before one is refused, including those that the rate
    // gives back meanwhile.
    let served = async |method: Method, path: &str, addresses: &dyn Fn(u32) -> String| {
        for count in 0..1_000 {
            let call = gateway.request(method.clone(), path);
            let call = call.header("x-forwarded-for", &addresses(count));
            let answer = call.bearer(&jwt("alice")).send().await;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                is_rate_limited(&answer.problem().await);
                return count;
            }
        }
        panic!("nobody was refused");
    };
    let path = format!("/recordings/{NAME}");
    let one = |address: &'static str| move |_| address.to_owned();
    assert!(served(Method::GET, &path, &one("203.0.113.7")).await >= 4);
    // The same address mapped into IPv6, with a port, or with another address before it.
    for same in [
        "::ffff:203.0.113.7",
        "203.0.113.7:4711",
        "198.51.100.9, 203.0.113.7",
    ] {
        assert!(served(Method::GET, &path, &one(same)).await < 4, "{same}");
    }
    assert!(served(Method::GET, &path, &one("203.0.113.8")).await >= 4);
    // A /64 network of IPv6 counts as one address, and its neighbour as another.
    let network = |count: u32| format!("2001:db8:1:2::{count:x}");
    assert!(served(Method::GET, &path, &network).await >= 4);
    assert!(served(Method::GET, &path, &one("2001:db8:1:2:ffff::")).await < 4);
    assert!(served(Method::GET, &path, &one("2001:db8:1:3::1")).await >= 4);
    // Requests for every path and method count.
    for (method, path) in [
        (Method::GET, "/nowhere"),
        (Method::POST, "/recordings"),
        (Method::OPTIONS, "/"),
    ] {
        assert!(
            served(method, path, &one("203.0.113.7")).await < 4,
            "{path}"
        );
    }
}

#[tokio::test]
async fn failures_slow_down_an_address_and_never_a_valid_credential() {
    let limits = "principal_requests_per_second = 0\naddress_requests_per_second = 0\naddress_failures_per_minute = 5";
    let (pbx, gateway) = start(BEHIND_A_PROXY, limits).await;
    let (here, there) = ("203.0.113.7", "203.0.113.8");
    let (good, expired) = (jwt("alice"), expired_jwt("alice"));
    let mut failed = 0;
    let problem = soon(async {
        loop {
            let token = [Some(&*expired), Some("rubbish"), None][failed % 3];
            let answer = get(&gateway, here, token).await;
            if answer.status() != StatusCode::UNAUTHORIZED {
                return answer.problem().await;
            }
            failed += 1;
        }
    })
    .await;
    is_rate_limited(&problem);
    assert!((5..20).contains(&failed), "{failed}");
    assert!(!problem.headers.contains_key("www-authenticate"));
    // A valid credential is served, however many failures come from its address.
    for _ in 0..10 {
        assert_eq!(status(&gateway, here, Some(&good)).await, 200);
        assert!(matches!(
            status(&gateway, here, Some(&expired)).await,
            429 | 401
        ));
        assert_eq!(status(&gateway, there, Some(&good)).await, 200);
    }
    // Failures from another address are not limited.
    assert_eq!(status(&gateway, there, Some(&expired)).await, 401);
    assert_eq!(status(&gateway, there, None).await, 401);
    // A refusal for another reason does not count as a failed authentication.
    for _ in 0..20 {
        let call = gateway
            .request(Method::GET, "/recordings/none.wav")
            .bearer(&good);
        let answer = call.header("x-forwarded-for", "203.0.113.9").send().await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(status(&gateway, "203.0.113.9", None).await, 401);
    assert!(pbx.seen().tickets_issued >= 1);
}

#[tokio::test]
async fn failure_counts_survive_a_reload_with_the_same_limits() {
    let limits = "principal_requests_per_second = 0\naddress_requests_per_second = 0\naddress_failures_per_minute = 1";
    let (_pbx, gateway) = start(BEHIND_A_PROXY, limits).await;
    assert_eq!(status(&gateway, "203.0.113.7", None).await, 401);
    assert_eq!(status(&gateway, "203.0.113.7", None).await, 429);
    gateway.reload().unwrap();
    assert_eq!(status(&gateway, "203.0.113.7", None).await, 429);
    let path = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.replace(
        "address_failures_per_minute = 1",
        "address_failures_per_minute = 0",
    );
    std::fs::write(&path, text).unwrap();
    gateway.reload().unwrap();
    for _ in 0..10 {
        assert_eq!(status(&gateway, "203.0.113.7", None).await, 401);
    }
}

#[tokio::test]
async fn behind_a_proxy_that_is_not_trusted_all_have_its_address() {
    let limits = "principal_requests_per_second = 0\naddress_requests_per_second = 0\naddress_failures_per_minute = 1";
    let (_pbx, gateway) = start("", limits).await;
    assert_eq!(status(&gateway, "203.0.113.7", None).await, 401);
    assert_eq!(status(&gateway, "203.0.113.8", None).await, 429);
    assert_eq!(
        status(&gateway, "203.0.113.8", Some(&jwt("alice"))).await,
        200
    );
}

#[tokio::test]
async fn default_limits_allow_300_downloads_and_60_failures() {
    let (_pbx, gateway) = start("", "").await;
    for _ in 0..300 {
        assert_eq!(
            status(&gateway, "203.0.113.7", Some(&jwt("alice"))).await,
            200
        );
    }
    for _ in 0..60 {
        assert_eq!(status(&gateway, "203.0.113.7", None).await, 401);
    }
}
