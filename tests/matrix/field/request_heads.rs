//! Request heads that two readers could read in two ways, on the public and on the admin listener.
//!
//! Refused with 400 before anything else, and then the connection closes:
//! - HTTP/1.1 without `Host`, with two, or with one that is no host (RFC 9112 §3.2), whether
//!   `server.public_url` is set or not, in origin form and in absolute form; HTTP/1.0 with two or
//!   with one that is no host; an absolute-form target or `:authority` with user information (RFC
//!   9110 §4.2.4).
//! - `Content-Length` with `Transfer-Encoding`, in any order, case and number, with any method (RFC
//!   9112 §6.3).
//! - Over HTTP/2 (RFC 9113 §8.3.1) two `Host` fields, or one that differs from `:authority`.
//!
//! Served as before: HTTP/1.0 without `Host`; a port, an address, a name with `_`; an absolute-form
//! target, from which `Host` may differ (RFC 9112 §3.2.2); HTTP/2 with `Host` instead of
//! `:authority`, or with the same host in both; a body of either kind. Refused by hyper itself,
//! without a document: two lengths that differ, a length that is not a number, a transfer coding
//! that does not end in `chunked`, or any transfer coding in HTTP/1.0.
//!
//! A lenient reader would serve a request that a proxy in front took for the body of another one.
//! So bytes after a request with a transfer coding on the same connection are never answered.
//!
//! `?download=` is read in one way, too: `1`, `true`, `yes` and an empty value mean yes, each once.
//! Every other value gets 400, since a `no` read as yes, or a yes read as no, is noticed too late.

use std::net::SocketAddr;

use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use wavegate::simulator::{Api, Simulator, wav};

use crate::harness::tls::Identity;
use crate::harness::{Builder, Call, Gateway, NAME, PBX, gateway, jwt, link, soon, write_secret};

const PUBLIC: &str = "https://recordings.example";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The listeners that speak HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Listener {
    Plain,
    Tls,
    Admin,
}

use Listener::{Admin, Plain, Tls};

const LISTENERS: [Listener; 3] = [Plain, Tls, Admin];

/// A gateway with all listeners.
struct Place {
    gateway: Gateway,
    identity: Identity,
    pbx: Simulator,
}

impl Place {
    async fn start(change: impl FnOnce(Builder) -> Builder) -> Self {
        let pbx = Simulator::builder(Api::SSeries200).recording(NAME, wav::music(1));
        let pbx = pbx.start().await.unwrap();
        let identity = Identity::new();
        let builder = change(gateway(&pbx))
            .tls(&identity)
            .set("admin.token_file", "admin-token");
        write_secret(
            &builder.folder().join("admin-token"),
            "a-token-of-the-tests-for-heads-0123456789",
        );
        let gateway = builder.start().await;
        Self {
            gateway,
            identity,
            pbx,
        }
    }

    async fn connect(&self, listener: Listener) -> Box<dyn Stream> {
        let tcp = async |addr: SocketAddr| TcpStream::connect(addr).await.unwrap();
        match listener {
            Plain => Box::new(tcp(self.gateway.addr()).await),
            Admin => Box::new(tcp(self.gateway.app.admin_address()).await),
            Tls => {
                let addr = self.gateway.tls_addr();
                let stream = self.identity.connect(addr, &["http/1.1"]).await;
                Box::new(stream.unwrap())
            }
        }
    }

