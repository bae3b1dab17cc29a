//! The supervisor that has started the gateway: systemd, or another one that speaks its protocol.
//!
//! Knows the messages of the protocol, and how often the watchdog wants one. Does not know when the
//! gateway is ready. Without a supervisor, nothing is sent. A message that cannot be sent is lost,
//! and the supervisor acts as if there had been none.
//!
//! Source: systemd, sd_notify(3) (messages, `NOTIFY_SOCKET`) and sd_watchdog_enabled(3)
//! (`WATCHDOG_USEC`, `WATCHDOG_PID`).

use std::env;
use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The socket of the supervisor, if there is one.
pub(super) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that the environment names.
    ///
    /// # Errors
    /// When it names one that cannot be reached: the supervisor would wait for a message in vain.
    pub(super) fn from_env() -> io::Result<Self> {
        let socket = match env::var_os("NOTIFY_SOCKET") {
            Some(name) if !name.is_empty() => {
                let socket = UnixDatagram::unbound()?;
                // A supervisor that reads nothing must not hold the gateway up.
                socket.set_nonblocking(true)?;
                Some((socket, address(&name)?))
            }
            _ => None,
        };
        let watchdog = watchdog(
            env::var("WATCHDOG_USEC").ok().as_deref(),
            env::var("WATCHDOG_PID").ok().as_deref(),
            std::process::id(),
        );
        Ok(Self {
            watchdog: watchdog.filter(|_| socket.is_some()),
            socket,
        })
    }

    /// The interval at which [`Supervisor::alive`] is due; `None` if nobody waits for it.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The gateway accepts requests, or has read its configuration again.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    pub(super) fn reloading(&self) {
        self.send("RELOADING=1");
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// The address of a socket: a path, or on Linux an abstract name behind an `@`.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_bytes().strip_prefix(b"@") {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

/// Half of the time after which the watchdog bites, if it watches this process.
fn watchdog(microseconds: Option<&str>, watched: Option<&str>, own: u32) -> Option<Duration> {
    let is_other = watched.is_some_and(|watched| watched.parse() != Ok(own));
    let limit = microseconds?.parse().ok().filter(|limit| *limit > 1)?;
    (!is_other).then(|| Duration::from_micros(limit) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_told_in_half_of_its_time_if_it_watches_this_process() {
        for (microseconds, watched, expected) in [
            (Some("30000000"), None, Some(15_000)),
            (Some("30000000"), Some("7"), Some(15_000)),
            (Some("30000000"), Some("8"), None),
            (Some("30000000"), Some("x"), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (None, Some("7"), None),
        ] {
            let interval = watchdog(microseconds, watched, 7);
            let expected = expected.map(Duration::from_millis);
            assert_eq!(interval, expected, "{microseconds:?} {watched:?}");
        }
    }
}
