//! The examination of one PBX, step by step, from its name to the first bytes of a recording.
//!
//! Knows the order of the steps. After a failure no further step is tried, except that a session
//! that was opened is closed. Does not know how the report is shown. No step is tried twice, and no
//! credential is sent before the configured trust has accepted the peer: the steps before the login
//! use [`Probe`], which has no credential.

use std::net::SocketAddr;
use std::path::Path;

use serde::Serialize;

use crate::audit::{AuditLog, Recorded, SystemRead};
use crate::metrics::Metrics;
use crate::pbx::settings::{PbxApi, PbxSettings};
use crate::pbx::{Inspection, Pbx, PbxError, Probe, ProbeConnection, ProbeError, RecordingSample};
use crate::recording::RecordingName;
use crate::tls::certificate::LeafCertificate;
use crate::tls::trust::PbxTrust;

use crate::cli::doctor::fault::StepFailure;

/// The report on one PBX. Contains no secret.
#[derive(Debug, Serialize)]
pub(crate) struct DoctorReport {
    pub(crate) name: String,
    pub(crate) api: &'static str,
    pub(crate) url: String,
    pub(crate) ok: bool,
    /// The steps that were tried, in order.
    pub(crate) steps: Vec<ExaminationStep>,
    /// The certificate that the PBX presented, also if it is not accepted.
    pub(crate) certificate: Option<CertificateSummary>,
}

/// One step of the examination.
#[derive(Debug, Serialize)]
pub(crate) struct ExaminationStep {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    /// The result; for a failure, the error and its meaning.
    pub(crate) detail: String,
    /// After a failure: what to change, and where.
    pub(crate) advice: Option<String>,
}

/// The fields of a certificate that a person wants to see.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CertificateSummary {
    pub(crate) subject: Option<String>,
    /// RFC 3339.
    pub(crate) not_after: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) x509_version: Option<u32>,
    /// The fingerprint to pin, 64 hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether the configured trust accepts it.
    pub(crate) trusted: bool,
    /// The version of TLS; `None` if the handshake did not finish.
    pub(crate) tls: Option<&'static str>,
}

/// The parameters of an examination.
#[derive(Clone, Copy)]
pub(crate) struct ExaminationRequest<'r> {
    /// The folder in which logins are remembered.
    pub(crate) state_dir: Option<&'r Path>,
    /// The recording to read the beginning of.
    pub(crate) recording: RecordingToTry<'r>,
    /// The log that takes a line before a recording is read; or why there is no such log.
    pub(crate) audit: Result<&'r AuditLog, &'r str>,
    /// Log in although the PBX refused the last login: the operator has changed something there.
    pub(crate) forgive: bool,
}

