//! A look at the PBX before anything is trusted to it.
//!
//! Knows when a certificate is accepted: by the system's roots, by a fingerprint that was given, or by somebody's word.
//! Sends no credential: [`Probe`] has none.

use url::Url;

use super::questions::Questions;
use crate::cli::doctor::shown;
use crate::config::{PbxLimits, PbxTrust, Pin};
use crate::doctor::SeenCertificate;
use crate::pbx::{Certificate, Probe, ProbeError};

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
    let probe = Probe::new(url, None, &PbxLimits::default())?;
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
    let signer = match accepted {
        true => "it is accepted by this machine's root certificates",
        false => "nobody whom this machine trusts vouches for it",
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
        (_, true) => Ok(Trust::System),
        (Some(_), false) => pin(&probe, seen).await,
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
        (None, Err(error)) => return Err(format!("{error}; {}", error.advice())),
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
    format!("{error}; {}", error.advice())
}
