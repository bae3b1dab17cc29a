//! Promises of several instances behind one proxy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use super::instances::{Instance, Service, three, three_services};
use super::process::{PROTOCOLS, Proxy};
use super::shipped::Kind;
use crate::harness::{NAME, PBX, jwt, link, soon};

/// Recordings with names in the vendor's grammar, one of which needs percent-encoding.
fn recordings(count: usize) -> Vec<(String, Bytes)> {
    (0..count)
        .map(|number| {
            let name = format!("20260302091407-177244{number:04}.1-1001-+49{number}-Outbound.wav");
            (name, wav::pcm_of_size(20_000 + 2 * number))
        })
        .collect()
}

async fn pbx_of(recordings: &[(String, Bytes)]) -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).switch(Switch::DownloadWithLength);
    let builder = recordings.iter().fold(builder, |builder, (name, bytes)| {
        builder.recording(name, bytes.clone())
    });
    builder.start().await.unwrap()
}

/// Method, target and further fields of a request.
type Way = (Method, String, Vec<(&'static str, String)>);

/// All ways to ask for a recording.
fn ways(name: &str) -> Vec<Way> {
    let bearer = || ("authorization", format!("Bearer {}", jwt("alice")));
    let range = || ("range", "bytes=100-199".to_owned());
    let plain = format!("/recordings/{name}");
    let encoded = plain.replace('+', "%2B");
    let of_pbx = format!("/pbx/{PBX}{plain}");
    let linked = format!("/pbx/{PBX}{encoded}?download=1&link={}", link(PBX, name));
    vec![
        (Method::HEAD, plain.clone(), vec![bearer()]),
        (Method::GET, plain.clone(), vec![bearer()]),
        (Method::GET, format!("{plain}?x=1"), vec![bearer()]),
        (Method::GET, encoded, vec![bearer(), range()]),
        (Method::GET, of_pbx, vec![bearer()]),
        (Method::GET, linked.clone(), vec![range()]),
        (Method::GET, linked, Vec::new()),
        // A field that a proxy uses inside must not come from outside.
        (
            Method::GET,
            plain,
            vec![bearer(), ("wavegate-recording", "other".to_owned())],
        ),
    ]
}

pub(super) async fn a_recording_is_always_read_by_the_same_instance(kind: Kind) {
    const RECORDINGS: usize = 30;
    let recordings = recordings(RECORDINGS);
    let pbx = pbx_of(&recordings).await;
    let gateways = three(&pbx).await;
    let Some(proxy) = Proxy::start(kind, &gateways.each_ref().map(Instance::of)).await else {
        return;
    };
    for (name, bytes) in &recordings {
        for (number, (method, target, fields)) in ways(name).into_iter().enumerate() {
            let protocol = PROTOCOLS[number % PROTOCOLS.len()];
            let call = proxy.request(method.clone(), protocol, &target);
            let call = fields
                .iter()
                .fold(call, |call, (name, value)| call.header(name, value));
            let answer = proxy.send(call, protocol).await;
            assert!(answer.status().is_success(), "{}", answer.status());
            let is_part = answer.status() == StatusCode::PARTIAL_CONTENT;
            let expected = match method {
                Method::HEAD => Bytes::new(),
                _ if is_part => bytes.slice(100..200),
                _ => bytes.clone(),
            };
            assert!(answer.bytes().await.unwrap() == expected);
        }
    }
    let seen = pbx.seen();
    assert_eq!(
        (seen.downloads_started, seen.requests.login),
        (RECORDINGS as u64, 3),
        "each instance has read some, and none has read a recording of another"
    );
}

pub(super) async fn an_instance_that_is_gone_costs_no_request(kind: Kind) {
    let recordings = recordings(30);
    let pbx = pbx_of(&recordings).await;
    let [one, two, three] = three(&pbx).await;
    let instances = [&one, &two, &three].map(Instance::of);
    let Some(proxy) = Proxy::start(kind, &instances).await else {
        return;
    };
    let fetch_all = async || {
        for (number, (name, bytes)) in recordings.iter().enumerate() {
            let protocol = PROTOCOLS[number % PROTOCOLS.len()];
            let answer = proxy.get_named(protocol, name).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.bytes().await.unwrap() == *bytes);
        }
    };
    fetch_all().await;
    let before = pbx.seen().downloads_started;
    assert_eq!(before, 30);
    assert!(two.app.shut_down().await);
    fetch_all().await;
    // Others read its recordings, and the rest stays where it is.
    let moved = pbx.seen().downloads_started - before;
    assert!((1..=22).contains(&moved), "{moved} recordings moved");
    // Once the proxy knows that it is gone, each of them has one place again.
    soon(async {
        loop {
            let before = pbx.seen().downloads_started;
            fetch_all().await;
            if pbx.seen().downloads_started == before {
                return;
            }
        }
    })
    .await;
}

/// The instance that serves the one transfer under way.
async fn busy(services: &mut [Service]) -> &mut Service {
    let place = soon(async {
        loop {
            for (place, service) in services.iter().enumerate() {
                if service.streams().await > 0 {
                    return place;
                }
            }
        }
    });
    &mut services[place.await]
}

pub(super) async fn a_transfer_of_a_killed_instance_goes_on_at_another(kind: Kind) {
    for protocol in PROTOCOLS {
        let (name, bytes) = (NAME, wav::pcm_of_size(4_000_000));
        let pbx = pbx_of(&[(name.to_owned(), bytes.clone())]).await;
        let mut services = three_services(&pbx).await;
        let instances = services.each_ref().map(|service| service.instance);
        let Some(proxy) = Proxy::start(kind, &instances).await else {
            return;
        };
        // The rest comes after a pause, in which the instance is killed.
        pbx.inject(ScriptedFault::once(
            CallKind::Download,
            Misbehavior::Stall {
                after_bytes: 1_000_000,
            },
        ));
        let mut answer = proxy.get_named(protocol, name).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let tag = answer.header("etag").unwrap().to_owned();
        let mut heard = answer.chunk().await.unwrap().unwrap().to_vec();
        busy(&mut services).await.kill().await;
        let broken = answer
            .bytes()
            .await
            .expect_err("a cut recording looks whole");
        heard.extend_from_slice(&broken.received);
        assert!(heard.len() <= 1_000_000 && bytes.starts_with(&heard));

        let call = proxy.call(protocol, &format!("/recordings/{name}"));
        let call = call
            .bearer(&jwt("alice"))
            .header("range", &format!("bytes={}-", heard.len()))
            .header("if-range", &tag);
        let rest = proxy.send(call, protocol).await;
        // The tag is the same on every instance, or this would be the whole.
        assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(rest.header("etag"), Some(&*tag));
        heard.extend_from_slice(&rest.bytes().await.unwrap());
        assert!(heard == bytes);
    }
}

/// Callers who ask again and again until they are told to stop. Every request must succeed.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(proxy: &Arc<Proxy>, recordings: &Arc<Vec<(String, Bytes)>>) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for caller in 0..8 {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (proxy, recordings) = (Arc::clone(proxy), Arc::clone(recordings));
            callers.spawn(async move {
                let protocol = PROTOCOLS[caller % PROTOCOLS.len()];
                let mut turns = recordings.iter().cycle().skip(caller * 3);
                while !stop.load(Relaxed) {
                    let (name, bytes) = turns.next().unwrap();
                    let answer = proxy.get_named(protocol, name).await;
                    if answer.status() != StatusCode::OK {
                        let status = answer.status();
                        let text = answer.bytes().await;
                        panic!("{status}: {text:?}");
                    }
                    assert!(answer.bytes().await.expect("a cut") == *bytes);
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        Self {
            stop,
            answered,
            callers,
        }
    }

    async fn end(mut self) -> usize {
        self.stop.store(true, Relaxed);
        while let Some(ended) = soon(self.callers.join_next()).await {
            ended.unwrap();
        }
        self.answered.load(Relaxed)
    }
}

pub(super) async fn instances_that_restart_one_after_another_fail_no_request(kind: Kind) {
    let recordings = Arc::new(recordings(30));
    let pbx = pbx_of(&recordings).await;
    let mut services = three_services(&pbx).await;
    let instances = services.each_ref().map(|service| service.instance);
    let Some(proxy) = Proxy::start(kind, &instances).await else {
        return;
    };
    let proxy = Arc::new(proxy);
    let load = Load::start(&proxy, &recordings);
    for service in &mut services {
        service.until_used().await;
        service.stop().await;
        service.start_again().await;
        // Its recordings come back to it.
        service.until_used().await;
    }
    let answered = load.end().await;
    println!("{kind:?}: {answered} requests, none failed");
    assert!(answered > 50, "{answered}");
}
