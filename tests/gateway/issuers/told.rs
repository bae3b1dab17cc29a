//! The audit log's record of the keys in force.

use http::StatusCode;
use serde_json::Value;

use super::{get, keys_url, pbx, until_ready};
use crate::harness::audit::{dir, lines, until, verified};
use crate::harness::idp::Idp;
use crate::harness::{gateway, soon, write_secret};

#[tokio::test]
async fn a_new_key_is_logged_before_its_first_decision() {
    let (pbx, idp) = (pbx().await, Idp::start().await);
    let builder = gateway(&pbx).cache().audit();
    let issuer = keys_url(&idp, "jwks_refresh_s = 1\njwks_min_interval_s = 1");
    let issuer = idp.lines(builder.folder(), &issuer);
    let gateway = builder.lines("[[auth.issuer]]", &issuer).start().await;
    let folder = dir(gateway.folder());
    until_ready(&gateway).await;
    for _ in 0..3 {
        idp.withdraw();
        let token = idp.jwt("alice");
        // The minimum interval between two fetches may have to pass.
        soon(async { while get(&gateway, &token).await.status() != StatusCode::OK {} }).await;
        // A fetch that returns the same keys writes no line.
        soon(idp.until_asked(idp.asked() + 2)).await;
    }
    assert!(gateway.app.shut_down().await);
    let (mut in_force, mut used) = (Vec::new(), Vec::new());
    for line in lines(&folder) {
        match line["kind"].as_str().unwrap() {
            "start" => in_force.push(line["keys"].clone()),
            "decision" => used.push(in_force.len()),
            _ => {}
        }
    }
    // Five sets of keys: none, the first, and three others.
    assert_eq!((in_force.len(), used), (5, vec![3, 4, 5]));
    let mut pairs = in_force.windows(2);
    assert!(pairs.all(|keys| keys[0] != keys[1]), "{in_force:?}");
    verified(&folder, &[]).await;
}

#[tokio::test]
async fn a_key_is_logged_by_thumbprint_and_a_secret_by_name() {
    let pbx = pbx().await;
    let (one, other) = (Idp::start().await, Idp::start().await);
    let builder = gateway(&pbx).cache().audit();
    let set = builder.folder().join("keys.json");
    std::fs::write(&set, one.set()).unwrap();
    let issuer = "name = \"https://sso.example\"\naudiences = [\"a\"]\njwks_file = \"keys.json\"";
    let gateway = builder.lines("[[auth.issuer]]", issuer).start().await;
    let folder = dir(gateway.folder());
    // Another key with the same key id.
    std::fs::write(&set, other.set()).unwrap();
    gateway.reload().unwrap();
    let secret = gateway.folder().join("bearer");
    write_secret(&secret, "another secret of the same name, long enough");
    gateway.reload().unwrap();
    let starts = until(&folder, "start", 3).await;
    let keys: Vec<&Value> = starts.iter().map(|line| &line["keys"]).collect();
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[1], keys[2]);
}
