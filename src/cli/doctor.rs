//! `wavegate doctor`: tries each PBX step by step, and says in one sentence which step fails and
//! what to change.

pub(super) mod examination;
mod fault;

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::ConfigFile;
use crate::app::GatewayParts;
use crate::audit::AuditLog;
use crate::audit::settings::AuditSettings;
use crate::cli::doctor::examination::{
    CertificateSummary, DoctorReport, ExaminationRequest, ExaminationStep, RecordingToTry,
};
use crate::fleet::Fleet;
use crate::metrics::Metrics;
use crate::pbx::settings::PbxSettings;
use crate::recording::RecordingName;

/// Longest line of the output.
const MAX_COLUMNS: usize = 100;
/// Column at which the details of a step begin.
const DETAIL_COLUMN: usize = 22;

/// `wavegate doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// The PBX to try. Default: all PBXs of the configuration.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// A recording to read the first bytes of, by its name in the PBX's call list.
    #[arg(long, value_name = "NAME")]
    recording: Option<RecordingName>,
    /// Log in once more although the PBX refused the last login, because its reason has been
    /// removed.
    #[arg(long)]
    retry_login: bool,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn run(self) -> ExitCode {
        let parts = match super::load(&self.file.config) {
            Ok(parts) => parts,
            Err(code) => return code,
        };
        // Before the first login: a mistake in the configuration could cost one.
        super::warn(&parts);
        match super::runtime() {
            Ok(runtime) => runtime.block_on(self.examine(&parts)),
            Err(error) => super::fail(error),
        }
    }

    async fn examine(&self, parts: &GatewayParts) -> ExitCode {
        let pbxs = || parts.pbxs.iter().filter(|pbx| self.looks_at(pbx));
        if pbxs().next().is_none() {
            return super::fail("no such PBX in the configuration");
        }
        // Without --pbx, the recording belongs to the PBX that a request without a PBX's name would
        // be for.
        let holds = |name| pbxs().find(|pbx| self.pbx.is_some() || pbx.names.holds(name));
        let recording = self.recording.as_ref().map(|name| (name, holds(name)));
        if let Some((_, None)) = recording {
            return super::fail(
                "no PBX has recordings of that time, by names_from and names_until; name one with --pbx",
            );
        }
        let audit = match self.recording.as_ref().and(parts.audit.as_ref()) {
            None => Ok(AuditLog::default()),
            Some(settings) => own_log(settings),
        };
        let mut reports = Vec::new();
        for pbx in pbxs() {
            let request = ExaminationRequest {
                state_dir: Some(&parts.config.state_dir),
                recording: match recording {
                    Some((name, Some(owner))) if owner.name == pbx.name => {
                        RecordingToTry::Recording(name)
                    }
                    Some((_, Some(owner))) => RecordingToTry::Elsewhere(&owner.name),
                    _ => RecordingToTry::Nothing,
                },
                audit: audit.as_ref().map_err(String::as_str),
                forgive: self.retry_login,
            };
            let report = examination::examine(pbx, request).await;
            if !self.json {
                if !reports.is_empty() {
                    super::print("");
                }
                super::print(text(&report));
            }
            reports.push(report);
        }
        if let Ok(audit) = &audit {
            audit.close().await;
        }
        let store = match &parts.fleet {
            Some(settings) if self.pbx.is_none() => Some(Fleet::try_store(settings).await),
            _ => None,
        };
        let ok = reports.iter().all(|report| report.ok) && !matches!(store, Some(Err(_)));
        let store = store.map(store_report);
        if self.json {
            super::print(match store {
                None => json!({ "ok": ok, "pbxs": reports }),
                Some(step) => json!({ "ok": ok, "pbxs": reports, "shared": step }),
            });
        } else if let Some(step) = store {
            super::print(format_args!("\nshared store{}", line(&step)));
        }
        match ok {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn looks_at(&self, pbx: &PbxSettings) -> bool {
        self.pbx.as_ref().is_none_or(|wanted| *wanted == pbx.name)
    }
}

/// Opens the audit log of this command. It is a log of its own in the folder `doctor`, since a
/// running gateway holds the lock of the other one.
///
/// # Errors
/// A sentence for an operator, when the log cannot be written.
fn own_log(settings: &AuditSettings) -> Result<AuditLog, String> {
    let settings = AuditSettings {
        dir: settings.dir.join("doctor"),
        ..settings.clone()
    };
    AuditLog::start(&settings, 1, Metrics::default().audit())
}

/// The look at the store of a fleet, as a step like those of a PBX.
fn store_report(tried: Result<(), String>) -> ExaminationStep {
    let (ok, detail, advice) = match tried {
        Ok(()) => (true, "it answers, and key_file fits".to_owned(), None),
        Err(why) => (false, why, Some("look at [shared]".to_owned())),
    };
    ExaminationStep {
        name: "store",
        ok,
        detail,
        advice,
    }
}

/// A step as a line of the output.
fn line(step: &ExaminationStep) -> String {
    let ExaminationStep {
        name, ok, detail, ..
    } = step;
    let outcome = if *ok { "ok" } else { "FAILED" };
    let sentence = match &step.advice {
        Some(advice) => format!("{detail}; {advice}"),
        None => detail.clone(),
    };
    format!("\n  {name:11}{outcome:9}{}", wrapped(&sentence))
}

fn text(report: &DoctorReport) -> String {
    let mut text = format!("{} ({} at {})", report.name, report.api, report.url);
    for step in &report.steps {
        text.push_str(&line(step));
        if step.name == "tls"
            && let Some(certificate) = &report.certificate
        {
            let _ = write!(text, "{}", shown(certificate, DETAIL_COLUMN));
        }
    }
    text
}

/// The fields of a certificate, a line for each.
pub(super) fn shown(certificate: &CertificateSummary, indent: usize) -> String {
    let unreadable = || "cannot be read".to_owned();
    let day = |time: &String| time.split('T').next().unwrap_or_default().to_owned();
    let lines = [
        (
            "subject",
            certificate.subject.clone().unwrap_or_else(unreadable),
        ),
        (
            "expires",
            certificate.not_after.as_ref().map_or_else(unreadable, day),
        ),
        ("sha256", certificate.sha256.clone()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        let _ = write!(text, "\n{:indent$}{name:9}{value}", "");
    }
    text
}

/// Wraps a sentence into lines below each other. A `key = value` in it stays on one line.
fn wrapped(sentence: &str) -> String {
    const JOINT: &str = "\0=\0";
    let sentence = sentence.replace(" = ", JOINT);
    let mut text = String::new();
    let mut column = DETAIL_COLUMN;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > DETAIL_COLUMN && column + 1 + length > MAX_COLUMNS {
            let _ = write!(text, "\n{:DETAIL_COLUMN$}", "");
            column = DETAIL_COLUMN;
        } else if column > DETAIL_COLUMN {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.replace(JOINT, " = ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words() {
        let long = "x".repeat(MAX_COLUMNS - DETAIL_COLUMN - 2);
        let indent = " ".repeat(DETAIL_COLUMN);
        assert_eq!(
            wrapped(&format!("{long} a b")),
            format!("{long} a\n{indent}b")
        );
        assert_eq!(wrapped(&"y".repeat(200)), "y".repeat(200));
        let line = format!("k = {}", "v".repeat(MAX_COLUMNS - DETAIL_COLUMN - 5));
        assert_eq!(
            wrapped(&format!("so: {line}")),
            format!("so:\n{indent}{line}")
        );
    }
}
