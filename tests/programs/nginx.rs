//! The shipped nginx configuration, run for real in front of the gateway.
//!
//! The gateway's promises must hold behind nginx: a cut recording stays cut, nothing is held back,
//! and no log has a link. The test reads the shipped file and replaces only addresses and paths.

mod heads;
mod process;
mod sso;

use std::net::{IpAddr, Ipv4Addr};

use http::{Method, StatusCode};
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::{Builder, Gateway, NAME, PBX, Problem, gateway, link, link_from};
use process::{Nginx, PROTOCOLS, Protocol};

/// Without this line nginx would log links.
const NO_ERROR_LOG: &str = "error_log /dev/null emerg;";
const KIB: u64 = 1024;

async fn pbx(seconds: u32, switches: &[Switch]) -> Simulator {
    let mut pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(seconds));
    for switch in switches {
        pbx = pbx.switch(*switch);
    }
    pbx.start().await.unwrap()
}

/// A gateway that trusts nginx.
fn behind(pbx: &Simulator) -> Builder {
    gateway(pbx).set("server.trusted_proxies", ["127.0.0.1/32"])
}

async fn in_front_of(pbx: &Simulator) -> Option<(Gateway, Nginx)> {
    let gateway = behind(pbx).start().await;
    let nginx = Nginx::start([gateway.addr(); 2])?;
    Some((gateway, nginx))
}

fn link_target() -> String {
    format!("/pbx/{PBX}/recordings/{NAME}?link={}", link(PBX, NAME))
}

#[tokio::test]
async fn a_recording_passes_byte_for_byte_and_both_logs_have_its_id() {
    for switches in [&[][..], &[Switch::DownloadWithLength]] {
        let pbx = pbx(60, switches).await;
        let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
            return;
        };
        let mut ids = Vec::new();
        for protocol in PROTOCOLS {
            let answer = nginx.get_recording(protocol).await;
            assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
            assert_eq!(answer.header("content-type"), Some("audio/wav"));
            // If the PBX sends no length, it is known once the recording has been read.
            let is_known = !switches.is_empty() || !ids.is_empty();
            assert_eq!(answer.header("content-length").is_some(), is_known);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
            let recording = pbx.recording_bytes(NAME).unwrap();
            assert!(answer.bytes().await.unwrap() == recording, "{protocol:?}");
        }
        // The gateway uses the id that nginx sends, so the answer has it only if both agree.
        let (access, rest) = nginx.logs().await;
        for id in ids {
            let line = access.lines().find(|line| line.contains(&id)).unwrap();
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["request_id"], id);
            assert_eq!(line["route"], "/recordings/{name}");
            assert_eq!(
                (&line["status"], &line["upstream_status"]),
                (&"200".into(), &"200".into())
            );
        }
        assert!(!access.contains(NAME), "telephone numbers: {access}");
        assert!(!rest.contains("buffered to a temporary file"), "{rest}");
    }
}

#[tokio::test]
async fn nothing_is_held_back_and_a_caller_who_leaves_frees_the_pbx() {
    for protocol in PROTOCOLS {
        let sent = 100 * KIB;
        let pbx = pbx(60, &[]).await;
        pbx.inject(ScriptedFault::once(
            CallKind::Download,
            Misbehavior::Stall { after_bytes: sent },
        ));
        let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
            return;
        };

        let mut answer = nginx.get_recording(protocol).await;
        let mut received = Vec::new();
        while (received.len() as u64) < sent {
            received.extend_from_slice(&answer.chunk().await.unwrap().unwrap());
        }

        assert!(pbx.recording_bytes(NAME).unwrap().starts_with(&received));
        assert_eq!(pbx.seen().downloads_running, 1, "the PBX is still sending");
        drop(answer);
        pbx.until(|seen| seen.downloads_running == 0).await;
    }
}

