//! The commands.
//!
//! Knows arguments and exit codes: 0 for success, 78 for a configuration with mistakes (`EX_CONFIG`
//! of sysexits), 2 for wrong arguments (clap's own), and 1 for everything else.

mod audit;
mod check;
#[cfg(feature = "simulator")]
mod demo;
mod doctor;
mod explain;
mod health;
mod init;
mod mint;
mod serve;
#[cfg(feature = "simulator")]
mod simulate;

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aws_lc_rs::rand;
use clap::{Args, CommandFactory, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::app::GatewayParts;
use crate::config::Problems;
use crate::secret::Secret;
use crate::secret_files::{SecretFiles, oddities};

/// Exit code for a configuration with mistakes.
const EXIT_CONFIG: u8 = 78;

/// A download gateway for the call recordings of a Yeastar PBX.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(ConfigFile),
    /// Write a first configuration, after checking the PBX's certificate.
    Init(init::Init),
    /// Check the configuration and print every mistake in it.
    Check(ConfigFile),
    /// Ask a running gateway whether it is ready: exit code 0, or 1 and the reason.
    Health(ConfigFile),
    /// Try each PBX and say which step fails, and what to change where.
    Doctor(doctor::Doctor),
    /// Run a simulated PBX with sample recordings and the gateway in front of it.
    #[cfg(feature = "simulator")]
    Demo(demo::Demo),
    /// Run a simulated PBX alone.
    #[cfg(feature = "simulator")]
    Simulate(simulate::Simulate),
    /// Verify the audit log, or report who heard which recording.
    Audit(audit::Audit),
    /// Tell the story of one request, from the audit log.
    Why(audit::Why),
    /// Print the decision about a request, and the reason. The token comes from a file or standard
    /// input.
    Explain(explain::Explain),
    /// Print a bearer token, to try the gateway out.
    Token(mint::TokenCommand),
    /// Print a link to one recording, to try the gateway out.
    Link(mint::LinkCommand),
}

/// The argument for the configuration file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file.
    #[arg(
        long,
        value_name = "FILE",
        env = "WAVEGATE_CONFIG",
        default_value = "wavegate.toml"
    )]
    config: PathBuf,
}

/// All commands with their arguments, for shell completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the command of the process's arguments.
pub fn run() -> ExitCode {
    forbid_core_dumps();
    match Cli::parse().command {
        Command::Serve(file) => serve::run(&file.config),
        Command::Init(init) => init.run(),
        Command::Check(file) => check::run(&file.config),
        Command::Health(file) => health::run(&file.config),
        Command::Doctor(doctor) => doctor.run(),
        #[cfg(feature = "simulator")]
        Command::Demo(demo) => demo.run(),
        #[cfg(feature = "simulator")]
        Command::Simulate(simulate) => simulate.run(),
        Command::Audit(audit) => audit.run(),
        Command::Why(why) => why.run(),
        Command::Explain(explain) => explain.run(),
        Command::Token(token) => token.run(),
        Command::Link(link) => link.run(),
    }
}

/// Keeps the memory of a process that dies, with its tokens and passwords, off the disk. A system
/// that forbids even this has no core dumps.
fn forbid_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
}

/// Loads a configuration, or prints its mistakes.
fn load(path: &Path) -> Result<GatewayParts, ExitCode> {
    if let Ok(false) = path.try_exists() {
        complain(format_args!(
            "there is no {}: give --config FILE, or make one with `wavegate init`",
            path.display()
        ));
        return Err(ExitCode::from(EXIT_CONFIG));
    }
    GatewayParts::load(path).map_err(|problems| {
        complain(mistakes(path, &problems));
        ExitCode::from(EXIT_CONFIG)
    })
}

/// Reads a secret file that an argument names.
fn read_secret(file: &Path, secrets: &SecretFiles) -> Result<Secret, String> {
    let read = secrets.read(file);
    let read = read.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(read.secret)
}

/// Reads the file of `--password-file`, before there is a configuration.
fn read_password(file: &Path) -> Result<Secret, String> {
    let secret = read_secret(file, &SecretFiles::default());
    let secret = secret.map_err(|error| format!("--password-file {error}"))?;
    let mut oddities = oddities(secret.expose()).into_iter();
    match oddities.find(|oddity| oddity.spoils_password()) {
        Some(oddity) => Err(format!("--password-file {} {oddity}", file.display())),
        None => Ok(secret),
    }
}

/// Prints the warnings about a configuration on standard error.
fn warn(parts: &GatewayParts) {
    for line in parts.warnings.lines() {
        complain(format_args!("warning: {line}"));
    }
}

/// A heading with the number of mistakes, and a line for each. A file that is no TOML has one error
/// and no heading.
fn mistakes(path: &Path, problems: &Problems) -> String {
    if problems.iter().all(|problem| problem.key.is_empty()) {
        return problems.to_string();
    }
    let heading = match problems.iter().count() {
        1 => "has a mistake".to_owned(),
        count => format!("has {count} mistakes"),
    };
    format!("{} {heading}:\n{problems}", path.display())
}

/// A basic string of TOML, written as a string of JSON: the two are alike.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Prints a result. The command does not fail if nobody reads it any more.
fn print(text: impl Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints an error.
fn complain(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "wavegate: {text}");
}

/// Prints an error and returns the exit code for it.
fn fail(text: impl Display) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}

/// Makes the tokio runtime.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// A key of 256 bits, as 64 hexadecimal digits.
fn random_secret() -> Result<Secret, String> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| "the system has no randomness")?;
    let mut text = String::with_capacity(64);
    for byte in bytes {
        let _ = fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    Ok(Secret::new(text))
}