    /// Sends these pieces one after the other, and reads all answers. The gateway must close the
    /// connection in an orderly way.
    async fn say(&self, listener: Listener, pieces: &[&[u8]]) -> Vec<Reply> {
        let mut stream = self.connect(listener).await;
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut heard = Vec::new();
        soon(stream.read_to_end(&mut heard)).await.unwrap();
        Reply::all(&heard)
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn all(heard: &[u8]) -> Vec<Self> {
        let mut rest = heard;
        let mut replies = Vec::new();
        while !rest.is_empty() {
            let end = rest.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            let head = String::from_utf8(rest[..end].to_vec())
                .unwrap()
                .to_lowercase();
            let length = head
                .split_once("content-length: ")
                .map_or(0, |(_, length)| {
                    length.split_once('\r').unwrap().0.parse().unwrap()
                });
            replies.push(Self {
                status: head[9..12].parse().unwrap(),
                body: String::from_utf8(rest[end..end + length].to_vec()).unwrap(),
                head,
            });
            rest = &rest[end + length..];
        }
        replies
    }

    fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

/// A path of a listener, and the status of its answer to a correct head.
fn target(listener: Listener) -> (&'static str, u16) {
    match listener {
        Plain | Tls => ("/nowhere", 404),
        Admin => ("/livez", 200),
    }
}

/// Checks the answer to a head that is not a valid request.
#[track_caller]
fn is_refused(listener: Listener, reply: &Reply, reason: &str) {
    assert_eq!(reply.status, 400, "{listener:?} {reply:?}");
    assert!(reply.closes(), "{reply:?}");
    if listener == Admin {
        assert_eq!(reply.body, format!("{reason}\n"));
        return;
    }
    let document: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        document["type"],
        "urn:wavegate:problem:request-head-invalid"
    );
    assert_eq!(document["reason"], reason);
    assert_eq!(document["status"], 400);
    let id = format!(
        "\r\nx-request-id: {}\r\n",
        document["request_id"].as_str().unwrap()
    );
    assert!(reply.head.contains(&id), "{reply:?}");
    assert!(
        reply
            .head
            .contains("\r\ncontent-type: application/problem+json\r\n")
    );
    assert!(reply.head.contains("\r\ncache-control: no-store\r\n"));
}

const NO_HOST: &str = "there is no Host";
const TWO_HOSTS: &str = "there is more than one Host";
const BAD_HOST: &str = "Host is not a host, with or without a port";
const BAD_TARGET: &str = "the authority of the target is not a host, with or without a port";
const TWO_FRAMINGS: &str = "there are both Content-Length and Transfer-Encoding";

/// Heads without their target and their end, the bytes after them, and the reason for the refusal.
fn refused() -> Vec<(String, &'static str, &'static str)> {
    let mut all = Vec::new();
    for (fields, reason) in [
        ("", NO_HOST),
        ("\r\nX-Host: a", NO_HOST),
        ("\r\nHost: a\r\nHost: a", TWO_HOSTS),
        ("\r\nHost: a\r\nX: y\r\nhOST: b", TWO_HOSTS),
        ("\r\nHost: a\r\nHost:", TWO_HOSTS),
        ("\r\nHost:", BAD_HOST),
        ("\r\nHost: \t ", BAD_HOST),
        ("\r\nHost: a b", BAD_HOST),
        ("\r\nHost: a, b", BAD_HOST),
        ("\r\nHost: a/b", BAD_HOST),
        ("\r\nHost: http://a", BAD_HOST),
        ("\r\nHost: me@a", BAD_HOST),
        ("\r\nHost: a:http", BAD_HOST),
        ("\r\nHost: a:65536", BAD_HOST),
        ("\r\nHost: a:80:80", BAD_HOST),
        ("\r\nHost: :80", BAD_HOST),
        ("\r\nHost: ::1", BAD_HOST),
        ("\r\nHost: [::1", BAD_HOST),
        ("\r\nHost: [a]", BAD_HOST),
        ("\r\nHost: a%zz", BAD_HOST),
        ("\r\nHost: b\u{fc}cher.example", BAD_HOST),
    ] {
        all.push((format!("GET {{}} HTTP/1.1{fields}"), "", reason));
    }
    let absolute = "GET http://b.example{} HTTP/1.1";
    all.push((absolute.to_owned(), "", NO_HOST));
    all.push((format!("{absolute}\r\nHost: a\r\nHost: b"), "", TWO_HOSTS));
    all.push((format!("{absolute}\r\nHost: a b"), "", BAD_HOST));
    let user = "GET http://me@b.example{} HTTP/1.1\r\nHost: b.example";
    all.push((user.to_owned(), "", BAD_TARGET));
    all.push((
        "GET {} HTTP/1.0\r\nHost: a\r\nHost: b".to_owned(),
        "",
        TWO_HOSTS,
    ));
    all.push(("GET {} HTTP/1.0\r\nHost: a b".to_owned(), "", BAD_HOST));
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "transfer-encoding:CHUNKED\r\nX: y\r\ncONTENT-lENGTH:\t5",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: gzip\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: -1",
        "Transfer-Encoding: chunked\r\nContent-Length:",
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let head = format!("{method} {{}} HTTP/1.1\r\nHost: a\r\n{fields}");
            all.push((head, "0\r\n\r\n", TWO_FRAMINGS));
        }
    }
    all
}

