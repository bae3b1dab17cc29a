//! A PBX whose certificate is not accepted: the doctor still shows the certificate, names the
//! fault, and sends nothing to the PBX.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use wavegate::simulator::{Api, Builder};

use super::{diagnose, simulator};
use crate::harness::gateway;

/// Checks a PBX with these lines of `[pbx.tls]`. `pbx.pem` is the PBX's own certificate, and
/// `ca.pem` another.
async fn check(pbx: Builder, tls: &str, ca: &str, said: &[&str], advised: &[&str]) {
    let pbx = pbx.start().await.unwrap();
    let builder = gateway(&pbx).without_pin().lines("[pbx.tls]", tls);
    std::fs::write(builder.folder().join("pbx.pem"), pbx.certificate_pem()).unwrap();
    std::fs::write(builder.folder().join("ca.pem"), ca).unwrap();
    let found = diagnose(&builder, &[]).await;
    let seen = pbx.fingerprint();
    for said in said {
        found.fails_at("tls", &said.replace("SEEN", seen), "");
    }
    for advised in advised {
        found.fails_at("tls", "", &advised.replace("SEEN", seen));
    }
    let certificate = &found.pbx["certificate"];
    assert_eq!(certificate["sha256"], seen);
    assert_eq!(
        (&certificate["trusted"], &certificate["tls"]),
        (&false.into(), &().into())
    );
    // No credential was sent before the certificate was accepted.
    let seen = pbx.seen();
    assert_eq!((seen.requests.total(), seen.bad_requests), (0, 0), "{tls}");
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_a_warning() {
    let pin = "00".repeat(32);
    check(
        simulator(Api::SSeries200),
        &format!("pins = [\"{pin}\"]"),
        "",
        &["its SHA-256 is SEEN", &format!("expects {pin}")],
        &["another machine may stand in between"],
    )
    .await;
}

#[tokio::test]
async fn an_untrusted_certificate_comes_with_the_line_to_pin_it() {
    let line = "pins = [\"SEEN\"]";
    check(
        simulator(Api::SSeries200),
        "",
        "",
        &["not signed by a trusted CA"],
        &["compare the fingerprint", line],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_told_as_that() {
    check(
        simulator(Api::SSeries200).certificate_for(["pbx.example"]),
        "ca_file = \"pbx.pem\"",
        "",
        &["for another name or address"],
        &["into pbx.url"],
    )
    .await;
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_told_as_that() {
    for (from, until, said) in [(2001, 2002, "has expired"), (4000, 4001, "not valid yet")] {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(ca, key);
        let mut leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        leaf.not_before = rcgen::date_time_ymd(from, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(until, 1, 1);
        let leaf_key = KeyPair::generate().unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let pbx = simulator(Api::SSeries200).certificate(leaf.pem(), leaf_key.serialize_pem());
        check(pbx, "ca_file = \"ca.pem\"", &ca_pem, &[said], &["clock"]).await;
    }
}

#[tokio::test]
async fn a_self_signed_ca_certificate_is_to_be_pinned() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let pbx = simulator(Api::SSeries200).certificate(certificate.pem(), key.serialize_pem());
    let said = ["a CA's own certificate"];
    check(
        pbx,
        "ca_file = \"pbx.pem\"",
        "",
        &said,
        &["pins = [\"SEEN\"]"],
    )
    .await;
}
