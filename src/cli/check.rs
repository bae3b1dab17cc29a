//! `wavegate check`: prints every mistake in a configuration, and notes on it.

use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(path: &Path) -> ExitCode {
    match super::load(path) {
        Ok(parts) => {
            super::print(format_args!(
                "{}: no mistakes (the PBX was not asked)",
                path.display()
            ));
            for line in parts.warnings.lines() {
                super::print(format_args!("warning: {line}"));
            }
            let policies = &parts.policy;
            if !policies.is_configured() {
                super::print("note: there is no policy.file, so nobody may hear anything");
            }
            for policy in policies.forbidding_only_with_tenant() {
                super::print(format_args!(
                    "note: policy {policy} (line {}) forbids nothing to a principal without a tenant, and an empty tenant \
                     counts as none; to forbid it to them as well, write `unless {{ principal has tenant && … }}`",
                    policies.line_of(policy).unwrap_or_default()
                ));
            }
            for (pbx, earlier) in parts.never_meant() {
                super::print(format_args!(
                    "note: a request for /recordings without a PBX's name never reaches the PBX {}: {} stands before it \
                     and has all its names; give that one names_until, or use /pbx/{}/recordings",
                    pbx.name, earlier.name, pbx.name
                ));
            }
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