/// The recording that this PBX is tried with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RecordingToTry<'r> {
    /// None: no recording was named.
    Nothing,
    /// None: the named recording belongs to the PBX of this name.
    Elsewhere(&'r str),
    /// This one.
    Recording(&'r RecordingName),
}

/// Tries one PBX.
pub(crate) async fn examine(pbx: &PbxSettings, request: ExaminationRequest<'_>) -> DoctorReport {
    let mut report = DoctorReport {
        name: pbx.name.clone(),
        api: pbx.api.as_str(),
        url: pbx.url.as_str().trim_end_matches('/').to_owned(),
        ok: true,
        steps: Vec::new(),
        certificate: None,
    };
    // `None` means that a step failed; the report has it already.
    if report.go_there(pbx).await.is_some() {
        let _ = report.use_it(pbx, request).await;
    }
    report
}

impl DoctorReport {
    /// Adds a step to the report. `None` means that it failed, and ends the examination.
    fn note<T>(
        &mut self,
        name: &'static str,
        result: Result<(T, String), StepFailure>,
    ) -> Option<T> {
        let (value, detail, advice) = match result {
            Ok((value, detail)) => (Some(value), detail, None),
            Err(StepFailure { said, advice }) => (None, said, Some(advice)),
        };
        self.ok &= value.is_some();
        self.steps.push(ExaminationStep {
            name,
            ok: value.is_some(),
            detail,
            advice,
        });
        value
    }

    /// Adds a step that was not tried.
    fn skip(&mut self, name: &'static str, detail: &str) {
        self.note(name, Ok(((), detail.to_owned())));
    }

    /// The steps that need no credential.
    async fn go_there(&mut self, pbx: &PbxSettings) -> Option<()> {
        let probe = Probe::new(&pbx.url, pbx.bind_address, (&pbx.limits).into());
        let probe = match probe {
            Ok(probe) => probe,
            Err(message) => return self.note("resolve", Err(StepFailure::of_url(message))),
        };
        let found = probe.resolve().await;
        let addresses = self.note(
            "resolve",
            found
                .map(|found| (found.clone(), listed(&found)))
                .map_err(StepFailure::from),
        )?;
        let reached = probe.reach(&addresses).await;
        let reached = self.note(
            "connect",
            reached
                .map(|reached| {
                    let detail = way(&reached, addresses.len());
                    (reached, detail)
                })
                .map_err(StepFailure::from),
        )?;
        match &pbx.trust {
            Some(trust) => self.see_certificate(&probe, reached, trust).await,
            None => {
                let answered = probe.greet(reached).await;
                let detail = "answered, in plain text that everybody on the way can read";
                self.note(
                    "http",
                    answered
                        .map(|()| ((), detail.to_owned()))
                        .map_err(StepFailure::from),
                )
            }
        }
    }

    async fn see_certificate(
        &mut self,
        probe: &Probe,
        reached: ProbeConnection,
        trust: &PbxTrust,
    ) -> Option<()> {
        let handshake = match probe.shake_hands(reached, trust).await {
            Ok(handshake) => handshake,
            Err(message) => return self.note("tls", Err(StepFailure::of_trust(message))),
        };
        let (certificate, result) = (handshake.certificate, handshake.result);
        self.certificate = certificate
            .as_ref()
            .map(|certificate| CertificateSummary::new(certificate, result.as_ref().ok().copied()));
        let told = match result {
            Ok(version) => Ok(((), format!("{version}, {}", accepted_by(trust)))),
            Err(ProbeError::Tls(error)) => {
                Err(StepFailure::of_tls(&error, certificate.as_ref(), trust))
            }
            Err(error) => Err(error.into()),
        };
        self.note("tls", told)
    }

    /// Login, recording, logout.
    async fn use_it(&mut self, pbx: &PbxSettings, request: ExaminationRequest<'_>) -> Option<()> {
        let started = Pbx::start(pbx, (request.state_dir, None), None, &Metrics::default())
            .map_err(StepFailure::of_state);
        let client = match started {
            Ok(client) => client,
            Err(fault) => return self.note("login", Err(fault)),
        };
        if request.forgive {
            client.forgive();
        }
        let session = client.inspect().await;
        let session = self.note(
            "login",
            session
                .map(|session| {
                    let accepted = match session.logins().rival() {
                        Some(rival) => format!("accepted, but {rival}"),
                        None => "accepted".to_owned(),
                    };
                    (session, accepted)
                })
                .map_err(|error| StepFailure::of_login(&error, pbx.api)),
        )?;
        if let Some(listed) = session.list().await {
            self.note(
                "list",
                listed
                    .map(|()| ((), "allowed".to_owned()))
                    .map_err(|error| StepFailure::of_pbx(&error, pbx.api)),
            );
        }
        match request.recording {
            RecordingToTry::Recording(recording) => {
                let read = SystemRead::new("doctor", &pbx.name, recording);
                if let Some(read) = self.record(request.audit, read).await {
                    let _ = self.listen(&session, &read, pbx.api).await;
                }
            }
            RecordingToTry::Elsewhere(other) => {
                let detail = format!("skipped: the name belongs to the PBX {other}");
                self.skip("recording", &detail);
            }
            RecordingToTry::Nothing => {
                self.skip("recording", "not tried; name one with --recording")
            }
        }
        let given_back = session.log_out().await?;
        self.note(
            "logout",
            given_back
                .map(|()| ((), "the token was given back".to_owned()))
                .map_err(|error| StepFailure::of_pbx(&error, pbx.api)),
        )
    }

    /// Writes the line of a read into the audit log. Success adds no step to the report.
    async fn record(
        &mut self,
        audit: Result<&AuditLog, &str>,
        read: SystemRead,
    ) -> Option<Recorded<SystemRead>> {
        let recorded = match audit {
            Ok(audit) => audit
                .record_system(read)
                .await
                .map_err(|error| error.to_string()),
            Err(message) => Err(message.to_owned()),
        };
        match recorded {
            Ok(recorded) => Some(recorded),
            Err(message) => self.note("recording", Err(StepFailure::of_audit(&message))),
        }
    }

    async fn listen(
        &mut self,
        session: &Inspection<'_>,
        read: &Recorded<SystemRead>,
        api: PbxApi,
    ) -> Option<()> {
        let fault = |error: PbxError| StepFailure::of_pbx(&error, api);
        let ticket = session.ticket(read).await.map_err(fault);
        let ticket = self.note("ticket", ticket.map(|ticket| (ticket, "given".to_owned())))?;
        let sample = session.sample(read, ticket).await.map_err(fault);
        self.note("recording", sample.map(|sample| ((), heard(&sample))))
    }
}

impl CertificateSummary {
    /// Takes the fields of a certificate. `tls` is the version, if the certificate was accepted.
    pub(crate) fn new(certificate: &LeafCertificate, tls: Option<&'static str>) -> Self {
        let fields = certificate.fields.as_ref();
        Self {
            subject: fields.map(|fields| fields.subject.clone()),
            not_after: fields.map(|fields| fields.not_after.to_string()),
            key: fields.map(|fields| fields.key.clone()),
            x509_version: fields.map(|fields| fields.version),
            sha256: certificate.sha256.to_string(),
            trusted: tls.is_some(),
            tls,
        }
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    addresses.join(", ")
}

/// The own address, and the PBX's address if it has several.
fn way(reached: &ProbeConnection, choices: usize) -> String {
    let own = reached.own.map(|own| format!("from our address {own}"));
    let peer = (choices > 1).then(|| format!("to {}", reached.peer.ip()));
    let parts: Vec<_> = peer.into_iter().chain(own).collect();
    parts.join(" ")
}

fn accepted_by(trust: &PbxTrust) -> &'static str {
    match trust {
        PbxTrust::System => "the certificate is accepted by the system's roots",
        PbxTrust::Ca(_) => "the certificate is accepted by pbx.tls.ca_file",
        PbxTrust::Pins(_) => "the certificate is one of pbx.tls.pins",
    }
}

fn heard(sample: &RecordingSample) -> String {
    let kind = match (&sample.wave, sample.media_type) {
        (Some(wave), _) => format!("WAV, {wave}"),
        (None, "audio/wav") => "WAV without a format at its beginning".to_owned(),
        (None, _) => "MP3".to_owned(),
    };
    match sample.length {
        Some(length) => format!("{kind}, {length} bytes"),
        None => kind,
    }
}
