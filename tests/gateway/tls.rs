//! Trust in the PBX: nothing is sent before its certificate is known to be the right one. The public listener's side
//! is in [`public`].

use wavegate::simulator::{Builder, Simulator, Switch, Version, wav};

use crate::harness::{NAME, gateway, soon};

mod public;

fn simulator() -> Builder {
    Simulator::s_series(Version::V2_0_0).recording(NAME, wav::music(2))
}

fn wrong_pin() -> String {
    "00".repeat(32)
}

/// What stands under `[pbx.tls]`, for a PBX whose certificate is in the file `pbx.pem` of the configuration's folder.
async fn check(pbx: Builder, trust: impl FnOnce(&Simulator) -> String, trusted: bool) {
    let pbx = pbx.start().await.unwrap();
    let trust = trust(&pbx);
    let builder = gateway(&pbx)
        .without_pin()
        .pbx(&format!("[pbx.tls]\n{trust}"));
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
        // No credential before trust.
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
    // With TLS 1.2 as with 1.3; names and dates do not matter.
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
async fn what_does_not_speak_tls_gets_no_credential() {
    let pbx = simulator().switch(Switch::PlainHttp).start().await.unwrap();
    let gateway = gateway(&pbx)
        .pbx_url(pbx.url().replace("http:", "https:"))
        .pbx(&format!("[pbx.tls]\npins = [\"{}\"]", pbx.fingerprint()))
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
        // A login, and thrice a ticket and a download.
        assert_eq!(seen.connections, 7);
        assert!(seen.tls_resumed >= 5, "{switch:?}: {}", seen.tls_resumed);
    }
}
