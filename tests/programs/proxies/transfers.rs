//! Promises of one instance that hold behind each proxy.

use std::net::{IpAddr, Ipv4Addr};

use http::{Method, StatusCode};
use wavegate::simulator::{CallKind, Misbehavior, ScriptedFault, Switch};

use super::instances::{Instance, behind};
use super::process::{PROTOCOLS, Protocol, Proxy};
use super::shipped::Kind;
use super::{in_front_of, link_target, pbx};
use crate::harness::{Answer, NAME, PBX, Problem, jwt, link, link_from};

const KIB: u64 = 1024;

pub(super) async fn a_recording_passes_byte_for_byte_and_both_logs_have_its_id(kind: Kind) {
    for switches in [&[][..], &[Switch::DownloadWithLength]] {
        let pbx = pbx(60, switches).await;
        let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
            return;
        };
        let mut ids = Vec::new();
        for protocol in PROTOCOLS {
            let answer = proxy.get_recording(protocol).await;
            assert_eq!(answer.status(), StatusCode::OK, "{protocol:?}");
            assert_eq!(answer.header("content-type"), Some("audio/wav"));
            // If the PBX sends no length, it is known once the recording has been read.
            let is_known = !switches.is_empty() || !ids.is_empty();
            assert_eq!(answer.header("content-length").is_some(), is_known);
            ids.push(answer.header("x-request-id").unwrap().to_owned());
            let recording = pbx.recording_bytes(NAME).unwrap();
            assert!(answer.bytes().await.unwrap() == recording, "{protocol:?}");
        }
        // The gateway uses the id that the proxy sends, so the answer has it only if both agree.
        let (access, rest) = proxy.logs().await;
        for id in ids {
            let line = access.lines().find(|line| line.contains(&id)).unwrap();
            let _: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line.contains("200"), "{line}");
        }
        for log in [&access, &rest] {
            assert!(!log.contains(NAME), "telephone numbers: {log}");
        }
        assert!(!rest.contains("buffered to a temporary file"), "{rest}");
    }
}

pub(super) async fn nothing_is_held_back_and_a_caller_who_leaves_frees_the_pbx(kind: Kind) {
    for (protocol, switches) in [
        (Protocol::Http1, &[][..]),
        (Protocol::Http1, &[Switch::DownloadWithLength]),
        (Protocol::Http2, &[]),
        (Protocol::Http2, &[Switch::DownloadWithLength]),
    ] {
        // No multiple of a buffer's size.
        let sent = 100 * KIB + 1001;
        let pbx = pbx(60, switches).await;
        pbx.inject(ScriptedFault::once(
            CallKind::Download,
            Misbehavior::Stall { after_bytes: sent },
        ));
        let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
            return;
        };

        let mut answer = proxy.get_recording(protocol).await;
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

pub(super) async fn a_broken_transfer_stays_broken(kind: Kind) {
    let after_bytes = 200 * KIB;
    let cuts = [
        Misbehavior::Cut {
            after_bytes,
            with_length: true,
        },
        Misbehavior::Reset { after_bytes },
        Misbehavior::Stall { after_bytes },
    ];
    let pbx = pbx(60, &[]).await;
    let gateway = behind(&pbx)
        .set("pbx.idle_timeout_ms", 200)
        .set("relay.idle_timeout_ms", 2000)
        .start()
        .await;
    let Some(proxy) = Proxy::start(kind, &[Instance::of(&gateway)]).await else {
        return;
    };
    let recording = pbx.recording_bytes(NAME).unwrap();
    for protocol in PROTOCOLS {
        for cut in &cuts {
            pbx.inject(ScriptedFault::forever(CallKind::Download, cut.clone()));
            let answer = proxy.get_recording(protocol).await;
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

pub(super) async fn ranges_and_conditions_pass(kind: Kind) {
    let pbx = pbx(60, &[Switch::DownloadWithLength]).await;
    let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    let recording = pbx.recording_bytes(NAME).unwrap();
    let target = format!("/recordings/{NAME}");
    for protocol in PROTOCOLS {
        let ask = async |method: Method, fields: &[(&str, &str)]| -> Answer {
            let call = proxy.request(method, protocol, &target);
            let call = call.bearer(&jwt("alice"));
            let call = fields
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value));
            proxy.send(call, protocol).await
        };
        let head = ask(Method::HEAD, &[]).await;
        assert_eq!(head.status(), StatusCode::OK);
        let length = recording.len().to_string();
        assert_eq!(head.header("content-length"), Some(&*length));
        let tag = head.header("etag").unwrap().to_owned();
        assert!(tag.starts_with('"'), "the proxy made it weak: {tag}");

        let range = ("range", "bytes=1000-1999");
        for fields in [&[range][..], &[range, ("if-range", &tag)]] {
            let part = ask(Method::GET, fields).await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{fields:?}");
            let place = format!("bytes 1000-1999/{length}");
            assert_eq!(part.header("content-range"), Some(&*place));
            assert!(part.bytes().await.unwrap() == recording[1000..2000]);
        }
        let other = ask(Method::GET, &[range, ("if-range", "\"another\"")]).await;
        assert_eq!(other.status(), StatusCode::OK);
        assert!(other.bytes().await.unwrap() == recording);
        let known = ask(Method::GET, &[("if-none-match", &tag)]).await;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED);
        let beyond = ask(Method::GET, &[("range", "bytes=99999999-")]).await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    }
}

/// Sends a link through every case in which a proxy writes an error. Returns the part of the token
/// that is only in the link, the access log, and all other logs.
pub(crate) async fn logs_after_errors(
    kind: Kind,
    edits: &[(&str, &str)],
) -> Option<(String, String, String)> {
    let pbx = pbx(60, &[]).await;
    let gateway = behind(&pbx).start().await;
    let mut edits = edits.to_vec();
    if kind == Kind::Caddy {
        // It looks for an instance that long.
        edits.push(("lb_try_duration 5s", "lb_try_duration 200ms"));
    }
    let proxy = Proxy::start_with(kind, &[Instance::of(&gateway)], &edits, &[]).await?;
    let target = link_target();
    let with_referer = |protocol| {
        let page = format!("https://crm.test{target}");
        proxy.call(protocol, &target).header("referer", &page)
    };
    for protocol in PROTOCOLS {
        let answer = proxy.send(with_referer(protocol), protocol).await;
        assert!(answer.bytes().await.is_ok());
        let cut = Misbehavior::Cut {
            after_bytes: 200 * KIB,
            with_length: true,
        };
        pbx.inject(ScriptedFault::times(3, CallKind::Download, cut));
        let answer = proxy.send(with_referer(protocol), protocol).await;
        assert!(answer.bytes().await.is_err());
        let elsewhere = format!("/nowhere?link={}", link(PBX, NAME));
        assert_eq!(proxy.get(protocol, &elsewhere).await.status(), 404);
    }
    assert!(gateway.app.shut_down().await);
    for protocol in PROTOCOLS {
        let answer = proxy.send(with_referer(protocol), protocol).await;
        let (status, id) = (answer.status(), answer.header("x-request-id").unwrap());
        assert!([502, 503].contains(&status.as_u16()), "{status}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let id = id.to_owned();
        let problem = answer.bytes().await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&status.as_u16().into(), &id.into())
        );
    }
    let (_, signature) = target.rsplit_once('.').unwrap();
    let signature = signature.to_owned();
    let (access, rest) = proxy.logs().await;
    Some((signature, access, rest))
}

