//! A link plays in a browser: an `<audio>` element of another origin, no header, no cookie.
//!
//! The page belongs to another site, served by the test. It reports the events of its audio
//! element.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use url::Url;
use wavegate::simulator::{Api, Simulator, Switch, wav};

use crate::harness::programs::{Running, program, wavegate};
use crate::harness::{Call, NAME, PATIENCE, PBX, gateway, link};

mod devtools;
mod seek;
mod sessions;
mod sites;
mod traces;
mod web;

/// Reports once it has played for more than a second, or once it has failed.
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

/// A report of a page. It is answered when the sender is dropped, so that a page can wait for the
/// test.
type Report = (Value, oneshot::Sender<()>);

/// Serves the page on a free port of loopback. Its reports come through the channel.
async fn serve(page: String) -> (String, mpsc::Receiver<Report>) {
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
    reports: mpsc::Sender<Report>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Full::default());
    if head.method == Method::POST {
        let body = body.collect().await.unwrap().to_bytes();
        let report = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let (go_on, wait) = oneshot::channel();
        let _ = reports.send((report, go_on)).await;
        let _ = wait.await;
    } else if head.uri.path() == "/" {
        let html = "text/html; charset=utf-8".parse().unwrap();
        response.headers_mut().insert("content-type", html);
        *response.body_mut() = Full::from(page);
    } else {
        *response.status_mut() = http::StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// A Chromium that shows one page. Dropping it ends it.
struct Browser {
    running: Running,
    reports: mpsc::Receiver<Report>,
    _profile: TempDir,
}

impl Browser {
    /// Shows a page, with `link` in place of `LINK`. `None` if Chromium is not installed.
    async fn show(page: &str, link: &str) -> Option<Self> {
        let chromium = program("chromium")?;
        let (page, reports) = serve(page.replace("LINK", link)).await;
        let profile = tempfile::tempdir().unwrap();
        Some(Self {
            running: Running::start(&mut command(&chromium, &page, profile.path())),
            reports,
            _profile: profile,
        })
    }

    /// The next report of the page, which must not be an error.
    async fn report(&mut self) -> Report {
        let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
        let report = report.unwrap_or_else(|_| {
            panic!(
                "the page reported nothing; Chromium: {}",
                self.running.err.text()
            )
        });
        let report = report.unwrap();
        assert_eq!(report.0["error"], Value::Null, "{}", report.0);
        report
    }
}

fn command(chromium: &Path, page: &str, profile: &Path) -> Command {
    let mut command = Command::new(chromium);
    // It resolves no address but loopback.
    dress(&mut command, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", profile);
    command.arg(page).stdin(Stdio::null());
    command
}

/// The options of every Chromium in the tests: no window, its own profile, and addresses only by
/// these rules.
fn dress(command: &mut Command, rules: &str, profile: &Path) {
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--mute-audio"])
        .args(["--disable-quic", "--disable-sync", "--disable-extensions"])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .arg("--autoplay-policy=no-user-gesture-required")
        .arg(format!("--host-resolver-rules={rules}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .env("HOME", profile);
}

/// Plays a link on another site's page in Chromium. Returns the page's report: the duration of the
/// recording in the element, and how far it was played. `None` if Chromium is not installed.
pub(crate) async fn play(link: &str) -> Option<(f64, f64)> {
    let mut browser = Browser::show(PAGE, link).await?;
    let (report, _) = browser.report().await;
    let duration = report["duration"].as_str().unwrap().parse().unwrap();
    Some((duration, report["position"].as_f64().unwrap()))
}

/// A link to the recording.
pub(crate) fn url(gateway: SocketAddr) -> String {
    let token = link(PBX, NAME);
    format!("http://{gateway}/pbx/{PBX}/recordings/{NAME}?link={token}")
}

#[tokio::test]
async fn the_demo_link_plays_on_a_page_of_another_origin() {
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
    // Without a length in bytes, Chromium knows the duration only if all bytes had arrived when it
    // read the header.
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
    let Some((duration, position)) = play(&url(gateway.addr())).await else {
        return;
    };
    assert!((59.0..=61.0).contains(&duration), "{duration}");
    assert!(position > 1.0);
}
