//! The program: it runs the command of its arguments and returns the exit code.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// The system's allocator merges its small free blocks whenever a block of a kilobyte is asked for,
/// which nearly every request does several times.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    wavegate::cli::run()
}