pub(super) async fn a_link_is_in_no_log_of_the_proxy(kind: Kind) {
    let Some((signature, access, rest)) = logs_after_errors(kind, &[]).await else {
        return;
    };
    let requests = access.lines().filter(|line| line.contains("\"GET\""));
    assert_eq!(requests.count(), 8, "{access}");
    for log in [&access, &rest] {
        for part in [signature.as_str(), "link=", "eyJ", "crm.test", NAME] {
            assert!(!log.contains(part), "{part} in {log}");
        }
    }
}

pub(super) async fn a_problem_passes_unchanged(kind: Kind) {
    let pbx = pbx(3, &[]).await;
    let Some((gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    let target = format!("/recordings/{NAME}");
    let direct = gateway.request(Method::GET, &target).send().await;
    let direct = direct.problem().await;
    for protocol in PROTOCOLS {
        let problem = proxy.get(protocol, &target).await.problem().await;
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

pub(super) async fn every_answer_of_an_instance_passes(kind: Kind) {
    let pbx = pbx(3, &[]).await;
    let one = behind(&pbx).start().await;
    let other = behind(&pbx).start().await;
    let instances = [Instance::of(&one), Instance::of(&other)];
    let Some(proxy) = Proxy::start(kind, &instances).await else {
        return;
    };
    for status in [503, 500] {
        pbx.inject(ScriptedFault::forever(
            CallKind::GetRandom,
            Misbehavior::Status(status),
        ));
        let answer = proxy.get_recording(Protocol::Http1).await;
        let problem = answer.problem().await;
        assert!(problem.status.is_server_error(), "{problem:?}");
        pbx.clear_faults();
    }
    // The gateway itself retries once at a PBX that fails, and the proxy asks no other instance.
    assert_eq!(pbx.seen().requests.get_random, 4);
}

pub(super) async fn a_link_for_one_address_ignores_a_claimed_address(kind: Kind) {
    let pbx = pbx(3, &[]).await;
    let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    let home = Ipv4Addr::new(127, 0, 0, 2);
    let token = link_from(PBX, NAME, Some(IpAddr::V4(home)));
    let target = format!("/pbx/{PBX}/recordings/{NAME}?link={token}");
    let rows = [
        (home, None, 200),
        (Ipv4Addr::new(127, 0, 0, 3), None, 401),
        (Ipv4Addr::new(127, 0, 0, 3), Some("127.0.0.2"), 401),
        // From the proxy's own machine, whose address the gateway trusts.
        (Ipv4Addr::LOCALHOST, Some("127.0.0.2"), 401),
    ];
    for (from, claim, status) in rows {
        for protocol in PROTOCOLS {
            let mut call = proxy.call(protocol, &target);
            if let Some(claim) = claim {
                call = call.header("x-forwarded-for", claim);
            }
            let stream = proxy.connect(from, protocol).await;
            let answer = match protocol {
                Protocol::Http1 => call.send_on(stream).await,
                Protocol::Http2 => call.send_http2(stream).await,
            };
            assert_eq!(answer.status(), status, "{from} {claim:?}");
        }
    }
}

pub(super) async fn http_1_0_is_refused_since_it_cannot_tell_a_cut_recording(kind: Kind) {
    let pbx = pbx(3, &[]).await;
    let Some((_gateway, proxy)) = in_front_of(kind, &pbx).await else {
        return;
    };
    let call = proxy.call(Protocol::Http1, &link_target()).http10();
    let problem = proxy.send(call, Protocol::Http1).await.problem().await;
    assert_eq!(problem.slug, "http-version-not-supported");
    assert_eq!(pbx.seen().connections, 0);
}
