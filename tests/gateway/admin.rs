//! The admin listener: its answers to callers without a token, and its actions for callers with it.

use std::net::SocketAddr;
use std::path::Path;

use http::Method;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::admin::{Reply, ask};
use crate::harness::programs::serve;
use crate::harness::{Builder, NAME, PBX, gateway, write_secret};

const TOKEN: &str = "a-token-of-the-tests-for-the-admin-listener";
const TOKEN_FILE: &str = "token_file = \"admin-token\"";

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(1))
        .start()
        .await
        .unwrap()
}

/// A gateway whose admin listener accepts [`TOKEN`].
fn guarded(pbx: &Simulator) -> Builder {
    let builder = gateway(pbx).set("admin.token_file", "admin-token");
    write_token(builder.folder(), TOKEN);
    builder
}

fn write_token(folder: &Path, token: &str) {
    write_secret(&folder.join("admin-token"), token);
}

fn cache(pbx: &str, name: &str) -> String {
    format!("/cache/{pbx}/{name}")
}

async fn delete(addr: SocketAddr, path: &str, authorization: &[&str]) -> Reply {
    ask(addr, Method::DELETE, path, authorization)
        .await
        .unwrap()
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[tokio::test]
async fn the_admin_listener_answers_checks_and_nothing_else() {
    let gateway = guarded(&pbx().await).start().await;
    let addr = gateway.app.admin_address();
    let reads = Some("GET, HEAD");
    for (method, path, status, allow) in [
        (Method::GET, "/livez", 200, None),
        (Method::HEAD, "/livez", 200, None),
        (Method::GET, "/readyz", 200, None),
        (Method::GET, "/readyz?verbose", 200, None),
        (Method::GET, "/pbxs", 200, None),
        (Method::GET, "/metrics", 200, None),
        (Method::HEAD, "/metrics", 200, None),
        (Method::POST, "/readyz", 405, reads),
        (Method::PUT, "/pbxs", 405, reads),
        (Method::POST, "/metrics", 405, reads),
        (Method::GET, "/pbxs/office", 404, None),
        (Method::GET, "/metrics/", 404, None),
        (Method::DELETE, "/livez", 405, reads),
        (Method::GET, "/", 404, None),
        (Method::GET, "/livez/", 404, None),
        (Method::POST, "/shutdown", 404, None),
        (Method::GET, &format!("/recordings/{NAME}"), 404, None),
        (Method::GET, &cache(PBX, NAME), 405, Some("DELETE")),
        (Method::POST, &cache(PBX, NAME), 405, Some("DELETE")),
        (Method::DELETE, "/cache", 404, None),
        (Method::DELETE, "/cache/", 404, None),
        (Method::DELETE, "/cache/office", 404, None),
        (Method::DELETE, &cache(PBX, "a/b"), 404, None),
        (Method::DELETE, &cache(PBX, "a/"), 404, None),
    ] {
        let reply = ask(addr, method.clone(), path, &[&bearer(TOKEN)])
            .await
            .unwrap();
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn only_the_admin_token_deletes_a_cached_recording() {
    let gateway = guarded(&pbx().await).start().await;
    let addr = gateway.app.admin_address();
    let path = cache(PBX, NAME);
    let longer = bearer(&format!("{TOKEN}x"));
    let shorter = bearer(&TOKEN[1..]);
    let basic = format!("Basic {TOKEN}");
    let good = bearer(TOKEN);
    let wrong = Some("Bearer error=\"invalid_token\"");
    for (authorization, challenge) in [
        (vec![], Some("Bearer")),
        (vec![longer.as_str()], wrong),
        (vec![&shorter], wrong),
        (vec![&basic], wrong),
        (vec![TOKEN], wrong),
        (vec!["Bearer"], wrong),
        (vec!["Bearer "], wrong),
        (vec![""], wrong),
        (vec![&good, &good], wrong),
    ] {
        // A caller without the token does not learn that the PBX or the name does not exist.
        for path in [&path, &cache("elsewhere", NAME), &cache(PBX, "..")] {
            let reply = delete(addr, path, &authorization).await;
            assert_eq!(reply.status, 401, "{authorization:?} {path}");
            assert_eq!(
                reply.header("www-authenticate"),
                challenge,
                "{authorization:?}"
            );
            assert!(!reply.text.contains(TOKEN));
        }
    }
    for good in [good.clone(), format!("bearer   {TOKEN}")] {
        // Deleting gives 204 whether the recording was in the cache or not.
        for _ in 0..2 {
            let reply = delete(addr, &path, &[&good]).await;
            assert_eq!((reply.status, reply.text.as_str()), (204, ""));
            assert_eq!(reply.header("content-type"), None);
        }
        let reply = delete(addr, &cache("elsewhere", NAME), &[&good]).await;
        assert_eq!(reply.status, 404, "{reply:?}");
        for no_name in ["..", "a%2fb", "%zz", "a%00.wav", ""] {
            let reply = delete(addr, &cache(PBX, no_name), &[&good]).await;
            assert_eq!(reply.status, 400, "{no_name} {reply:?}");
        }
    }
}

#[tokio::test]
async fn the_old_path_deletes_nothing_and_names_the_new_one() {
    let gateway = guarded(&pbx().await).start().await;
    let addr = gateway.app.admin_address();
    let reply = delete(addr, &format!("/tapes/{PBX}/{NAME}"), &[&bearer(TOKEN)]).await;
    assert_eq!(reply.status, 404);
    assert!(reply.text.contains("DELETE /cache/"), "{reply:?}");
}

#[tokio::test]
async fn without_a_token_nothing_can_be_written() {
    let gateway = gateway(&pbx().await).start().await;
    let addr = gateway.app.admin_address();
    for authorization in [&[][..], &["Bearer "], &["Bearer x"]] {
        let reply = delete(addr, &cache(PBX, NAME), authorization).await;
        assert_eq!(reply.status, 403);
        assert!(reply.text.contains("admin.token_file"), "{reply:?}");
    }
}

#[tokio::test]
async fn a_reload_takes_over_another_token() {
    let gateway = guarded(&pbx().await).start().await;
    let addr = gateway.app.admin_address();
    let path = cache(PBX, NAME);
    let other = TOKEN.replace("tests", "trials");
    let (old, new) = (bearer(TOKEN), bearer(&other));
    assert_eq!(delete(addr, &path, &[&new]).await.status, 401);

    write_token(gateway.folder(), &other);
    gateway.reload().unwrap();
    assert_eq!(delete(addr, &path, &[&old]).await.status, 401);
    assert_eq!(delete(addr, &path, &[&new]).await.status, 204);

    let file = gateway.folder().join("wavegate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(TOKEN_FILE, "")).unwrap();
    gateway.reload().unwrap();
    assert_eq!(delete(addr, &path, &[&new]).await.status, 403);
}

#[tokio::test]
async fn each_write_call_leaves_one_line_without_token_or_name() {
    let (gateway, _) = serve(&guarded(&pbx().await).write()).await;
    let admin = |log: &str| -> Option<SocketAddr> {
        let (_, rest) = log.split_once("\"admin\":\"")?;
        rest.split_once('"')?.0.parse().ok()
    };
    let addr = admin(&gateway.err.text()).unwrap();
    let wrong = "another-token-of-the-tests-that-is-wrong";
    let calls = [
        (cache(PBX, NAME), bearer(TOKEN), 204),
        (cache(PBX, NAME), bearer(wrong), 401),
        (cache("elsewhere", NAME), bearer(TOKEN), 404),
        (cache(wrong, ".."), bearer(TOKEN), 400),
    ];
    for (path, authorization, status) in &calls {
        let reply = delete(addr, path, &[authorization]).await;
        assert_eq!(reply.status, *status);
    }
    let ended = gateway.stop().await;
    let lines: Vec<&str> = ended
        .err
        .lines()
        .filter(|line| line.contains("wavegate::admin"))
        .collect();
    assert_eq!(lines.len(), calls.len(), "{}", ended.err);
    let masked = |line: &str| -> String {
        let (_, rest) = line.split_once("\"recording\":\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    assert_eq!(masked(lines[0]).len(), 16);
    assert!(
        lines[0].contains(&format!("\"pbx\":\"{PBX}\"")),
        "{lines:?}"
    );
    assert_eq!(masked(lines[0]), masked(lines[1]));
    assert_eq!(masked(lines[0]), masked(lines[2]));
    assert_eq!(masked(lines[3]), "");
    for hidden in [TOKEN, wrong, NAME, "elsewhere"] {
        assert!(!ended.err.contains(hidden), "{hidden} in {}", ended.err);
    }
}
