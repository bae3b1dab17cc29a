//! What `wavegate doctor` finds out: a PBX tried step by step, from its name to the first bytes of a recording.
//!
//! Knows the order of the steps, and that the first failure is the last step. Does not know how it is shown. Nothing is
//! tried twice, and no credential leaves before the configured trust has accepted the peer: the steps up to that are
//! those of [`Probe`], which has none.

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

use crate::cli::doctor::fault::Fault;

/// What was found out about one PBX. Holds no secret.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) name: String,
    pub(crate) api: &'static str,
    pub(crate) url: String,
    pub(crate) ok: bool,
    /// What was tried, in order.
    pub(crate) steps: Vec<Step>,
    /// What the PBX presented, also where it is not accepted.
    pub(crate) certificate: Option<SeenCertificate>,
}

/// One step.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) ok: bool,
    /// What was found; of a failure, what was said and what it means.
    pub(crate) detail: String,
    /// What to change and where, after a failure.
    pub(crate) advice: Option<String>,
}

/// A certificate, as far as somebody wants to see it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SeenCertificate {
    pub(crate) subject: Option<String>,
    /// RFC 3339.
    pub(crate) not_after: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) x509_version: Option<u32>,
    /// What to pin, 64 hexadecimal digits.
    pub(crate) sha256: String,
    /// Whether the configured trust accepts it.
    pub(crate) trusted: bool,
    /// The version of TLS; only a handshake that was finished tells.
    pub(crate) tls: Option<&'static str>,
}

/// What is asked of a PBX.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    /// Where logins are remembered.
    pub(crate) state_dir: Option<&'r Path>,
    /// The recording to read the beginning of.
    pub(crate) recording: Wanted<'r>,
    /// Has each read of a recording written down before it begins; or why there is no such log.
    pub(crate) audit: Result<&'r AuditLog, &'r str>,
    /// Log in even though the PBX refused us: the operator has changed something there.
    pub(crate) forgive: bool,
}

/// A recording to try.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'r> {
    /// Nobody named one.
    Nothing,
    /// The one that was named is of the PBX of this name.
    Elsewhere(&'r str),
    /// This one.
    Recording(&'r RecordingName),
}

/// Tries one PBX.
pub(crate) async fn examine(pbx: &PbxSettings, request: Request<'_>) -> Report {
    let mut report = Report {
        name: pbx.name.clone(),
        api: pbx.api.as_str(),
        url: pbx.url.as_str().trim_end_matches('/').to_owned(),
        ok: true,
        steps: Vec::new(),
        certificate: None,
    };
    // `None` means that a step failed, which the report tells.
    if report.go_there(pbx).await.is_some() {
        let _ = report.use_it(pbx, request).await;
    }
    report
}

impl Report {
    /// Notes how a step went; `None` ends the examination.
    fn note<T>(&mut self, name: &'static str, result: Result<(T, String), Fault>) -> Option<T> {
        let (value, detail, advice) = match result {
            Ok((value, detail)) => (Some(value), detail, None),
            Err(Fault { said, advice }) => (None, said, Some(advice)),
        };
        self.ok &= value.is_some();
        self.steps.push(Step {
            name,
            ok: value.is_some(),
            detail,
            advice,
        });
        value
    }

    /// Notes a step that nobody asked for.
    fn skip(&mut self, name: &'static str, detail: &str) {
        self.note(name, Ok(((), detail.to_owned())));
    }

    /// All that needs no credential.
    async fn go_there(&mut self, pbx: &PbxSettings) -> Option<()> {
        let probe = Probe::new(&pbx.url, pbx.bind_address, &pbx.limits);
        let probe = match probe {
            Ok(probe) => probe,
            Err(message) => return self.note("resolve", Err(Fault::of_url(message))),
        };
        let found = probe.resolve().await;
        let addresses = self.note(
            "resolve",
            found
                .map(|found| (found.clone(), listed(&found)))
                .map_err(Fault::from),
        )?;
        let reached = probe.reach(&addresses).await;
        let reached = self.note(
            "connect",
            reached
                .map(|reached| {
                    let detail = way(&reached, addresses.len());
                    (reached, detail)
                })
                .map_err(Fault::from),
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
                        .map_err(Fault::from),
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
            Err(message) => return self.note("tls", Err(Fault::of_trust(message))),
        };
        let (certificate, result) = (handshake.certificate, handshake.result);
        self.certificate = certificate
            .as_ref()
            .map(|certificate| SeenCertificate::new(certificate, result.as_ref().ok().copied()));
        let told = match result {
            Ok(version) => Ok(((), format!("{version}, {}", accepted_by(trust)))),
            Err(ProbeError::Tls(error)) => Err(Fault::of_tls(&error, certificate.as_ref(), trust)),
            Err(error) => Err(error.into()),
        };
        self.note("tls", told)
    }

    /// Login, recording, logout.
    async fn use_it(&mut self, pbx: &PbxSettings, request: Request<'_>) -> Option<()> {
        let started =
            Pbx::start(pbx, request.state_dir, None, &Metrics::default()).map_err(Fault::of_state);
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
                .map_err(|error| Fault::of_login(&error, pbx.api)),
        )?;
        if let Some(listed) = session.list().await {
            self.note(
                "list",
                listed
                    .map(|()| ((), "allowed".to_owned()))
                    .map_err(|error| Fault::of_pbx(&error, pbx.api)),
            );
        }
        match request.recording {
            Wanted::Recording(recording) => {
                let read = SystemRead::new("doctor", &pbx.name, recording);
                if let Some(read) = self.record(request.audit, read).await {
                    let _ = self.listen(&session, &read, pbx.api).await;
                }
            }
            Wanted::Elsewhere(other) => {
                let detail = format!("skipped: the name belongs to the PBX {other}");
                self.skip("recording", &detail);
            }
            Wanted::Nothing => self.skip("recording", "not tried; name one with --recording"),
        }
        let given_back = session.log_out().await?;
        self.note(
            "logout",
            given_back
                .map(|()| ((), "the token was given back".to_owned()))
                .map_err(|error| Fault::of_pbx(&error, pbx.api)),
        )
    }

    /// Has the read of a recording written down. Success is no step of its own.
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
            Err(message) => self.note("recording", Err(Fault::of_audit(&message))),
        }
    }

    async fn listen(
        &mut self,
        session: &Inspection<'_>,
        read: &Recorded<SystemRead>,
        api: PbxApi,
    ) -> Option<()> {
        let fault = |error: PbxError| Fault::of_pbx(&error, api);
        let ticket = session.ticket(read).await.map_err(fault);
        let ticket = self.note("ticket", ticket.map(|ticket| (ticket, "given".to_owned())))?;
        let sample = session.sample(read, ticket).await.map_err(fault);
        self.note("recording", sample.map(|sample| ((), heard(&sample))))
    }
}

impl SeenCertificate {
    /// `tls` is there where the certificate was accepted.
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

/// From where to where; the peer only where there was a choice.
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
