//! A look at the PBX before anything is trusted to it.
//!
//! Knows when a certificate is accepted: by the system's roots, by a fingerprint that was given, or by somebody's word.
//! Sends no credential: [`Probe`] has none.

use url::Url;

use super::questions::Questions;
use crate::cli::doctor::examination::SeenCertificate;
use crate::cli::doctor::shown;
use crate::config;
use crate::pbx::{Probe, ProbeError};
use crate::tls::certificate::Certificate;
use crate::tls::pin::Pin;
use crate::tls::trust::PbxTrust;

const COMPARE: &str = "compare the SHA-256 with what a browser shows on the PBX's own network (details of the certificate)";

/// How the PBX will be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    PlainHttp,
    System,
    Pinned(Pin),
}

/// Connects, shows the certificate, and finds out whether it is the right one.
///
/// # Errors
/// A sentence for an operator.
pub(super) async fn at(
    url: &Url,
    expected: Option<Pin>,
    questions: &Questions,
) -> Result<Trust, String> {
    let probe = Probe::new(url, None, &config::default_limits())?;
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
        (_, false) => "nobody whom this machine trusts vouches for it",
    };
    let fields = shown(&SeenCertificate::new(&certificate, None), 2);
    questions.tell(&format!(
        "The PBX shows this certificate; {signer}:{fields}"
    ));
    match (expected, accepted) {
        (Some(expected), _) if expected != seen => Err(format!(
            "the certificate's SHA-256 is {seen}, and --fingerprint expects {expected}: if nobody exchanged the PBX's \
             certificate, something may stand in between"
        )),
        // Also where the roots accept it: who names one certificate wants that one.
        (Some(_), _) => pin(&probe, seen).await,
        (None, true) => Ok(Trust::System),
        (None, false) => {
            let question = format!("Please {COMPARE}.\nIs this the one your PBX shows?");
            match questions.yes(&question)? {
                Some(true) => pin(&probe, seen).await,
                Some(false) => Err(
                    "then something else answers at this address; find out what, or correct it"
                        .to_owned(),
                ),
                None => Err(format!(
                    "{COMPARE}; if it is the same, add --fingerprint {seen}"
                )),
            }
        }
    }
}

/// The certificate, and whether the system's roots accept it.
async fn see(probe: &Probe) -> Result<(Certificate, bool), String> {
    let reached = reach(probe).await?;
    let handshake = match probe.shake_hands(reached, &PbxTrust::System).await {
        Ok(handshake) => handshake,
        // This machine has no root certificates. With no pin, nothing is accepted either.
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
            let fields = shown(&SeenCertificate::new(&certificate, None), 2);
            Err(format!(
                "the PBX's certificate cannot be used: {}; {}{fields}",
                flaw.meaning(),
                flaw.advice()
            ))
        }
        None => Ok((certificate, handshake.result.is_ok())),
    }
}

/// Makes sure that the gateway will accept the certificate, once it is pinned.
async fn pin(probe: &Probe, seen: Pin) -> Result<Trust, String> {
    let reached = reach(probe).await?;
    let trust = PbxTrust::Pins(vec![seen]);
    let handshake = probe.shake_hands(reached, &trust).await?;
    handshake.result.map_err(advised)?;
    Ok(Trust::Pinned(seen))
}

async fn reach(probe: &Probe) -> Result<crate::pbx::Reached, String> {
    let addresses = probe.resolve().await.map_err(advised)?;
    probe.reach(&addresses).await.map_err(advised)
}

fn advised(error: ProbeError) -> String {
    in_flags(&format!("{error}; {}", error.advice()))
}

/// A sentence that names keys of the configuration, which is not written yet, with the flags instead.
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
        // Those that can be met before it is known which certificate is the right one, or once it is pinned.
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
