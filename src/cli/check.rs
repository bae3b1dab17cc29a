//! `wavegate check`.

use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(path: &Path) -> ExitCode {
    match super::load(path) {
        Ok(_) => {
            super::print(format_args!(
                "{}: no mistakes (the PBX was not asked)",
                path.display()
            ));
            ExitCode::SUCCESS
        }
        Err(code) => code,
    }
}
