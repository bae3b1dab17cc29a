//! Servers of OpenSSL with an older or weaker TLS than the gateway accepts, as an old PBX may have
//! it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Diagnosis, diagnose};
use crate::harness::gateway;
use crate::harness::programs::{Running, program};

/// OpenSSL, and a folder for its files.
struct OpenSsl {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl OpenSsl {
    /// `None` if it is not installed.
    fn find() -> Option<Self> {
        Some(Self {
            program: program("openssl")?,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn succeeds(&self, arguments: &[&str]) -> bool {
        let status = self.command(arguments).stdout(Stdio::null()).status();
        status.unwrap().success()
    }

    /// Makes a self-signed certificate and its key.
    fn certificate(&self, key: &str) {
        let request = [
            "req", "-x509", "-newkey", key, "-nodes", "-days", "30", "-subj", "/CN=pbx",
        ];
        assert!(
            self.succeeds(&[&request[..], &["-keyout", "key.pem", "-out", "cert.pem"]].concat())
        );
    }

    /// Makes a certificate of X.509 version 1. Newer versions of OpenSSL have an option for that;
    /// older versions make one if no extension is requested.
    fn certificate_v1(&self) {
        let request = [
            "req", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=pbx", "-keyout",
            "key.pem",
        ];
        if !self.succeeds(&[&request[..], &["-x509v1", "-out", "cert.pem"]].concat()) {
            assert!(self.succeeds(&[&request[..], &["-out", "csr.pem"]].concat()));
            let sign = [
                "x509", "-req", "-in", "csr.pem", "-signkey", "key.pem", "-days", "30",
            ];
            assert!(self.succeeds(&[&sign[..], &["-out", "cert.pem"]].concat()));
        }
    }

    fn pin(&self) -> String {
        let print = [
            "x509",
            "-in",
            "cert.pem",
            "-noout",
            "-fingerprint",
            "-sha256",
        ];
        let out = self.command(&print).output().unwrap().stdout;
        let line = String::from_utf8(out).unwrap();
        line.trim().split_once('=').unwrap().1.to_owned()
    }

    /// Diagnoses a server of OpenSSL with these options, whose certificate is pinned.
    async fn diagnose(&self, options: &[&str]) -> Diagnosis {
        let server = [
            "s_server",
            "-accept",
            "127.0.0.1:0",
            "-cert",
            "cert.pem",
            "-key",
            "key.pem",
        ];
        let mut command = self.command(&[&server[..], options].concat());
        // It ends with its standard input.
        let running = Running::start(command.stdin(Stdio::piped()));
        let ready = |text: &str| text.lines().any(|line| line.starts_with("ACCEPT "));
        let text = running.out.until(ready).await;
        let line = text.lines().find_map(|line| line.strip_prefix("ACCEPT "));
        let addr = line.unwrap().trim();
        let pbx = wavegate::simulator::Simulator::builder(wavegate::simulator::Api::SSeries200);
        let pbx = pbx.start().await.unwrap();
        let builder = gateway(&pbx)
            .without_pin()
            .pbx_url(format!("https://{addr}"))
            .set("pbx.tls.pins", [self.pin()]);
        let found = diagnose(&builder, &[]).await;
        assert!(
            !builder_folder_has_login(builder.folder()),
            "{}",
            found.text
        );
        found
    }
}

/// Whether a login was tried: only then the folder has a history.
fn builder_folder_has_login(folder: &Path) -> bool {
    folder.join("state").exists()
}

const WEAK: &str = "DEFAULT@SECLEVEL=0";

#[tokio::test]
async fn tls_1_0_alone_is_told_as_that() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    openssl.certificate("rsa:2048");
    let found = openssl.diagnose(&["-tls1", "-cipher", WEAK]).await;
    found.fails_at("tls", "no common TLS version", "System Security Level");
    assert!(found.pbx["certificate"].is_null());
}

#[tokio::test]
async fn ciphers_of_long_ago_are_told_as_that() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    openssl.certificate("rsa:2048");
    let old = "AES128-SHA@SECLEVEL=0";
    let found = openssl.diagnose(&["-tls1_2", "-cipher", old]).await;
    found.fails_at("tls", "no common cipher", "firmware");
}

#[tokio::test]
async fn a_certificate_of_version_1_is_told_as_that() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    openssl.certificate_v1();
    let found = openssl.diagnose(&["-tls1_2"]).await;
    found.fails_at("tls", "X.509 version 1", "certificate of version 3");
    assert_eq!(found.pbx["certificate"]["x509_version"], 1);
}

#[tokio::test]
async fn a_key_too_short_is_told_with_its_length() {
    let Some(openssl) = OpenSsl::find() else {
        return;
    };
    openssl.certificate("rsa:1024");
    for version in ["-tls1_2", "-tls1_3"] {
        let found = openssl.diagnose(&[version, "-cipher", WEAK]).await;
        found.fails_at("tls", "too short, RSA, 1024 bits", "2048 bits or more");
    }
}
