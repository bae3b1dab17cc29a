//! A link plays in a browser: an `<audio>` element of another origin, no header, no cookie.
//!
//! The page is a stranger's, served by the test; it reports what its audio element says.

use std::convert::Infallible;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::{Call, NAME, PATIENCE, PBX, gateway, link};
use crate::programs::{Running, program, wavegate};

/// Reports once it has played for more than a second, or once something has failed.
const PAGE: &str = r#"<!doctype html>
<title>A customer's page</title>
<audio id="call" preload="auto" src="LINK"></audio>
<script>
    const call = document.getElementById("call");
    let reported = false;
    const report = (what) => {
        if (reported) return;
        reported = true;
        fetch("/report", { method: "POST", body: JSON.stringify(what) });
    };
    call.addEventListener("timeupdate", () => {
        if (call.currentTime > 1) {
            // As text, since JSON has no infinity.
            report({ duration: String(call.duration), position: call.currentTime });
        }
    });
    call.addEventListener("error", () => report({ error: call.error.message }));
    call.play().catch((error) => report({ error: String(error) }));
</script>
"#;

/// Serves the page on a free port of loopback; its reports come through the channel.
async fn serve(page: String) -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, reports) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (page, sender) = (page.clone(), sender.clone());
            let service = service_fn(move |request| answer(request, page.clone(), sender.clone()));
            let stream = TokioIo::new(stream);
            tokio::spawn(http1::Builder::new().serve_connection(stream, service));
        }
    });
    (address, reports)
}

async fn answer(
    request: Request<Incoming>,
    page: String,
    reports: mpsc::Sender<Value>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Full::default());
    if head.method == Method::POST {
        let body = body.collect().await.unwrap().to_bytes();
        let report = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let _ = reports.send(report).await;
    } else if head.uri.path() == "/" {
        let html = "text/html; charset=utf-8".parse().unwrap();
        response.headers_mut().insert("content-type", html);
        *response.body_mut() = Full::from(page);
    } else {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// Lets Chromium play a link on a stranger's page, and returns the page's report: how long the recording is, as the
/// element says it, and how far it was played. `None` when there is no Chromium.
async fn play(link: &str) -> Option<(f64, f64)> {
    let chromium = program("chromium")?;
    let (page, mut reports) = serve(PAGE.replace("LINK", link)).await;
    let profile = tempfile::tempdir().unwrap();
    let mut command = Command::new(chromium);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--mute-audio"])
        .args(["--disable-quic", "--disable-sync", "--disable-extensions"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg("--autoplay-policy=no-user-gesture-required")
        // Nothing but loopback has an address for it.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(&page)
        .env("HOME", profile.path())
        .stdin(Stdio::null());
    let browser = Running::start(&mut command);

    let report = tokio::time::timeout(PATIENCE, reports.recv()).await;
    let report = report.unwrap_or_else(|_| {
        panic!(
            "the page reported nothing; Chromium: {}",
            browser.err.text()
        )
    });
    let report = report.unwrap();
    assert_eq!(report["error"], Value::Null, "{report}");
    let duration = report["duration"].as_str().unwrap().parse().unwrap();
    Some((duration, report["position"].as_f64().unwrap()))
}

#[tokio::test]
async fn the_link_of_the_demo_plays_in_an_audio_element_of_another_origin() {
    let arguments = ["demo", "--json", "--listen", "127.0.0.1:0"];
    let demo = Running::start(&mut wavegate(&arguments));
    let tour = demo.out.until(|text| text.ends_with('\n')).await;
    let tour: Value = serde_json::from_str(&tour).unwrap();
    let link = tour["link"].as_str().unwrap();
    let url: Url = link.parse().unwrap();
    let addr = url.socket_addrs(|| None).unwrap()[0];

    let Some((duration, position)) = play(link).await else {
        return;
    };

    assert!(position > 1.0);
    // Without a length in bytes, Chromium knows the duration only if everything had arrived when it read the header.
    let target = format!("{}?{}", url.path(), url.query().unwrap());
    let head = Call::new(addr, Method::HEAD, &target).send().await;
    let unknown = head.header("content-length").is_none() && duration.is_infinite();
    assert!(unknown || (59.0..=61.0).contains(&duration), "{duration}");
    assert_eq!(demo.stop().await.code, Some(0));
}

#[tokio::test]
async fn a_recording_of_known_length_shows_its_duration() {
    let pbx = Simulator::builder(Api::SSeries200)
        .recording(NAME, wav::music(60))
        .switch(Switch::DownloadWithLength)
        .start()
        .await
        .unwrap();
    let gateway = gateway(&pbx).start().await;
    let token = link(PBX, NAME);
    let url = format!(
        "http://{}/pbx/{PBX}/recordings/{NAME}?link={token}",
        gateway.addr()
    );
    let Some((duration, position)) = play(&url).await else {
        return;
    };
    assert!((59.0..=61.0).contains(&duration), "{duration}");
    assert!(position > 1.0);
}
