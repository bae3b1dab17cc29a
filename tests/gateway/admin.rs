//! The admin listener: what it tells anybody who reaches it.

use http::Method;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::admin::ask;
use crate::harness::{NAME, gateway};

async fn pbx() -> Simulator {
    Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(1))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn the_admin_listener_answers_checks_and_nothing_else() {
    let gateway = gateway(&pbx().await).start().await;
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
    ] {
        let reply = ask(addr, method.clone(), path, &[]).await.unwrap();
        assert_eq!(reply.status, status, "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
    }
}
