//! `wavegate serve` as a service: its messages to the supervisor, its unit for systemd, and
//! `wavegate health`.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use http::{Method, StatusCode};
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::programs::{
    Ended, Running, admin_address, lines, program, run_wavegate, serve, wavegate,
};
use crate::harness::tls::Identity;
use crate::harness::{Call, NAME, PATIENCE, gateway, jwt, write_secret};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/wavegate.service");

async fn pbx() -> Simulator {
    let builder = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(3));
    builder.start().await.unwrap()
}

/// A supervisor that hears what the gateway tells it.
struct Supervisor {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, folder }
    }

    fn start(&self, config: &Path, watchdog: Option<Duration>) -> Running {
        let mut command = wavegate(&["serve", "--config", config.to_str().unwrap()]);
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        if let Some(limit) = watchdog {
            command.env("WATCHDOG_USEC", limit.as_micros().to_string());
        }
        Running::start(&mut command)
    }

    fn hears(&self) -> String {
        let mut message = [0; 64];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_hears_of_each_change_of_state() {
    let pbx = pbx().await;
    let supervisor = Supervisor::new();
    let builder = gateway(&pbx);
    let config = builder.write();
    let running = supervisor.start(&config, None);
    assert_eq!(supervisor.hears(), "READY=1");
    // Ready means: the log says where the gateway listens.
    running.err.until(|log| log.contains("listening")).await;
    running.signal("HUP");
    assert_eq!(supervisor.hears(), "RELOADING=1");
    assert_eq!(supervisor.hears(), "READY=1");
    // A file with mistakes changes nothing, and the old state is ready still.
    std::fs::write(&config, "no toml").unwrap();
    running.signal("HUP");
    assert_eq!(supervisor.hears(), "RELOADING=1");
    assert_eq!(supervisor.hears(), "READY=1");
    running.signal("TERM");
    assert_eq!(supervisor.hears(), "STOPPING=1");
    assert_eq!(running.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_is_told_again_and_again() {
    let pbx = pbx().await;
    let supervisor = Supervisor::new();
    let builder = gateway(&pbx);
    let config = builder.write();
    let running = supervisor.start(&config, Some(Duration::from_millis(50)));
    assert_eq!(supervisor.hears(), "READY=1");
    for _ in 0..3 {
        assert_eq!(supervisor.hears(), "WATCHDOG=1");
    }
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_not_there_stops_nobody() {
    let pbx = pbx().await;
    let supervisor = Supervisor::new();
    let builder = gateway(&pbx);
    let config = builder.write();
    std::fs::remove_file(supervisor.folder.path().join("notify")).unwrap();
    let running = supervisor.start(&config, None);
    running.err.until(|log| log.contains("listening")).await;
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_never_got_ready_says_nothing() {
    let pbx = pbx().await;
    let supervisor = Supervisor::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let builder = gateway(&pbx).set("server.listen", [taken]);
    let config = builder.write();
    let ended = supervisor.start(&config, None).end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    supervisor.socket.set_nonblocking(true).unwrap();
    assert!(supervisor.socket.recv(&mut [0; 64]).is_err());
}

/// `wavegate health` with a configuration that has this admin listener.
async fn health(pbx: &Simulator, admin: &str) -> Ended {
    let builder = gateway(pbx).set("admin.listen", admin);
    let config = builder.write();
    run_wavegate(&["health", "--config", config.to_str().unwrap()]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_what_the_gateway_says_of_itself() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let (running, _) = serve(&builder.write()).await;
    let admin = admin_address(&running);
    let ended = health(&pbx, &admin.to_string()).await;
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert_eq!(running.stop().await.code, Some(0));

    let ended = health(&pbx, &admin.to_string()).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    let expected = format!("wavegate: no answer from admin.listen {admin}: ");
    assert!(ended.err.starts_with(&expected), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_drains_is_not_healthy() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).set("server.drain_delay_ms", 60_000);
    let (running, _) = serve(&builder.write()).await;
    let admin = admin_address(&running).to_string();
    running.signal("TERM");
    running.err.until(|log| log.contains("draining")).await;
    let ended = health(&pbx, &admin).await;
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""));
    assert!(
        ended.err.starts_with("wavegate: not ready: "),
        "{}",
        ended.err
    );
    running.signal("TERM");
    let ended = running.end().await;
    assert!(lines(&ended.err).any(|line| line["message"] == "stopping at once"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_without_a_gateway_to_ask_says_so() {
    let pbx = pbx().await;
    let ended = health(&pbx, "127.0.0.1:0").await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("admin.listen has port 0"),
        "{}",
        ended.err
    );

    // Something else listens there.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answers = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"220 mail.example ESMTP\r\n").unwrap();
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
    });
    let ended = health(&pbx, &address).await;
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("no gateway"), "{}", ended.err);
    answers.join().unwrap();
}

#[test]
fn the_unit_gives_the_gateway_little_to_break() {
    let Some(analyze) = program("systemd-analyze") else {
        return;
    };
    let output = Command::new(analyze)
        .args(["security", "--offline=true", "--threshold=20", UNIT])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let exposure = text.lines().last().unwrap_or_default();
    assert!(output.status.success(), "{exposure}");
}

const READ_AGAIN: &str = "the configuration was read again";

/// The status of the answer to a request for the recording.
async fn ask(addr: SocketAddr) -> StatusCode {
    let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
    call.bearer(&jwt("alice")).send().await.status()
}

/// The number of times that a log says something.
fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_is_in_force_without_a_signal() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).policies("permit(principal, action, resource);");
    let (running, addr) = serve(&builder.write()).await;
    let policies = builder.folder().join("policy.cedar");
    assert_eq!(ask(addr).await, 200);

    // A file with mistakes changes nothing, and the log says which.
    std::fs::write(&policies, "permit(").unwrap();
    let unchanged = "the configuration has mistakes; nothing was changed";
    let log = running.err.until(|log| log.contains(unchanged)).await;
    assert!(log.contains("policy.file"), "{log}");
    assert_eq!(ask(addr).await, 200);

    std::fs::write(&policies, "forbid(principal, action, resource);").unwrap();
    running.err.until(|log| log.contains(READ_AGAIN)).await;
    assert_eq!(ask(addr).await, 403);
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_presented_once_its_key_is_there() {
    let pbx = pbx().await;
    let (old, new) = (Identity::new(), Identity::new());
    let builder = gateway(&pbx).tls(&old);
    let (running, _) = serve(&builder.write()).await;
    let folder = builder.folder();
    let log = running.err.text();
    let listening = lines(&log).find(|line| line["message"] == "listening");
    let tls = listening.unwrap()["tls"].as_str().unwrap().to_owned();
    let tls = tls.trim_matches(['[', ']']).parse().unwrap();
    assert!(old.connect(tls, &[]).await.is_ok());

    // The certificate alone: it does not belong to the key.
    std::fs::write(folder.join("server.pem"), &new.certificate).unwrap();
    let wrong = "does it belong to the certificate?";
    running.err.until(|log| log.contains(wrong)).await;
    assert!(old.connect(tls, &[]).await.is_ok());

    // The key in a folder of its own, behind a link that is turned.
    let renewed = folder.join("renewed");
    std::fs::create_dir(&renewed).unwrap();
    write_secret(&renewed.join("server.key"), &new.key);
    std::os::unix::fs::symlink(renewed.join("server.key"), folder.join("next")).unwrap();
    std::fs::rename(folder.join("next"), folder.join("server.key")).unwrap();
    running.err.until(|log| log.contains(READ_AGAIN)).await;
    assert!(new.connect(tls, &[]).await.is_ok());
    assert!(old.connect(tls, &[]).await.is_err());
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_allows_no_login_that_was_refused_before() {
    let pbx = pbx().await;
    let builder = gateway(&pbx).password("wrong");
    let (running, addr) = serve(&builder.write()).await;
    assert_eq!(ask(addr).await, 502);
    let logins = pbx.seen().logins_refused;
    let policies = builder.folder().join("policy.cedar");
    let mut text = std::fs::read_to_string(&policies).unwrap();
    text.push_str("\n// the same\n");
    std::fs::write(&policies, text).unwrap();
    running.err.until(|log| log.contains(READ_AGAIN)).await;
    assert_eq!(ask(addr).await, 503);
    assert_eq!(pbx.seen().logins_refused, logins);

    // An operator who asks for it gets another try.
    running.signal("HUP");
    running.err.until(|log| count(log, READ_AGAIN) == 2).await;
    assert_eq!(ask(addr).await, 502);
    assert_eq!(pbx.seen().logins_refused, logins + 1);
    assert_eq!(running.stop().await.code, Some(0));
}

/// `systemd-socket-activate` on an address, in front of the gateway.
fn activated(program: &Path, address: &str, config: &Path) -> Running {
    let mut command = Command::new(program);
    command
        .args(["--listen", address, env!("CARGO_BIN_EXE_wavegate")])
        .args(["serve", "--config", config.to_str().unwrap()]);
    Running::start(&mut command)
}

/// An address that is free now.
fn free_address() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_wait_in_the_socket_of_a_gateway_that_starts() {
    let Some(activate) = program("systemd-socket-activate") else {
        return;
    };
    let pbx = pbx().await;
    let address = free_address();
    let builder = gateway(&pbx).set("server.listen", [address.to_string()]);
    let running = activated(&activate, &address.to_string(), &builder.write());
    running.err.until(|log| log.contains("Listening on")).await;
    // The first caller is what starts the gateway.
    assert_eq!(ask(address).await, 200);
    assert_eq!(running.stop().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_nothing_listens_on_is_a_mistake() {
    let Some(activate) = program("systemd-socket-activate") else {
        return;
    };
    let pbx = pbx().await;
    let address = free_address();
    let builder = gateway(&pbx);
    let config = builder.write();
    let running = activated(&activate, &address.to_string(), &config);
    running.err.until(|log| log.contains("Listening on")).await;
    let _caller = std::net::TcpStream::connect(address).unwrap();
    let ended = running.end().await;
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    let expected = format!("a socket for {address} was passed on");
    assert!(ended.err.contains(&expected), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_missing_is_noticed_when_it_comes() {
    let pbx = pbx().await;
    let builder = gateway(&pbx);
    let (running, addr) = serve(&builder.write()).await;
    let builder = builder.set("policy.file", "later.cedar");
    builder.write();
    let unchanged = "nothing was changed";
    running.err.until(|log| log.contains(unchanged)).await;
    assert_eq!(ask(addr).await, 200);
    let policies = builder.folder().join("later.cedar");
    std::fs::write(policies, "forbid(principal, action, resource);").unwrap();
    running.err.until(|log| log.contains(READ_AGAIN)).await;
    assert_eq!(ask(addr).await, 403);
    assert_eq!(running.stop().await.code, Some(0));
}
