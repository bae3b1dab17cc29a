//! Certificates, keys, policies and limits that change while many callers are served: no request
//! fails, by SIGHUP or by the change of the file alone. Bad files change nothing, and the log says
//! why.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use wavegate::simulator::{Api, CallKind, Misbehavior, ScriptedFault, Simulator, Switch, wav};

use crate::harness::admin::number;
use crate::harness::listener::Listener;
use crate::harness::programs::{Running, admin_address, serve};
use crate::harness::tls::Identity;
use crate::harness::{
    Builder, Call, LINK_SECRET, NAME, PBX, POLICIES, gateway, jwt, link, soon, write_secret,
};

const LONG: &str = "long.wav";
const ONLY_MALLORY_NOT: &str = r#"
permit(principal, action, resource);
forbid(principal, action, resource) when { principal.subject == "mallory" };
"#;
const EVERYONE_AGAIN: &str = "permit(principal, action, resource); // again";

/// Callers who ask again and again, each on a new connection, with one of these certificates.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: JoinSet<()>,
}

impl Load {
    fn start(tls: SocketAddr, known: &Arc<[Identity; 3]>, recording: &Bytes) -> Self {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut callers = JoinSet::new();
        for number in 0..4 {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            let (known, recording) = (Arc::clone(known), recording.clone());
            let token = jwt(&format!("caller-{number}"));
            callers.spawn(async move {
                let target = format!("/recordings/{NAME}");
                while !stop.load(Relaxed) {
                    let call = Call::new(tls, Method::GET, &target).bearer(&token);
                    let stream = connect(tls, &known[..]).await;
                    let answer = call.send_on(stream).await;
                    assert_eq!(answer.status(), StatusCode::OK);
                    assert!(answer.bytes().await.expect("a cut") == recording);
                    answered.fetch_add(1, Relaxed);
                    // The other tests need the machine, too.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
        Self {
            stop,
            answered,
            callers,
        }
    }

    /// Waits until each caller can have begun a request anew, and had an answer.
    async fn goes_on(&self) {
        let before = self.answered.load(Relaxed);
        soon(async {
            while self.answered.load(Relaxed) < before + 8 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn end(mut self) -> usize {
        self.stop.store(true, Relaxed);
        while let Some(ended) = soon(self.callers.join_next()).await {
            ended.unwrap();
        }
        self.answered.load(Relaxed)
    }
}

/// Connects over TLS. The gateway must present one of these certificates.
async fn connect(
    tls: SocketAddr,
    known: &[Identity],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut error = None;
    for identity in known {
        match identity.connect(tls, &["http/1.1"]).await {
            Ok(stream) => return stream,
            Err(other) => error = Some(other),
        }
    }
    panic!("none of the certificates: {error:?}");
}

/// The way in which a gateway learns of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signal,
    FileAlone,
}

/// A gateway whose files change.
struct Changing<'a> {
    builder: Builder,
    running: &'a Running,
    addr: SocketAddr,
    tls: SocketAddr,
    load: &'a Load,
}

impl Changing<'_> {
    fn folder(&self) -> &Path {
        self.builder.folder()
    }

    fn tell(&self, way: Way) {
        if way == Way::Signal {
            self.running.signal("HUP");
        }
    }

    /// Makes a change, and waits for its effect.
    async fn takes(
        &self,
        way: Way,
        change: impl FnOnce(&Path),
        effect: impl AsyncFn(&Self) -> bool,
    ) {
        change(self.folder());
        self.tell(way);
        soon(async {
            while !effect(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        self.load.goes_on().await;
    }

    /// Makes a change that is refused for this reason, and takes it back.
    async fn refuses(&self, way: Way, file: &str, bad: &[u8], reason: &str) {
        let file = self.folder().join(file);
        let good = std::fs::read(&file).unwrap();
        let heard = self.running.err.text().len();
        std::fs::write(&file, bad).unwrap();
        self.tell(way);
        let refusal = |log: &str| {
            let mut lines = log[heard..].split_inclusive('\n');
            lines.any(|line| line.contains("nothing was changed") && line.ends_with('\n'))
        };
        let log = self.running.err.until(refusal).await;
        assert!(log[heard..].contains(reason), "{way:?}: {}", &log[heard..]);
        self.load.goes_on().await;
        std::fs::write(&file, good).unwrap();
    }

    async fn status(&self, who: &str) -> StatusCode {
        let call = Call::new(self.addr, Method::GET, &format!("/recordings/{NAME}"));
        call.bearer(&jwt(who)).send().await.status()
    }

    async fn status_of_a_link(&self) -> StatusCode {
        let target = format!("/pbx/{PBX}/recordings/{NAME}?link={}", link(PBX, NAME));
        let call = Call::new(self.addr, Method::GET, &target);
        call.send().await.status()
    }

    async fn presents(&self, identity: &Identity) -> bool {
        identity.connect(self.tls, &[]).await.is_ok()
    }
}

/// Replaces both files of a certificate by links that are turned, as certbot does.
fn turn(folder: &Path, identity: &Identity, number: usize) {
    let renewed = folder.join(format!("renewed-{number}"));
    std::fs::create_dir(&renewed).unwrap();
    identity.write(&renewed);
    for name in ["server.pem", "server.key"] {
        let next = folder.join("next");
        std::os::unix::fs::symlink(renewed.join(name), &next).unwrap();
        std::fs::rename(next, folder.join(name)).unwrap();
    }
}

async fn pbx(recording: &Bytes, long: &Bytes) -> Simulator {
    let builder = Simulator::builder(Api::SSeries200)
        .switch(Switch::DownloadWithLength)
        .recording(NAME, recording.clone())
        .recording(LONG, long.clone());
    builder.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_under_load_fail_no_request_and_bad_ones_change_nothing() {
    let (recording, long) = (wav::pcm_of_size(50_000), wav::pcm_of_size(3_000_000));
    let pbx = pbx(&recording, &long).await;
    let known = Arc::new([Identity::new(), Identity::new(), Identity::new()]);
    let mut builder = gateway(&pbx)
        .cache()
        .tls(&known[0])
        .set("server.listen", ["127.0.0.1:0"])
        .set("relay.idle_timeout_ms", 600_000);
    let (running, addr) = serve(&builder.write()).await;
    let log = running.err.text();
    let (_, tls) = log.split_once("\"tls\":\"[").unwrap();
    let tls: SocketAddr = tls.split_once(']').unwrap().0.parse().unwrap();
    let admin = admin_address(&running);

    // A transfer that goes on through all changes.
    pbx.inject(
        ScriptedFault::once(
            CallKind::Download,
            Misbehavior::Throttle {
                bytes_per_s: 2_000_000,
            },
        )
        .for_recording(LONG),
    );
    let mut listener = Listener::begin(addr, "patient", LONG, &long).await;
    assert!(listener.next().await.unwrap());

    let load = Load::start(tls, &known, &recording);
    for (way, next) in [(Way::FileAlone, 1), (Way::Signal, 2)] {
        let bytes = 100_000_000 + next as u64;
        builder = builder.set("cache.max_bytes", bytes);
        let changing = Changing {
            builder,
            running: &running,
            addr,
            tls,
            load: &load,
        };
        // Limits.
        let write = |_: &Path| drop(changing.builder.write());
        let limit =
            async |_: &Changing<'_>| number(admin, "wavegate_cache_max_bytes").await == bytes;
        changing.takes(way, write, limit).await;

        // The policy.
        let policy =
            |text| move |folder: &Path| std::fs::write(folder.join(POLICIES), text).unwrap();
        let denied = async |at: &Changing<'_>| at.status("mallory").await == 403;
        changing.takes(way, policy(ONLY_MALLORY_NOT), denied).await;
        changing
            .refuses(way, POLICIES, b"permit(", "policy.file")
            .await;
        assert_eq!(changing.status("mallory").await, 403);
        let allowed = async |at: &Changing<'_>| at.status("mallory").await == 200;
        changing.takes(way, policy(EVERYONE_AGAIN), allowed).await;

        // A key.
        let key =
            |text: &'static str| move |folder: &Path| write_secret(&folder.join("link"), text);
        let void = async |at: &Changing<'_>| at.status_of_a_link().await == 401;
        let other = "another-secret-of-the-tests-for-links-0123456789";
        changing.takes(way, key(other), void).await;
        changing.refuses(way, "link", b"short", "links.key").await;
        assert_eq!(changing.status_of_a_link().await, 401);
        let valid = async |at: &Changing<'_>| at.status_of_a_link().await == 200;
        changing.takes(way, key(LINK_SECRET), valid).await;

        // The certificate, in place, then behind links.
        let (old, new) = (&known[next - 1], &known[next]);
        let stranger = Identity::new();
        let reason = "server.tls.";
        for bad in [stranger.certificate.as_bytes(), b"no certificate"] {
            changing.refuses(way, "server.pem", bad, reason).await;
            assert!(changing.presents(old).await);
        }
        let presented = async |at: &Changing<'_>| at.presents(new).await;
        changing
            .takes(way, |folder| turn(folder, new, next), presented)
            .await;
        assert!(!changing.presents(old).await);

        // The configuration itself.
        changing
            .refuses(way, "wavegate.toml", b"no toml", "wavegate.toml")
            .await;
        builder = changing.builder;
    }
    let answered = load.end().await;
    println!("{answered} requests during 12 changes and 10 refused ones, none failed");
    assert!(answered > 100, "{answered}");
    listener.finish().await;
    assert_eq!(pbx.seen().requests.login, 1);
    assert_eq!(running.stop().await.code, Some(0));
}
