//! The shipped configurations of nginx, HAProxy and Caddy.
//!
//! Knows the lines of each file with addresses and paths of a real installation, and replaces only
//! those.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::instances::Instance;

const NGINX: &str = include_str!("../../../config/nginx.conf");
const HAPROXY: &str = include_str!("../../../config/haproxy.cfg");
const CADDY: &str = include_str!("../../../config/Caddyfile");

/// A proxy that Wavegate ships a configuration for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

/// The values of one test's installation. Its folder has the certificate `public.pem`, its key
/// `public.key`, and `both.pem` with the two.
pub(super) struct Site<'a> {
    pub(super) addr: SocketAddr,
    pub(super) folder: &'a Path,
    pub(super) instances: &'a [Instance],
}

impl Kind {
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// The signal after which it finishes what it is doing, and ends.
    pub(super) fn stop_signal(self) -> &'static str {
        match self {
            Self::Nginx => "QUIT",
            Self::Haproxy => "USR1",
            Self::Caddy => "TERM",
        }
    }
}

impl Site<'_> {
    /// Writes the configuration, and returns the command that runs the proxy with it.
    pub(super) fn command(&self, kind: Kind, program: &Path, edits: &[(&str, &str)]) -> Command {
        let (shipped, replacements, name) = match kind {
            Kind::Nginx => (NGINX, self.nginx(), "nginx.conf"),
            Kind::Haproxy => (HAPROXY, self.haproxy(), "haproxy.cfg"),
            Kind::Caddy => (CADDY, self.caddy(), "Caddyfile"),
        };
        let mut text = shipped.to_owned();
        for (old, new) in &replacements {
            replace(&mut text, old, new);
        }
        for (old, new) in edits {
            replace(&mut text, old, &new.replace("{folder}", &self.path("")));
        }
        let file = self.path(name);
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        match kind {
            Kind::Nginx => command
                .args(["-p", &self.path(""), "-c", &file, "-e", "stderr"])
                .args(["-g", "daemon off;"]),
            Kind::Haproxy => command.args(["-db", "-f", &file]),
            Kind::Caddy => command.args(["run", "--config", &file]),
        };
        // Caddy keeps certificates and its last configuration there.
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, self.folder);
        }
        command.stdin(Stdio::null());
        command
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// The instance that takes the line of this number.
    fn instance(&self, line: usize) -> Instance {
        self.instances[line % self.instances.len()]
    }

    fn nginx(&self) -> Vec<(&'static str, String)> {
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("\n    {kind}_temp_path {};", self.path(kind)))
            .concat();
        let server = |line| format!("server {} ", self.instance(line).public);
        vec![
            ("pid /run/nginx.pid;", format!("pid {};", self.path("pid"))),
            (
                "error_log /var/log/nginx/error.log notice;",
                format!("error_log {} info;", self.path("error.log")),
            ),
            (
                "access_log /var/log/nginx/wavegate.log",
                format!("access_log {}", self.path("access.log")),
            ),
            ("\nhttp {", format!("\nhttp {{{temporary}")),
            ("listen 443 ssl", format!("listen {} ssl", self.addr)),
            ("listen [::]:443 ssl http2;", String::new()),
            ("/etc/wavegate/certs/public.pem", self.path("public.pem")),
            ("/etc/wavegate/certs/public.key", self.path("public.key")),
            ("server 127.0.0.1:8080 ", server(0)),
            ("server 127.0.0.1:8180 ", server(1)),
            ("server 127.0.0.1:8280 ", server(2)),
        ]
    }

    fn haproxy(&self) -> Vec<(&'static str, String)> {
        let server = |line| {
            let Instance { public, admin } = self.instance(line);
            format!("{public} addr {} port {}", admin.ip(), admin.port())
        };
        vec![
            (
                "log /dev/log local0",
                "log stdout format raw local0".to_owned(),
            ),
            // Only root may do these.
            ("    chroot /var/lib/haproxy\n", String::new()),
            ("    user haproxy\n", String::new()),
            ("    group haproxy\n", String::new()),
            (
                "bind :443,[::]:443 v6only ssl",
                format!("bind {} ssl", self.addr),
            ),
            (
                "/etc/wavegate/certs/public-and-key.pem",
                self.path("both.pem"),
            ),
            ("127.0.0.1:8080 port 8081", server(0)),
            ("127.0.0.1:8180 port 8181", server(1)),
            ("127.0.0.1:8280 port 8281", server(2)),
        ]
    }

    fn caddy(&self) -> Vec<(&'static str, String)> {
        let (host, port) = (self.addr.ip(), self.addr.port());
        let to = |line| format!("to {}", self.instance(line).public);
        vec![
            (
                "\nhttps://recordings.example.com {",
                format!("\nhttps://{host}:{port}, https://localhost:{port} {{\n\tbind {host}"),
            ),
            (
                "unix//var/lib/caddy/admin.sock",
                format!("unix/{}", self.path("admin.sock")),
            ),
            ("/etc/wavegate/certs/public.pem", self.path("public.pem")),
            ("/etc/wavegate/certs/public.key", self.path("public.key")),
            ("/var/log/caddy/wavegate.log", self.path("access.log")),
            ("to 127.0.0.1:8080", to(0)),
            ("to 127.0.0.1:8180", to(1)),
            ("to 127.0.0.1:8280", to(2)),
        ]
    }
}

#[track_caller]
fn replace(text: &mut String, old: &str, new: &str) {
    let count = text.matches(old).count();
    assert_eq!(count, 1, "the configuration should have {old:?} once");
    *text = text.replace(old, new);
}
