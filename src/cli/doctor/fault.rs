//! The failure of a step in one sentence: the error and its meaning, then what to change and where.
//!
//! Knows the sentence for each error. The advice is that of the log ([`PbxError::advice`]); this
//! adds the fingerprints, for which a log line has no room.

use crate::pbx::settings::PbxApi;
use crate::pbx::{PbxError, ProbeError, end_of};
use crate::tls::certificate::LeafCertificate;
use crate::tls::client::{TlsError, TlsFault};
use crate::tls::trust::PbxTrust;

/// Why a step failed.
pub(super) struct StepFailure {
    /// The error, and its meaning.
    pub(super) said: String,
    /// The advice: what to change, and where.
    pub(super) advice: String,
}

impl From<ProbeError> for StepFailure {
    fn from(error: ProbeError) -> Self {
        Self::new(error.to_string(), error.advice())
    }
}

impl StepFailure {
    fn new(said: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            advice: advice.into(),
        }
    }

    pub(super) fn of_url(message: &str) -> Self {
        Self::new(message, "correct pbx.url")
    }

    pub(super) fn of_trust(message: String) -> Self {
        Self::new(
            message,
            "pin the PBX's certificate (pbx.tls.pins), or install the system's root certificates (package ca-certificates)",
        )
    }

    /// The audit log did not take the line of the read, so nothing was read.
    pub(super) fn of_audit(message: &str) -> Self {
        Self::new(
            format!("the recording was not read, since the read cannot be written down: {message}"),
            "let this user write the folder doctor in audit.dir",
        )
    }

    pub(super) fn of_state(message: String) -> Self {
        Self::new(
            message,
            "correct state_dir: without it the gateway does not know how many logins the PBX has refused, and the fifth \
             one locks our address",
        )
    }

    /// A handshake that failed. A flaw that makes the certificate useless counts for more than
    /// missing trust: pinning would not help.
    pub(super) fn of_tls(
        error: &TlsError,
        certificate: Option<&LeafCertificate>,
        trust: &PbxTrust,
    ) -> Self {
        let Some(certificate) = certificate else {
            return Self::new(error.to_string(), error.fault.advice());
        };
        let seen = certificate.sha256;
        let fault = certificate.flaw().unwrap_or(error.fault);
        let key = certificate
            .fields
            .as_ref()
            .map_or("a key", |fields| &fields.key);
        let said = match (fault, trust) {
            (TlsFault::Version1, _) => {
                format!("the certificate cannot be used: {}", fault.meaning())
            }
            (TlsFault::WeakKey, _) => {
                format!("the certificate cannot be used: {}, {key}", fault.meaning())
            }
            (TlsFault::NotPinned, PbxTrust::Pins(pins)) => {
                let pins: Vec<_> = pins.iter().map(ToString::to_string).collect();
                let expected = pins.join(" or ");
                format!(
                    "the certificate is not the pinned one: its SHA-256 is {seen}, and pbx.tls.pins expects {expected}"
                )
            }
            _ => error.to_string(),
        };
        let advice = match fault {
            TlsFault::UnknownIssuer | TlsFault::CaCertificate | TlsFault::WrongName => {
                format!(
                    "{}; to pin it, write under [pbx.tls]: pins = [\"{seen}\"]",
                    fault.advice()
                )
            }
            _ => fault.advice().to_owned(),
        };
        Self::new(said, advice)
    }

    /// A login that failed or was not tried.
    pub(super) fn of_login(error: &PbxError, api: PbxApi) -> Self {
        let fault = Self::of_pbx(error, api);
        let said = match error {
            PbxError::HeldOff { retry_after, .. } => match end_of(*retry_after) {
                Some(end) => format!("{} (until {end})", fault.said),
                None => fault.said,
            },
            _ => fault.said,
        };
        let fault = Self { said, ..fault };
        match error {
            PbxError::HeldOff { .. } | PbxError::LoginStopped => Self::new(
                fault.said,
                format!(
                    "{}; once it is mended, --retry-login allows one more try",
                    fault.advice
                ),
            ),
            _ => fault,
        }
    }

    pub(super) fn of_pbx(error: &PbxError, api: PbxApi) -> Self {
        let said = match error {
            PbxError::Refused { operation, refusal } if !refusal.code.is_empty() => {
                let number = match api {
                    PbxApi::PSeries => "errcode",
                    _ => "errno",
                };
                let (operation, code) = (operation.as_str(), &refusal.code);
                let meaning = refusal.class.meaning();
                format!("the PBX refused the {operation} with {number} {code}: {meaning}")
            }
            PbxError::Transport { source, .. } => source.to_string(),
            _ => error.to_string(),
        };
        Self::new(said, error.advice())
    }
}
