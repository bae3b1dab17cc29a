//! Writes the shell completions and the man pages of every command, for packages:
//! `cargo run --example manual [FOLDER]`, with target/manual as the default.
//!
//! Knows the names by which shells and man look for these files. Does not know the commands: they
//! come from the program's own tree of arguments.

use std::path::PathBuf;
use std::{env, fs, io};

use clap_complete::Shell;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from("target/manual"));
    let command = wavegate::cli::command();

    let pages = folder.join("man");
    fs::create_dir_all(&pages)?;
    clap_mangen::generate_to(command.clone(), &pages)?;

    let completions = folder.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command.clone(), "wavegate", &completions)?;
    }
    Ok(())
}