#[tokio::test]
async fn a_broken_transfer_stays_broken() {
    let cuts = [
        Misbehavior::Cut {
            after_bytes: 200 * KIB,
            with_length: true,
        },
        Misbehavior::Reset {
            after_bytes: 200 * KIB,
        },
        Misbehavior::Stall {
            after_bytes: 200 * KIB,
        },
    ];
    let pbx = pbx(60, &[]).await;
    let gateway = behind(&pbx)
        .set("pbx.idle_timeout_ms", 200)
        .set("relay.idle_timeout_ms", 2000)
        .start()
        .await;
    let Some(nginx) = Nginx::start([gateway.addr(); 2]) else {
        return;
    };
    let recording = pbx.recording_bytes(NAME).unwrap();
    for protocol in PROTOCOLS {
        for cut in &cuts {
            pbx.inject(ScriptedFault::forever(CallKind::Download, cut.clone()));
            let answer = nginx.get_recording(protocol).await;
            // A reset may come so early that the gateway has sent nothing yet.
            let reset = matches!(cut, Misbehavior::Reset { .. });
            if !reset || answer.status() != StatusCode::BAD_GATEWAY {
                assert_eq!(answer.status(), StatusCode::OK);
                match answer.bytes().await {
                    Ok(bytes) => panic!("{protocol:?} {cut}: {} bytes look whole", bytes.len()),
                    Err(broken) => assert!(recording.starts_with(&broken.received)),
                }
            }
            pbx.clear_faults();
        }
    }
}

/// Sends a link through every case in which nginx writes an error. Returns the part of the token
/// that is only in the link, the access log, and all other logs.
async fn logs_after_errors(edits: &[(&str, &str)]) -> Option<(String, String, String)> {
    let pbx = pbx(60, &[]).await;
    let gateway = behind(&pbx).start().await;
    let nginx = Nginx::start_edited([gateway.addr(); 2], edits)?;
    let target = link_target();
    let with_referer = |protocol| {
        let page = format!("https://crm.test{target}");
        nginx.call(protocol, &target).header("referer", &page)
    };
    for protocol in PROTOCOLS {
        let answer = nginx.send(with_referer(protocol), protocol).await;
        assert!(answer.bytes().await.is_ok());
        let cut = Misbehavior::Cut {
            after_bytes: 200 * KIB,
            with_length: true,
        };
        pbx.inject(ScriptedFault::times(3, CallKind::Download, cut));
        let answer = nginx.send(with_referer(protocol), protocol).await;
        assert!(answer.bytes().await.is_err());
        let elsewhere = format!("/nowhere?link={}", link(PBX, NAME));
        assert_eq!(nginx.get(protocol, &elsewhere).await.status(), 404);
    }
    assert!(gateway.app.shut_down().await);
    for protocol in PROTOCOLS {
        let answer = nginx.send(with_referer(protocol), protocol).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
        let id = answer.header("x-request-id").unwrap().to_owned();
        let problem = answer.bytes().await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&502.into(), &id.into())
        );
    }
    let (_, signature) = target.rsplit_once('.').unwrap();
    let signature = signature.to_owned();
    let (access, rest) = nginx.logs().await;
    Some((signature, access, rest))
}

#[tokio::test]
async fn a_link_is_in_no_log_of_nginx() {
    let Some((signature, access, rest)) = logs_after_errors(&[]).await else {
        return;
    };
    assert_eq!(access.lines().count(), 8, "{access}");
    assert_eq!(access.matches("\"status\":\"502\"").count(), 2, "{access}");
    for log in [&access, &rest] {
        for part in [signature.as_str(), "link=", "eyJ", "crm.test"] {
            assert!(!log.contains(part), "{part} in {log}");
        }
    }
    // This depends on one line of the configuration: with an error log the link is in it.
    let edits = [(NO_ERROR_LOG, "error_log {folder}requests.log error;")];
    let (signature, _, rest) = logs_after_errors(&edits).await.unwrap();
    assert!(rest.contains(&signature), "{rest}");
}