fn good(listener: Listener, further: &str) -> String {
    let (path, _) = target(listener);
    format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{further}\r\n")
}

#[tokio::test]
async fn an_ambiguous_head_is_refused_and_ends_its_connection() {
    let place = Place::start(|builder| builder).await;
    for listener in LISTENERS {
        let (path, status) = target(listener);
        for (head, body, reason) in refused() {
            let head = format!("{}\r\n\r\n", head.replace("{}", path));
            // The next request in the same write is not answered.
            let all = format!("{head}{body}{}", good(listener, ""));
            let replies = place.say(listener, &[all.as_bytes()]).await;
            assert_eq!(replies.len(), 1, "{listener:?} {head} {replies:?}");
            is_refused(listener, &replies[0], reason);
            // As the second request: the first one gets its own answer.
            let second = format!("{}{head}{body}", good(listener, ""));
            let replies = place.say(listener, &[second.as_bytes()]).await;
            assert_eq!(replies.len(), 2, "{listener:?} {head} {replies:?}");
            assert_eq!((replies[0].status, replies[0].closes()), (status, false));
            is_refused(listener, &replies[1], reason);
        }
    }
    assert_eq!(place.pbx.seen().connections, 0);
}

#[tokio::test]
async fn it_does_not_matter_in_which_pieces_a_head_comes() {
    let place = Place::start(|builder| builder).await;
    for listener in LISTENERS {
        let (path, status) = target(listener);
        for (head, _, reason) in refused().into_iter().step_by(5) {
            let head = format!("{}\r\n\r\n", head.replace("{}", path));
            let bytes: Vec<&[u8]> = head.as_bytes().chunks(1).collect();
            let replies = place.say(listener, &bytes).await;
            assert_eq!(replies.len(), 1, "{listener:?} {head}");
            is_refused(listener, &replies[0], reason);
            // After another request on the same connection, whose body looks like a head.
            let fake = "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
            let posted = format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{fake}{head}",
                fake.len()
            );
            // The body comes with its head: hyper does not wait for a body that is not read.
            let (first, second) = posted.as_bytes().split_at(posted.len() - head.len());
            let pieces: Vec<&[u8]> = [first].into_iter().chain(second.chunks(7)).collect();
            let replies = place.say(listener, &pieces).await;
            let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
            let first = if listener == Admin { 405 } else { status };
            assert_eq!(statuses, [first, 400], "{listener:?} {head}");
            is_refused(listener, &replies[1], reason);
        }
    }
}

#[tokio::test]
async fn harmless_heads_are_served_as_before() {
    let place = Place::start(|builder| builder).await;
    for listener in LISTENERS {
        let (path, status) = target(listener);
        for host in [
            "a",
            "a.example:8443",
            "A.example.",
            "a_b",
            "192.0.2.1",
            "192.0.2.1:80",
            "[::1]",
            "[2001:db8::9]:443",
            "a:",
            "  a \t",
        ] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let replies = place.say(listener, &[request.as_bytes()]).await;
            assert_eq!((replies.len(), replies[0].status), (1, status), "{host}");
        }
        for request in [
            format!("GET {path} HTTP/1.0\r\n\r\n"),
            format!("GET {path} HTTP/1.0\r\nHost: a\r\n\r\n"),
            format!("GET http://b.example{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
            format!("\r\nGET {path} HTTP/1.1\nHost: a\nConnection: close\n\n"),
        ] {
            let replies = place.say(listener, &[request.as_bytes()]).await;
            assert_eq!((replies.len(), replies[0].status), (1, status), "{request}");
        }
        // The connection is kept for the next request, also after a body.
        let post = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        let last = good(listener, "Connection: close\r\n");
        let three = format!(
            "{}{post}\r\n{last}",
            good(listener, "Content-Length: 0\r\n")
        );
        let replies = place.say(listener, &[three.as_bytes()]).await;
        let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
        let posted = if listener == Admin { 405 } else { status };
        assert_eq!(statuses, [status, posted, status], "{listener:?}");
    }
}

