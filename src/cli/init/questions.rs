//! Questions on a terminal, and their answers.
//!
//! Knows how to ask again after a wrong answer, and how to read a password without showing it. Does
//! not know which questions are asked. Questions go to standard error, so that standard output
//! contains the result alone.

use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::secret::Secret;

/// Bound on an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// The person at the terminal, if there is one.
pub(super) struct Questions {
    asks: bool,
    /// Values with a default are asked for, too.
    guided: bool,
    is_terminal: bool,
}

impl Questions {
    /// Asks if standard input is a terminal, or if questions are `wanted`.
    pub(super) fn new(wanted: bool) -> Self {
        let is_terminal = io::stdin().is_terminal();
        Self {
            asks: wanted || is_terminal,
            guided: wanted,
            is_terminal,
        }
    }

    /// Checks that these flags are given if nobody can be asked. If all are given, values with a
    /// default are not asked for.
    pub(super) fn require(&mut self, flags: &[(&str, bool)]) -> Result<(), String> {
        let missing: Vec<_> = flags
            .iter()
            .filter(|(_, given)| !given)
            .map(|(flag, _)| *flag)
            .collect();
        self.guided |= !missing.is_empty();
        match missing.is_empty() || self.asks {
            true => Ok(()),
            false => Err(format!(
                "missing: {}; or answer questions, with --ask",
                missing.join(", ")
            )),
        }
    }

    /// The `given` value; else the default, unless values with a default are asked for; else the
    /// answer.
    pub(super) fn ask<T>(
        &self,
        given: Option<T>,
        question: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, String> {
        if let Some(given) = given {
            return Ok(given);
        }
        if !self.asks || default.is_some() && !self.guided {
            return parse(default.unwrap_or_default());
        }
        loop {
            let hint = default
                .map(|default| format!(" [{default}]"))
                .unwrap_or_default();
            say(&format!("{question}{hint}: "));
            let line = read_line(question)?;
            let answer = match line.trim() {
                "" => default.unwrap_or_default(),
                answer => answer,
            };
            match parse(answer) {
                Ok(value) => return Ok(value),
                Err(message) => say(&format!("  {message}\n")),
            }
        }
    }

    /// Whether the answer is yes; `None` if nobody can be asked.
    pub(super) fn yes(&self, question: &str) -> Result<Option<bool>, String> {
        if !self.asks {
            return Ok(None);
        }
        say(&format!("{question} [yes/no]: "));
        let line = read_line(question)?;
        Ok(Some(matches!(line.trim(), "yes" | "y" | "Yes" | "YES")))
    }

    /// Reads a secret from standard input. A terminal does not show it, and piped input gets no
    /// question.
    pub(super) fn secret(&self, question: &str) -> Result<Secret, String> {
        if self.asks {
            say(&format!("{question}: "));
        }
        let line = {
            let _hidden = self.is_terminal.then(Hidden::begin);
            read_line(question)?
        };
        if self.is_terminal {
            say("\n");
        }
        match line.as_str() {
            "" => Err(format!("{question}: empty")),
            line => Ok(Secret::new(line)),
        }
    }

    /// Writes a text to standard error.
    pub(super) fn tell(&self, text: &str) {
        say(&format!("{text}\n"));
    }
}

fn say(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Reads a line, without its line end. The answer may be a secret, so its memory is cleared.
fn read_line(question: &str) -> Result<Zeroizing<String>, String> {
    let mut line = Zeroizing::new(String::new());
    let mut input = io::stdin().lock().take(MAX_ANSWER_BYTES);
    let read = input.read_line(&mut line);
    if read.map_err(|error| format!("standard input: {error}"))? == 0 {
        return Err(format!("{question}: standard input has ended"));
    }
    while line.ends_with(['\n', '\r']) {
        line.pop();
    }
    Ok(line)
}

/// While this value lives, the terminal does not show typed characters.
struct Hidden;

impl Hidden {
    fn begin() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

/// Runs the standard program for terminal settings: the system call would take `unsafe` or another
/// library.
fn stty(setting: &str) {
    let _ = Command::new("stty")
        .arg(setting)
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .status();
}
