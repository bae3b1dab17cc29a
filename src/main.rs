//! The program: it runs the command of its arguments and returns the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    wavegate::cli::run()
}