#[tokio::test]
async fn a_transfer_coding_ends_the_connection_after_its_answer() {
    let place = Place::start(|builder| builder).await;
    let token = "Bearer a-token-of-the-tests-for-heads-0123456789";
    for listener in LISTENERS {
        let (path, status) = match listener {
            // The body was read and accepted: there is only no file to write it to.
            Admin => ("/revocations", 409),
            Plain | Tls => ("/links", 401),
        };
        let body = "{\"jti\":\"x\"}";
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {token}\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        for next in [
            good(listener, ""),
            format!(
                "POST {path} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
        ] {
            let both = format!("{request}{next}");
            let replies = place.say(listener, &[both.as_bytes()]).await;
            assert_eq!(replies.len(), 1, "{listener:?} {replies:?}");
            assert_eq!((replies[0].status, replies[0].closes()), (status, true));
        }
    }
}

#[tokio::test]
async fn heads_that_hyper_refuses_get_400() {
    let place = Place::start(|builder| builder).await;
    for listener in LISTENERS {
        let (path, _) = target(listener);
        for (version, fields) in [
            ("1.1", "Content-Length: 5\r\nContent-Length: 6"),
            ("1.1", "Content-Length: 5, 5"),
            ("1.1", "Content-Length: +5"),
            ("1.1", "Transfer-Encoding: gzip"),
            (
                "1.1",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip",
            ),
            ("1.1", "Content-Length: 5\r\nTransfer-Encoding: identity"),
            ("1.1", "Transfer-Encoding : chunked"),
            ("1.1", "X: y\r\n Content-Length: 5"),
            ("1.0", "Transfer-Encoding: chunked"),
            ("1.0", "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ] {
            let head = format!("POST {path} HTTP/{version}\r\nHost: a\r\n{fields}\r\n\r\n");
            let all = format!("{head}0\r\n\r\n{}", good(listener, ""));
            let replies = place.say(listener, &[all.as_bytes()]).await;
            assert_eq!((replies.len(), replies[0].status), (1, 400), "{head}");
        }
    }
}

#[tokio::test]
async fn invalid_and_wrong_hosts_are_refused_before_credentials() {
    let public = |builder: Builder| builder.set("server.public_url", PUBLIC);
    let place = Place::start(public).await;
    let bearer = format!("Authorization: Bearer {}", jwt("alice"));
    for authorization in [&*bearer, "X: y"] {
        for (hosts, status) in [
            ("Host: recordings.example", None),
            ("Host: evil.example", Some(421)),
            (
                "Host: recordings.example\r\nHost: recordings.example",
                Some(400),
            ),
            ("Host: recordings example", Some(400)),
            ("Host:", Some(400)),
            ("X: y", Some(400)),
        ] {
            let request = format!(
                "GET /recordings/{NAME} HTTP/1.1\r\n{hosts}\r\n{authorization}\r\nConnection: close\r\n\r\n"
            );
            let mut stream = place.connect(Plain).await;
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            soon(stream.read_to_end(&mut heard)).await.unwrap();
            let told: u16 = str::from_utf8(&heard[9..12]).unwrap().parse().unwrap();
            let served = if authorization == bearer { 200 } else { 401 };
            assert_eq!(told, status.unwrap_or(served), "{hosts} {authorization}");
        }
    }
    // HTTP/1.0 may have no `Host`, but then it is not a request to this public name.
    let replies = place.say(Plain, &[b"GET / HTTP/1.0\r\n\r\n"]).await;
    assert_eq!(replies[0].status, 421);
}

#[tokio::test]
async fn over_http_2_one_host_is_named_once_or_twice_the_same() {
    let place = Place::start(|builder| builder).await;
    let addr = place.gateway.tls_addr();
    let connection = place.identity.http2(addr).await;
    let reason = |host: &str, hosts: &[&str]| {
        let target = match host {
            "" => "/nowhere".to_owned(),
            host => format!("https://{host}/nowhere"),
        };
        let mut call = Call::new(addr, Method::GET, &target);
        for host in hosts {
            call = call.header("host", host);
        }
        let connection = &connection;
        async move {
            let answer = connection.send(call).await;
            assert_eq!(answer.header("connection"), None);
            let problem = answer.problem().await;
            if problem.slug == "no-such-resource" {
                return None;
            }
            assert_eq!(
                (&*problem.slug, problem.status.as_u16()),
                ("request-head-invalid", 400)
            );
            let document: serde_json::Value = serde_json::from_str(&problem.text).unwrap();
            Some(document["reason"].as_str().unwrap().to_owned())
        }
    };
    let other = Some("Host is not the host of :authority");
    for (authority, hosts, expected) in [
        ("a.example", &[][..], None),
        ("a.example", &["a.example"], None),
        ("a.example", &["A.EXAMPLE"], None),
        ("a.example", &["a.example:443"], None),
        ("a.example:443", &["a.example"], None),
        ("", &["a.example"], None),
        ("a.example", &["b.example"], other),
        ("a.example", &["a.example:8443"], other),
        ("a.example", &["a.example."], other),
        ("a.example", &["a.example", "a.example"], Some(TWO_HOSTS)),
        ("a.example", &["a.example", "b.example"], Some(TWO_HOSTS)),
        ("", &["a.example", "a.example"], Some(TWO_HOSTS)),
        ("a.example", &["a example"], Some(BAD_HOST)),
        ("", &[""], Some(BAD_HOST)),
        ("me@a.example", &[], Some(BAD_TARGET)),
    ] {
        let told = reason(authority, hosts).await;
        assert_eq!(told.as_deref(), expected, "{authority} {hosts:?}");
    }
}

/// A header field as HPACK writes it without any table (RFC 7541 §6.2.2).
fn literal(block: &mut Vec<u8>, name: &str, value: &str) {
    block.push(0);
    for text in [name, value] {
        block.push(u8::try_from(text.len()).unwrap());
        block.extend_from_slice(text.as_bytes());
    }
}

#[tokio::test]
async fn over_http_2_a_transfer_coding_ends_the_stream() {
    let place = Place::start(|builder| builder).await;
    let stream = place.identity.connect(place.gateway.tls_addr(), &["h2"]);
    let mut stream = stream.await.unwrap();
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/nowhere"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ] {
        literal(&mut block, name, value);
    }
    let mut words = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS with END_HEADERS and END_STREAM on stream 1 (RFC 9113 §6.2).
    words.extend_from_slice(&[0, 0, u8::try_from(block.len()).unwrap(), 1, 5, 0, 0, 0, 1]);
    words.extend_from_slice(&block);
    stream.write_all(&words).await.unwrap();
    loop {
        let mut head = [0; 9];
        soon(stream.read_exact(&mut head)).await.unwrap();
        let length = usize::from(head[1]) * 256 + usize::from(head[2]);
        soon(stream.read_exact(&mut vec![0; length])).await.unwrap();
        match head[3] {
            1 => panic!("answered"),
            // RST_STREAM of that stream.
            3 => return assert_eq!(head[8], 1),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_download_is_asked_for_in_one_way_only() {
    let place = Place::start(|builder| builder).await;
    let path = format!("/recordings/{NAME}");
    let by_link = format!("/pbx/{PBX}/recordings/{NAME}?link={}&", link(PBX, NAME));
    let get = async |method: Method, target: &str| {
        let call = place.gateway.request(method, target);
        let call = if target.contains("link=") {
            call
        } else {
            call.bearer(&jwt("alice"))
        };
        call.send().await
    };
    for start in [format!("{path}?"), by_link] {
        for (parameter, kind) in [
            ("", "inline"),
            ("Download=1", "inline"),
            ("download=1", "attachment"),
            ("download=true", "attachment"),
            ("download=yes", "attachment"),
            ("download=", "attachment"),
            ("download", "attachment"),
            ("x=y&download&z", "attachment"),
            ("download=%31", "attachment"),
        ] {
            for method in [Method::GET, Method::HEAD] {
                let answer = get(method, &format!("{start}{parameter}")).await;
                assert_eq!(answer.status(), StatusCode::OK, "{parameter}");
                let disposition = answer.header("content-disposition").unwrap();
                assert!(disposition.starts_with(kind), "{parameter}: {disposition}");
            }
        }
        for parameter in [
            "download=0",
            "download=false",
            "download=no",
            "download=2",
            "download=TRUE",
            "download=Yes",
            "download=on",
            "download=1+",
            "download=%20",
            "download=1&download=1",
            "download=1&download=0",
            "download&x&download",
        ] {
            let target = format!("{start}{parameter}");
            let problem = get(Method::GET, &target).await.problem().await;
            let told = (&*problem.slug, problem.status.as_u16());
            assert_eq!(told, ("recording-parameter-invalid", 400), "{parameter}");
            let head = get(Method::HEAD, &target).await;
            assert_eq!(head.status(), StatusCode::BAD_REQUEST, "{parameter}");
        }
    }
    // A list does not have this parameter, whatever its value.
    for value in ["1", "0"] {
        let problem = get(Method::GET, &format!("/recordings?download={value}")).await;
        assert_eq!(problem.problem().await.slug, "list-parameter-invalid");
    }
}
