//! Trust in the PBX: the gateway sends nothing before it has verified the PBX's certificate. The
//! tests of the public listener are in [`public`].

use std::sync::Arc;

use aws_lc_rs::digest;
use http::Method;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use wavegate::simulator::{Api, Builder, Simulator, Switch, wav};

use crate::harness::programs::serve;
use crate::harness::{Call, NAME, PBX, gateway, jwt, soon};

mod public;

fn simulator() -> Builder {
    Simulator::builder(Api::SSeries200).recording(NAME, wav::music(2))
}

fn wrong_pin() -> String {
    "00".repeat(32)
}

/// Checks whether a gateway with these lines in `[pbx.tls]` trusts the PBX. The PBX's certificate
/// is in the file `pbx.pem` of the configuration's folder.
async fn check(pbx: Builder, trust: impl FnOnce(&Simulator) -> String, trusted: bool) {
    let pbx = pbx.start().await.unwrap();
    let trust = trust(&pbx);
    let builder = gateway(&pbx).without_pin().lines("[pbx.tls]", &trust);
    std::fs::write(builder.folder().join("pbx.pem"), pbx.certificate_pem()).unwrap();
    let other = simulator().certificate_for(["127.0.0.1"]);
    let other = other.start().await.unwrap();
    std::fs::write(builder.folder().join("other.pem"), other.certificate_pem()).unwrap();
    let gateway = builder.start().await;
    if trusted {
        assert_eq!(
            gateway.fetch(NAME).await,
            pbx.recording_bytes(NAME).unwrap(),
            "{trust}"
        );
        assert_eq!(pbx.seen().handshakes_failed, 0);
    } else {
        assert_eq!(
            gateway.problem(NAME).await.slug,
            "pbx-unreachable",
            "{trust}"
        );
        soon(pbx.until(|seen| seen.handshakes_failed == 1)).await;
        // The gateway sent no credential before it trusted the PBX.
        let seen = pbx.seen();
        assert_eq!(
            (seen.requests.total(), seen.bad_requests),
            (0, 0),
            "{trust}"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_pin_alone() {
    // With TLS 1.2 and 1.3. The names and dates in the certificate do not matter.
    for tls13 in [false, true] {
        let pbx = || match tls13 {
            true => simulator().switch(Switch::Tls13),
            false => simulator(),
        };
        let right = |pbx: &Simulator| format!("pins = [\"{}\"]", pbx.fingerprint());
        let second = |pbx: &Simulator| {
            let spelled = pbx.fingerprint().to_uppercase();
            format!("pins = [\"{}\", \"{spelled}\"]", wrong_pin())
        };
        let wrong = |_: &Simulator| format!("pins = [\"{}\"]", wrong_pin());
        check(pbx(), right, true).await;
        check(pbx(), second, true).await;
        check(pbx(), wrong, false).await;
        // A pin replaces the name, and a right name does not replace the pin.
        check(pbx().certificate_for(["127.0.0.1"]), wrong, false).await;
    }
}

#[tokio::test]
async fn a_ca_file_vouches_for_the_name_it_was_made_for() {
    for tls13 in [false, true] {
        for (name, file, trusted) in [
            ("127.0.0.1", "pbx.pem", true),
            ("127.0.0.2", "pbx.pem", false),
            ("pbx.example", "pbx.pem", false),
            ("127.0.0.1", "other.pem", false),
        ] {
            let mut pbx = simulator().certificate_for([name]);
            if tls13 {
                pbx = pbx.switch(Switch::Tls13);
            }
            check(pbx, |_| format!("ca_file = \"{file}\""), trusted).await;
        }
    }
}

#[tokio::test]
async fn the_systems_roots_do_not_vouch_for_a_self_signed_certificate() {
    for name in ["127.0.0.1", "pbx.invalid"] {
        let pbx = simulator().certificate_for([name]);
        check(pbx, |_| String::new(), false).await;
    }
}

#[tokio::test]
async fn a_pbx_without_tls_gets_no_credential() {
    let pbx = simulator().switch(Switch::PlainHttp).start().await.unwrap();
    let gateway = gateway(&pbx)
        .pbx_url(pbx.url().replace("http:", "https:"))
        .set("pbx.tls.pins", [pbx.fingerprint()])
        .start()
        .await;
    assert_eq!(gateway.problem(NAME).await.slug, "pbx-unreachable");
    assert_eq!(pbx.seen().requests.total(), 0);
}

#[tokio::test]
async fn a_handshake_costs_its_full_price_only_once() {
    // The PBX closes every connection after its answer.
    for switch in [None, Some(Switch::Tls13)] {
        let mut pbx = simulator();
        if let Some(switch) = switch {
            pbx = pbx.switch(switch);
        }
        let pbx = pbx.start().await.unwrap();
        let gateway = gateway(&pbx).start().await;
        for _ in 0..3 {
            gateway.fetch(NAME).await;
        }
        let seen = pbx.seen();
        // One login, and three times a ticket and a download.
        assert_eq!(seen.connections, 7);
        assert!(seen.tls_resumed >= 5, "{switch:?}: {}", seen.tls_resumed);
    }
}

/// A self-signed certificate, as PEM and with its SHA-256, and a server that presents it to one
/// caller.
struct Presenter {
    pem: String,
    fingerprint: String,
    port: u16,
    /// Whether the caller accepted it.
    accepted: JoinHandle<bool>,
}

async fn present(name: &str, is_ca: IsCa) -> Presenter {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = is_ca;
    let certificate = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let digest = digest::digest(&digest::SHA256, certificate.der());
    Presenter {
        pem: certificate.pem(),
        fingerprint: digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        port: listener.local_addr().unwrap().port(),
        accepted: tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(Arc::new(config))
                .accept(stream)
                .await
                .is_ok()
        }),
    }
}

#[tokio::test]
async fn the_log_says_why_a_certificate_fails_without_the_address() {
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let (ca_file, pin) = ("ca_file = \"pbx.pem\"", "pins = [\"FINGERPRINT\"]");
    let no_pin = format!("pins = [\"{}\"]", wrong_pin());
    let rows = [
        (
            "localhost",
            ca(),
            ca_file,
            Some("it is a CA's own certificate; pin it instead"),
        ),
        ("localhost", ca(), pin, None),
        ("localhost", IsCa::NoCa, ca_file, None),
        (
            "pbx.example",
            IsCa::NoCa,
            ca_file,
            Some("for another name or address"),
        ),
        ("localhost", IsCa::NoCa, &no_pin, Some("not in pins")),
    ];
    let pbx = simulator().start().await.unwrap();
    for (name, is_ca, trust, reason) in rows {
        let presenter = present(name, is_ca).await;
        let trust = trust.replace("FINGERPRINT", &presenter.fingerprint);
        let builder = gateway(&pbx)
            .pbx_url(format!("https://localhost:{}", presenter.port))
            .without_pin()
            .set("log.level", "trace")
            .lines("[pbx.tls]", &trust);
        std::fs::write(builder.folder().join("pbx.pem"), &presenter.pem).unwrap();
        let (gateway, addr) = serve(&builder.write()).await;
        let call = Call::new(addr, Method::GET, &format!("/recordings/{NAME}"));
        assert_eq!(call.bearer(&jwt("alice")).send().await.status(), 502);
        assert_eq!(
            soon(presenter.accepted).await.unwrap(),
            reason.is_none(),
            "{trust}"
        );
        let log = gateway.stop().await.err;
        if let Some(reason) = reason {
            let line = log
                .lines()
                .find(|line| line.contains("no recording"))
                .unwrap();
            assert!(line.contains(reason), "{line}");
            assert!(line.contains(&format!("\"pbx\":\"{PBX}\"")), "{line}");
        }
        // With its colon, since five digits alone may also occur in a time stamp or an id.
        let port = format!(":{}", presenter.port);
        for address in ["localhost", "pbx.example", &port] {
            assert!(!log.contains(address), "{address} in {log}");
        }
    }
}