#[tokio::test]
async fn a_problem_passes_unchanged() {
    let pbx = pbx(3, &[]).await;
    let Some((gateway, nginx)) = in_front_of(&pbx).await else {
        return;
    };
    let target = format!("/recordings/{NAME}");
    let direct = gateway.request(Method::GET, &target).send().await;
    let direct = direct.problem().await;
    for protocol in PROTOCOLS {
        let problem = nginx.get(protocol, &target).await.problem().await;
        assert_eq!(problem.status, StatusCode::UNAUTHORIZED);
        assert_eq!(problem.slug, direct.slug);
        for field in ["www-authenticate", "content-type", "cache-control"] {
            assert_eq!(
                problem.headers.get(field),
                direct.headers.get(field),
                "{field}"
            );
        }
        let anonymous = |problem: &Problem| {
            let id = problem.headers["x-request-id"].to_str().unwrap();
            problem.text.replace(id, "id")
        };
        assert_eq!(anonymous(&problem), anonymous(&direct));
    }
}

#[tokio::test]
async fn a_link_for_one_address_ignores_a_claimed_address() {
    let pbx = pbx(3, &[]).await;
    let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
        return;
    };
    let home = Ipv4Addr::new(127, 0, 0, 2);
    let token = link_from(PBX, NAME, Some(IpAddr::V4(home)));
    let target = format!("/pbx/{PBX}/recordings/{NAME}?link={token}");
    let rows = [
        (home, None, 200),
        (Ipv4Addr::new(127, 0, 0, 3), None, 401),
        (Ipv4Addr::new(127, 0, 0, 3), Some("127.0.0.2"), 401),
        // From nginx's own machine, whose address the gateway trusts.
        (Ipv4Addr::LOCALHOST, Some("127.0.0.2"), 401),
    ];
    for (from, claim, status) in rows {
        let mut call = nginx.call(Protocol::Http1, &target);
        if let Some(claim) = claim {
            call = call.header("x-forwarded-for", claim);
        }
        let stream = nginx.connect(from, Protocol::Http1).await;
        let answer = call.send_on(stream).await;
        assert_eq!(answer.status(), status, "{from} {claim:?}");
    }
}

#[tokio::test]
async fn http_1_0_is_refused_since_it_cannot_tell_a_cut_recording() {
    let pbx = pbx(3, &[]).await;
    let Some((_gateway, nginx)) = in_front_of(&pbx).await else {
        return;
    };
    let call = nginx.call(Protocol::Http1, &link_target()).http10();
    let problem = nginx.send(call, Protocol::Http1).await.problem().await;
    assert_eq!(problem.slug, "http-version-not-supported");
    assert_eq!(pbx.seen().connections, 0);
}

#[tokio::test]
async fn nginx_asks_the_other_instance_only_if_one_is_gone() {
    let pbx = pbx(3, &[]).await;
    let one = behind(&pbx).start().await;
    let other = behind(&pbx).start().await;
    let gone = behind(&pbx).start().await;
    let gone_addr = gone.addr();
    assert!(gone.app.shut_down().await);

    let Some(nginx) = Nginx::start([gone_addr, one.addr()]) else {
        return;
    };
    for _ in 0..4 {
        let answer = nginx.get_recording(Protocol::Http1).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.bytes().await.is_ok());
    }

    // nginx passes on every answer, also an error, and does not ask the other gateway.
    let nginx = Nginx::start([one.addr(), other.addr()]).unwrap();
    let before = pbx.seen().requests.get_random;
    let statuses = [503, 500];
    for status in statuses {
        pbx.inject(ScriptedFault::forever(
            CallKind::GetRandom,
            Misbehavior::Status(status),
        ));
        let answer = nginx.get_recording(Protocol::Http1).await;
        assert!(answer.status().is_server_error());
        pbx.clear_faults();
    }
    // The gateway itself retries once at a PBX that fails.
    assert_eq!(pbx.seen().requests.get_random - before, 4);
}
