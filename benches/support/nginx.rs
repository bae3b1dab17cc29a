//! The nginx of this machine, as single processes that serve files or act as a proxy.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::Process;

/// The possible places of nginx; the first is looked up in `PATH`.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// One nginx: a single process, without a master.
pub(crate) struct Nginx {
    pub(crate) addr: SocketAddr,
    pub(crate) process: Process,
    folder: TempDir,
}

impl Nginx {
    /// The command that starts nginx on this machine, if it is installed.
    pub(crate) fn program() -> Option<&'static str> {
        PROGRAMS.into_iter().find(|program| {
            let mut command = Command::new(program);
            command.arg("-v").stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        })
    }

    /// Starts one that serves a file of this content under `/{name}`.
    pub(crate) fn of_file(program: &str, name: &str, content: &[u8]) -> Self {
        Self::start(program, |folder| {
            let root = folder.join("files");
            std::fs::create_dir(&root).unwrap();
            std::fs::write(root.join(name), content).unwrap();
            format!(
                "server {{ listen ADDR; root {}; sendfile on; }}",
                root.display()
            )
        })
    }

    /// Starts one that proxies everything to `other` over kept connections, with more `directives`.
    pub(crate) fn in_front_of(program: &str, other: &Self, directives: &str) -> Self {
        Self::start(program, |_| {
            format!(
                "upstream other {{ server {}; keepalive 64; keepalive_requests 1000000000; }}\n\
                 server {{ listen ADDR; location / {{\n\
                 proxy_pass http://other; proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
                 {directives} }} }}",
                other.addr
            )
        })
    }

    fn start(program: &str, server: impl Fn(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let addr = free_address();
        let path = folder.path().display();
        let server = server(folder.path()).replace("ADDR", &addr.to_string());
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .collect();
        let text = format!(
            "daemon off; master_process off; worker_processes 1;\n\
             pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n\
             access_log {path}/access.log combined; keepalive_requests 1000000000;\n\
             {temporary}{server}\n\
             }}\n"
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        command.arg("-e").arg(folder.path().join("error.log"));
        command.arg("-c").arg(file);
        let mut nginx = Self {
            addr,
            process: Process::start(&mut command),
            folder,
        };
        nginx.wait();
        nginx
    }

    /// Returns once it listens.
    fn wait(&mut self) {
        while TcpStream::connect(self.addr).is_err() {
            assert!(self.process.is_running(), "{}", self.log());
            std::thread::yield_now();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

/// An address with a free port. nginx cannot report which port it chose.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
