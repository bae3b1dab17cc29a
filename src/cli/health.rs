//! `wavegate health`: asks a running gateway whether it is ready. For container health checks and
//! for scripts, which need no program beside this one.
//!
//! Knows the question and how long it may take. Does not know what makes a gateway ready.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::{self, Problems};

/// Longest wait for the connection, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bound on the answer, which has a line.
const MAX_ANSWER_BYTES: u64 = 4 * 1024;
const QUESTION: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

pub(super) fn run(path: &Path) -> ExitCode {
    // Mistakes elsewhere in the file are no matter: the gateway that runs has read another one.
    let mut problems = Problems::default();
    let Some(config) = config::read(path, &mut problems) else {
        return super::fail(problems);
    };
    let admin = config.admin.listen;
    if admin.port() == 0 {
        return super::fail(
            "admin.listen has port 0, so nobody can tell where the gateway listens",
        );
    }
    match ask(reachable(admin)) {
        Ok(answer) if answer.status == "200" => {
            super::print(answer.text);
            ExitCode::SUCCESS
        }
        Ok(answer) => super::fail(format_args!("not ready: {}", answer.text)),
        Err(error) => super::fail(format_args!("no answer from admin.listen {admin}: {error}")),
    }
}

/// An answer of the admin listener.
struct Answer {
    status: String,
    text: String,
}

/// The address under which a listener of this machine is reached.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(admin: SocketAddr) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&admin, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(QUESTION)?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut bytes)?;
    let answer = String::from_utf8_lossy(&bytes);
    read(&answer).ok_or_else(|| io::Error::other("what listens there is no gateway"))
}

/// Reads the status and the text of an answer.
fn read(answer: &str) -> Option<Answer> {
    let (head, text) = answer.split_once("\r\n\r\n")?;
    let mut line = head.lines().next()?.split(' ');
    let version = line.next()?;
    let status = line.next().filter(|_| version.starts_with("HTTP/1."))?;
    Some(Answer {
        status: status.to_owned(),
        text: text.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_listener_of_all_addresses_is_asked_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("192.0.2.1:9", "192.0.2.1:9"),
        ] {
            let listen = listen.parse().unwrap();
            assert_eq!(reachable(listen).to_string(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(answer in "(HTTP/1.1 )?.{0,40}(\r\n){0,2}.{0,10}") {
            let _ = read(&answer);
        }
    }
}
