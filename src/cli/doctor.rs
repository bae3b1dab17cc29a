//! `wavegate doctor`: what is wrong between here and each PBX, in a sentence that says what to change.

pub(super) mod examination;
mod fault;

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::ConfigFile;
use crate::app::GatewayParts;
use crate::cli::doctor::examination::{Report, Request, SeenCertificate, Step, Wanted};
use crate::pbx::settings::PbxSettings;
use crate::recording::RecordingName;

/// Where a line ends.
const WIDTH: usize = 100;
/// Where the details of a step begin.
const INDENT: usize = 22;

/// `wavegate doctor`.
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    file: ConfigFile,
    /// The PBX to look at; all of the configuration otherwise.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// A recording to read the first bytes of, as the PBX's call list names it.
    #[arg(long, value_name = "NAME")]
    recording: Option<RecordingName>,
    /// Log in once more although the PBX refused us before: what it complained of has been mended.
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
        // Before they cost a login.
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
        // Without --pbx a recording is that of the PBX which a request without a PBX's name means.
        let holds = |name| pbxs().find(|pbx| self.pbx.is_some() || pbx.names.holds(name));
        let recording = self.recording.as_ref().map(|name| (name, holds(name)));
        if let Some((_, None)) = recording {
            return super::fail(
                "no PBX has recordings of that time, by names_from and names_until; name one with --pbx",
            );
        }
        let mut reports = Vec::new();
        for pbx in pbxs() {
            let request = Request {
                state_dir: Some(&parts.config.state_dir),
                recording: match recording {
                    Some((name, Some(owner))) if owner.name == pbx.name => Wanted::Recording(name),
                    Some((_, Some(owner))) => Wanted::Elsewhere(&owner.name),
                    _ => Wanted::Nothing,
                },
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
        let ok = reports.iter().all(|report| report.ok);
        if self.json {
            super::print(json!({ "ok": ok, "pbxs": reports }));
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

fn text(report: &Report) -> String {
    let mut text = format!("{} ({} at {})", report.name, report.api, report.url);
    for step in &report.steps {
        let Step {
            name, ok, detail, ..
        } = step;
        let outcome = if *ok { "ok" } else { "FAILED" };
        let sentence = match &step.advice {
            Some(advice) => format!("{detail}; {advice}"),
            None => detail.clone(),
        };
        let _ = write!(text, "\n  {name:11}{outcome:9}{}", wrapped(&sentence));
        if *name == "tls"
            && let Some(certificate) = &report.certificate
        {
            let _ = write!(text, "{}", shown(certificate, INDENT));
        }
    }
    text
}

/// A certificate, a line for each field.
pub(super) fn shown(certificate: &SeenCertificate, indent: usize) -> String {
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

/// A sentence in lines, each below the other. A line of a configuration in it stays whole.
fn wrapped(sentence: &str) -> String {
    const JOINT: &str = "\0=\0";
    let sentence = sentence.replace(" = ", JOINT);
    let mut text = String::new();
    let mut column = INDENT;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > INDENT && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{:INDENT$}", "");
            column = INDENT;
        } else if column > INDENT {
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
        let long = "x".repeat(WIDTH - INDENT - 2);
        let indent = " ".repeat(INDENT);
        assert_eq!(
            wrapped(&format!("{long} a b")),
            format!("{long} a\n{indent}b")
        );
        assert_eq!(wrapped(&"y".repeat(200)), "y".repeat(200));
        let line = format!("k = {}", "v".repeat(WIDTH - INDENT - 5));
        assert_eq!(
            wrapped(&format!("so: {line}")),
            format!("so:\n{indent}{line}")
        );
    }
}
