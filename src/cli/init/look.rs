//! Checks the PBX's certificate before any credential is sent.
//!
//! Knows when a certificate is accepted: by the system's roots, by a given fingerprint, or by the
//! operator's answer. Sends no credential: [`Probe`] has none.

use url::Url;

use super::questions::Questions;
use crate::cli::doctor::examination::CertificateSummary;
use crate::cli::doctor::shown;
use crate::config;
use crate::pbx::{Probe, ProbeError};
use crate::tls::certificate::LeafCertificate;
use crate::tls::pin::Pin;
use crate::tls::trust::PbxTrust;

const COMPARE: &str = "compare the SHA-256 with what a browser shows on the PBX's own network (details of the certificate)";

/// How the gateway will trust the PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    PlainHttp,
    System,
    Pinned(Pin),
}

/// Connects, shows the certificate, and decides whether it is the right one.
///
/// # Errors
/// A sentence for an operator.
pub(super) async fn at(
    url: &Url,
    expected: Option<Pin>,
    questions: &Questions,
) -> Result<Trust, String> {
    let probe = Probe::new(url, None, config::default_probe_limits())?;
    if url.scheme() == "http" {
        if expected.is_some() {
            return Err("--fingerprint has no meaning for plain http".to_owned());
        }
        let reached = reach(&probe).await?;
        probe.greet(reached).await.map_err(advised)?;
        return Ok(Trust::PlainHttp);
    }
    let (certificate, accepted) = see(&probe).await?;
    let seen = certificate.sha256;
    let signer = match (expected, accepted) {
        (Some(expected), _) if expected == seen => "it matches --fingerprint",
        (_, true) => "it is accepted by this machine's root certificates",
        (_, false) => "this machine's root certificates do not accept it",
    };
    let fields = shown(&CertificateSummary::new(&certificate, None), 2);
    questions.tell(&format!(
        "The PBX shows this certificate; {signer}:{fields}"
    ));
    match (expected, accepted) {
        (Some(expected), _) if expected != seen => Err(format!(
            "the certificate's SHA-256 is {seen}, and --fingerprint expects {expected}: if nobody has replaced the PBX's \
             certificate, another device may stand in between"
        )),
        // Pinned also if the system's roots accept it: the operator has named this one.
        (Some(_), _) => pin(&probe, seen).await,
        (None, true) => Ok(Trust::System),
        (None, false) => {
            let question = format!("Please {COMPARE}.\nIs this the one your PBX shows?");
            match questions.yes(&question)? {
                Some(true) => pin(&probe, seen).await,
                Some(false) => Err(
                    "then another device answers at this address; find out which, or correct the address"
                        .to_owned(),
                ),
                None => Err(format!(
                    "{COMPARE}; if they are equal, add --fingerprint {seen}"
                )),
            }
        }
    }
}

/// Fetches the certificate, and tells whether the system's roots accept it.
async fn see(probe: &Probe) -> Result<(LeafCertificate, bool), String> {
    let reached = reach(probe).await?;
    let handshake = match probe.shake_hands(reached, &PbxTrust::System).await {
        Ok(handshake) => handshake,
        // This machine has no root certificates. An empty list of pins accepts no certificate
        // either, and shows it.
        Err(_) => {
            let reached = reach(probe).await?;
            probe
                .shake_hands(reached, &PbxTrust::Pins(Vec::new()))
                .await?
        }
    };
    let certificate = match (handshake.certificate, &handshake.result) {
        (Some(certificate), _) => certificate,
        (None, Err(error)) => return Err(in_flags(&format!("{error}; {}", error.advice()))),
        (None, Ok(_)) => return Err("the PBX shows no certificate".to_owned()),
    };
    match certificate.flaw() {
        Some(flaw) => {
            let fields = shown(&CertificateSummary::new(&certificate, None), 2);
            Err(format!(
                "the PBX's certificate cannot be used: {}; {}{fields}",
                flaw.meaning(),
                flaw.advice()
            ))
        }
        None => Ok((certificate, handshake.result.is_ok())),
    }
}

/// Checks that the gateway will accept the certificate once it is pinned.
async fn pin(probe: &Probe, seen: Pin) -> Result<Trust, String> {
    let reached = reach(probe).await?;
    let trust = PbxTrust::Pins(vec![seen]);
    let handshake = probe.shake_hands(reached, &trust).await?;
    handshake.result.map_err(advised)?;
    Ok(Trust::Pinned(seen))
}

async fn reach(probe: &Probe) -> Result<crate::pbx::ProbeConnection, String> {
    let addresses = probe.resolve().await.map_err(advised)?;
    probe.reach(&addresses).await.map_err(advised)
}

fn advised(error: ProbeError) -> String {
    in_flags(&format!("{error}; {}", error.advice()))
}

/// Replaces configuration keys in a sentence by flags: the configuration is not written yet.
fn in_flags(sentence: &str) -> String {
    let words = [
        ("remove pbx.plain_http", "leave out --plain-http"),
        ("pbx.plain_http", "--plain-http"),
        ("within pbx.connect_timeout_ms", "in time"),
        ("within pbx.answer_timeout_ms", "in time"),
        ("add it to pbx.tls.pins", "give that one with --fingerprint"),
        ("(pbx.tls.pins)", "(--fingerprint)"),
        (" and pbx.tls;", ";"),
        ("pbx.url", "--url"),
    ];
    let with_flags = |text: String, (key, flag): (&str, &str)| text.replace(key, flag);
    words.into_iter().fold(sentence.to_owned(), with_flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::client::TlsFault;

    #[track_caller]
    fn names_no_key(sentence: &str) {
        let told = in_flags(sentence);
        assert!(!told.contains("pbx."), "{told}");
    }

    #[test]
    fn no_sentence_speaks_of_a_configuration_that_is_not_there() {
        let text = String::new;
        for error in [
            ProbeError::NoName(text()),
            ProbeError::NameSilent,
            ProbeError::Refused,
            ProbeError::Silent,
            ProbeError::Unreachable(text()),
            ProbeError::Dropped,
            ProbeError::TlsSilent,
            ProbeError::HttpSilent,
            ProbeError::NotHttp,
            ProbeError::SpeaksTls,
            ProbeError::Redirects(302),
        ] {
            names_no_key(&advised(error));
        }
        // The faults that can occur before a certificate is accepted, or once it is pinned.
        for fault in [
            TlsFault::NotPinned,
            TlsFault::Version1,
            TlsFault::WeakKey,
            TlsFault::BadSignature,
            TlsFault::Unreadable,
            TlsFault::NoVersion,
            TlsFault::NoCipher,
            TlsFault::NotTls,
            TlsFault::Other,
        ] {
            names_no_key(fault.advice());
        }
    }
}
